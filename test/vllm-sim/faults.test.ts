import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseFault } from './http/faults.ts';
import { GARBAGE, startVllmSim, type VllmSim } from './index.ts';
import { rawExchange, rawGet } from './testing/client.ts';

let sim: VllmSim;

beforeAll(async () => {
  sim = await startVllmSim({ frozen: true, chunkIntervalMs: 0 });
});

afterAll(async () => {
  await sim.close();
});

const fault = (what: string) => rawExchange(sim.port, rawGet('/version', `x-sim-fault: ${what}`));
const bodyOf = (bytes: Buffer) => bytes.toString('latin1').split('\r\n\r\n').slice(1).join('\r\n\r\n');
const VERSION = '{"version":"0.32.0"}';

describe('faults on demand', () => {
  test('resets the connection behind exactly K body bytes', async () => {
    for (const at of [0, 1, 7, VERSION.length]) {
      const { bytes, end } = await fault(`reset@${at}`);
      expect([bodyOf(bytes.subarray()), end]).toEqual([VERSION.slice(0, at), 'reset']);
    }
  });

  test('ends too early without a reset', async () => {
    const { bytes, end } = await fault('fin@5');
    expect([bodyOf(bytes), end]).toEqual([VERSION.slice(0, 5), 'fin']);
    expect(bytes.toString()).toContain(`content-length: ${VERSION.length}`);
  });

  test('leaves without a byte, with FIN or reset', async () => {
    expect(await fault('close-before-head')).toEqual({ bytes: Buffer.alloc(0), end: 'fin' });
    expect(await fault('reset@head')).toEqual({ bytes: Buffer.alloc(0), end: 'reset' });
  });

  test('sends garbage in place of the status line, or of a chunk size', async () => {
    expect(await fault('garbage@head')).toEqual({ bytes: GARBAGE, end: 'fin' });
    const { bytes } = await fault('garbage@5');
    expect(bodyOf(bytes)).toBe(`5\r\n${VERSION.slice(0, 5)}\r\n${GARBAGE.toString('latin1')}`);
  });

  test('breaks a stream in the middle of a chunk', async () => {
    const body = JSON.stringify({ prompt: 'x', stream: true });
    const head = `POST /v1/completions HTTP/1.1\r\nHost: sim\r\nContent-Type: application/json\r\nx-sim-fault: fin@10`;
    const { bytes } = await rawExchange(sim.port, `${head}\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    expect(bodyOf(bytes)).toMatch(/^[0-9a-f]+\r\ndata: \{"id$/);
  });

  test('breaks at every byte of the response, head included', async () => {
    const { bytes: whole } = await fault('slow:1');
    for (let at = 0; at < whole.length; at += 13) {
      const { bytes, end } = await fault(`reset@wire:${at}`);
      expect([bytes, end]).toEqual([whole.subarray(0, at), 'reset']);
    }
  });

  test('stalls until the client leaves, and sees it leave', async () => {
    const socket = connect({ port: sim.port, host: '127.0.0.1' });
    socket.write(rawGet('/version?stalled', 'x-sim-fault: stall@4'));
    let heard = '';
    await new Promise<void>((resolve) => {
      socket.on('data', (chunk) => {
        heard += chunk;
        if (heard.endsWith('{"ve')) resolve();
      });
    });
    socket.destroy();
    const request = await sim.waitForAbort((one) => one.url === '/version?stalled');
    expect(request.abortedAtMs).toBeGreaterThan(request.arrivedAtMs);
  });

  test('slows every piece down', async () => {
    const started = performance.now();
    const { bytes } = await fault('slow:30');
    expect(bodyOf(bytes)).toBe(VERSION);
    expect(performance.now() - started).toBeGreaterThanOrEqual(29);
  });

  test('answers with the status that it is told', async () => {
    const response = await fetch(`${sim.url}/version`, { headers: { 'x-sim-fault': 'status:503' } });
    expect(response.status).toBe(503);
  });

  test('refuses a fault that it does not know', async () => {
    expect(() => parseFault('reset@soon')).toThrow('not a fault: "reset@soon"');
    const response = await fetch(`${sim.url}/version`, { headers: { 'x-sim-fault': 'explode' } });
    expect(response.status).toBe(400);
  });

  test('takes orders from the test too, for as many requests as it says', async () => {
    sim.fault({ fault: 'status:500', match: '/health', times: 2 });
    const statuses = [];
    for (let index = 0; index < 3; index++) statuses.push((await fetch(`${sim.url}/health`)).status);
    const takeBack = sim.fault({ fault: 'status:500' });
    statuses.push((await fetch(`${sim.url}/health`)).status);
    takeBack();
    statuses.push((await fetch(`${sim.url}/health`)).status);
    expect(statuses).toEqual([500, 500, 200, 500, 200]);
  });
});

describe('what a test sees of the clients', () => {
  test('records a request to the byte', async () => {
    const request = [
      'PATCH /sim/echo/a%2Fb?x=1&x=2 HTTP/1.1',
      'host: sim',
      'Dup: one',
      'dUP: two',
      'Transfer-Encoding: chunked',
      'Connection: close',
      '',
      '3\r\nabc\r\n0\r\nX-Trailer: t\r\n\r\n',
    ].join('\r\n');
    const { bytes } = await rawExchange(sim.port, request);
    const echoed = JSON.parse(bodyOf(bytes));
    expect(echoed).toEqual({
      method: 'PATCH',
      url: '/sim/echo/a%2Fb?x=1&x=2',
      httpVersion: '1.1',
      rawHeaders: [
        'host',
        'sim',
        'Dup',
        'one',
        'dUP',
        'two',
        'Transfer-Encoding',
        'chunked',
        'Connection',
        'close',
      ],
      body: Buffer.from('abc').toString('base64'),
      rawTrailers: ['X-Trailer', 't'],
    });
    const seen = await sim.waitForRequest('/sim/echo/a%2Fb');
    expect([seen.header('DUP'), seen.headers('dup'), String(seen.body)]).toEqual([
      'one',
      ['one', 'two'],
      'abc',
    ]);
  });

  test('notices a client that leaves mid-stream, mid-upload and before the head', async () => {
    const leave = async (path: string, bytes: string, hard: boolean) => {
      const socket: Socket = connect({ port: sim.port, host: '127.0.0.1' });
      socket.on('error', () => {});
      socket.write(bytes);
      await sim.waitForRequest((one) => one.url === path);
      if (hard) socket.resetAndDestroy();
      else socket.end();
      const request = await sim.waitForAbort((one) => one.url === path);
      socket.destroy();
      return request.outcome;
    };
    const upload = (path: string) =>
      `POST ${path} HTTP/1.1\r\nHost: sim\r\nContent-Length: 1000\r\n\r\nonly this`;
    expect(
      await leave(
        '/sim/bytes?length=inf&chunk=10&interval=1',
        rawGet('/sim/bytes?length=inf&chunk=10&interval=1'),
        true,
      ),
    ).toBe('aborted');
    expect(
      await leave('/sim/bytes?length=inf&interval=1', rawGet('/sim/bytes?length=inf&interval=1'), false),
    ).toBe('aborted');
    expect(await leave('/sim/echo?upload', upload('/sim/echo?upload'), true)).toBe('aborted');
    expect(await leave('/sim/echo?upload2', upload('/sim/echo?upload2'), false)).toBe('aborted');
    const slow = 'x-sim-delay-ms: 60000';
    const chat = (path: string) =>
      `POST ${path} HTTP/1.1\r\nHost: sim\r\nContent-Type: application/json\r\n${slow}\r\nContent-Length: 14\r\n\r\n{"prompt":"x"}`;
    expect(await leave('/v1/completions?a', chat('/v1/completions?a'), true)).toBe('aborted');
    await sim.waitForIdle();
    expect(sim.activeRequests).toBe(0);
  });

  test('counts connections', async () => {
    const own = await startVllmSim();
    const socket = connect({ port: own.port, host: '127.0.0.1' });
    await own.waitForSockets(1);
    socket.destroy();
    await own.waitForSockets(0);
    await own.close();
  });

  test('says what it waited for in vain', async () => {
    await expect(sim.waitForRequest('/never', { timeoutMs: 1 })).rejects.toThrow(
      /waited 1 ms for a request on \/never/,
    );
  });
});

describe('bytes to order', () => {
  test('answers exactly the raw bytes of the request', async () => {
    const raw = 'HTTP/1.1 299 Very Odd\r\nX-a: 1\r\nx-A:2\r\nContent-Length: 2\r\n\r\nok';
    const send = (then: string) =>
      `POST /sim/raw?then=${then} HTTP/1.1\r\nHost: sim\r\nContent-Length: ${raw.length}\r\n\r\n${raw}`;
    expect(await rawExchange(sim.port, send('fin'))).toEqual({ bytes: Buffer.from(raw), end: 'fin' });
    expect((await rawExchange(sim.port, send('reset'))).end).toBe('reset');
    // Kept, the connection takes the next request.
    const next = 'GET /health HTTP/1.1\r\nHost: sim\r\nConnection: close\r\n\r\n';
    const { bytes } = await rawExchange(sim.port, send('keep') + send('keep') + next);
    expect(bytes.toString().startsWith(`${raw}${raw}HTTP/1.1 200 OK\r\n`)).toBe(true);
  });

  test('hands the socket to a script, which decides what is read and written', async () => {
    const takeBack = sim.script('/scripted', async (socket, request) => {
      socket.write('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n');
      const body = await request.whole();
      socket.end(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n${body}\r\n0\r\nT: x\r\n\r\n`);
    });
    const { bytes } = await rawExchange(
      sim.port,
      'POST /scripted HTTP/1.1\r\nHost: s\r\nContent-Length: 1\r\n\r\nz',
    );
    expect(bytes.toString()).toBe(
      'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n' +
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nz\r\n0\r\nT: x\r\n\r\n',
    );
    takeBack();
    expect((await fetch(`${sim.url}/scripted`)).status).toBe(404);
  });

  test('sends as many bytes as are asked for', async () => {
    const response = await fetch(`${sim.url}/sim/bytes?length=1000&chunk=7`);
    const text = await response.text();
    expect([response.headers.get('content-length'), text.length]).toEqual(['1000', 1000]);
    expect(text.slice(0, 30)).toBe('abcdefghijklmnopqrstuvwxyzabcd');
  });
});
