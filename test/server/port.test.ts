import { Agent, request as httpRequest, type ServerResponse } from 'node:http';
import { createServer } from 'node:net';
import { describe, expect, test } from 'vitest';
import { expectsContinue } from '../../src/server/port-handlers.ts';
import {
  END_HEADERS,
  END_STREAM,
  FrameType,
  frame,
  greeting,
  headerBlock,
  parseFrames,
} from '../helpers/http2-frames.ts';
import {
  type AnyRequest,
  ask,
  codeOf,
  get,
  openHttp2,
  openTestPort,
  parseResponses,
  tellBack,
} from './port-fixture.ts';
import { exchange, RawConnection } from './port-raw-connection.ts';

const H2_GET = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':authority', 'test'],
  [':path', '/two'],
] as const;

describe('one cleartext port', () => {
  test('serves HTTP/1.1 on a kept-alive connection', async () => {
    const port = await openTestPort();
    const connection = await RawConnection.open(port.address.port);
    for (const path of ['/a', '/b', '/c']) {
      connection.send(get(path));
      await connection.until((text) => text.includes(`GET ${path} `));
    }
    expect(parseResponses(connection.text).map(({ body }) => body)).toEqual([
      'GET /a ',
      'GET /b ',
      'GET /c ',
    ]);
    expect(port.connections).toBe(1);
    connection.socket.destroy();
  });

  test('answers pipelined requests in their order', async () => {
    const port = await openTestPort({
      handlers: {
        request(req, res) {
          // The first is the slowest.
          if (req.url === '/1') setImmediate(() => setImmediate(() => res.end('1')));
          else res.end(req.url?.slice(1) ?? '');
        },
      },
    });
    const text = await exchange(port.address.port, get('/1') + get('/2') + get('/3', 'Connection: close'));
    expect(parseResponses(text).map(({ body }) => body)).toEqual(['1', '2', '3']);
  });

  test('serves HTTP/2 with prior knowledge', async () => {
    const port = await openTestPort();
    const session = openHttp2(port);
    const answers = await Promise.all([
      ask(session, { ':path': '/a' }),
      ask(session, { ':method': 'POST', ':path': '/b' }, 'hello'),
    ]);
    expect(answers.map(({ body }) => body)).toEqual(['GET /a ', 'POST /b hello']);
    expect(port.connections).toBe(1);
  });

  test('offers large windows on HTTP/2', async () => {
    const port = await openTestPort({ maxStreams: 77 });
    const session = openHttp2(port);
    await ask(session, { ':path': '/' });
    expect(session.remoteSettings.maxConcurrentStreams).toBe(77);
    expect(session.remoteSettings.initialWindowSize).toBe(1024 * 1024);
    expect(session.remoteSettings.enableConnectProtocol).toBe(true);
    expect(session.state.remoteWindowSize).toBe(16 * 1024 * 1024);
  });

  test.each(['GET', 'POST', 'PUT', 'PATCH'])('takes a %s that arrives byte by byte', async (method) => {
    const port = await openTestPort();
    const connection = await RawConnection.open(port.address.port);
    connection.socket.setNoDelay(true);
    const bytes = `${method} /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi`;
    for (const byte of bytes) {
      connection.send(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(parseResponses(await connection.untilClosed())[0]?.body).toBe(`${method} /slow hi`);
  });

  test('takes an HTTP/2 preface and a stream that arrive byte by byte', async () => {
    const port = await openTestPort();
    const connection = await RawConnection.open(port.address.port);
    connection.socket.setNoDelay(true);
    const headers = frame(FrameType.headers, END_HEADERS | END_STREAM, 1, headerBlock(H2_GET));
    for (const byte of Buffer.concat([greeting(), headers])) {
      connection.send(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await connection.until((text) => text.includes('GET /two '));
    const data = parseFrames(connection.received).filter(({ type }) => type === FrameType.data);
    expect(Buffer.concat(data.map(({ payload }) => payload)).toString()).toBe('GET /two ');
    connection.socket.destroy();
  });

  test('takes every split of the first bytes in two', async () => {
    const port = await openTestPort();
    const http1 = get('/x', 'Connection: close');
    const http2 = Buffer.concat([
      greeting(),
      frame(FrameType.headers, END_HEADERS | END_STREAM, 1, headerBlock(H2_GET)),
    ]);
    for (let at = 1; at <= 5; at++) {
      const one = await RawConnection.open(port.address.port);
      one.send(http1.slice(0, at));
      const two = await RawConnection.open(port.address.port);
      two.send(http2.subarray(0, at));
      await new Promise((resolve) => setImmediate(resolve));
      one.send(http1.slice(at));
      two.send(http2.subarray(at));
      expect(await one.untilClosed()).toContain('GET /x ');
      expect(await two.until((text) => text.includes('GET /two '))).toContain('GET /two ');
      two.socket.destroy();
    }
  });

  test('closes a connection whose preface goes wrong behind `PRI `', async () => {
    const port = await openTestPort();
    for (const bytes of [
      'PRI * HTTP/1.1\r\n\r\n',
      'PRI garbage that is no preface at all\r\n',
      'PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n',
    ]) {
      const text = await exchange(port.address.port, bytes);
      expect(text).not.toContain('HTTP/1.1 200');
    }
    expect(await exchange(port.address.port, get('/ok', 'Connection: close'))).toContain('GET /ok ');
  });

  test('serves `Upgrade: h2c` as plain HTTP/1.1 and closes behind it', async () => {
    const port = await openTestPort();
    const upgrade = get(
      '/x',
      'Connection: Upgrade, HTTP2-Settings',
      'Upgrade: h2c',
      'HTTP2-Settings: AAMAAABk',
    );
    // What stands behind it in the same packet is lost inside Node's parser, so it must not be half served.
    const responses = parseResponses(await exchange(port.address.port, upgrade + get('/lost')));
    expect(responses.map(({ body }) => body)).toEqual(['GET /x ']);
    expect(responses[0]?.head).toMatch(/connection: close/i);
  });
});

describe('what reaches the handlers', () => {
  test('an absolute-form target to the own Host comes as a path', async () => {
    const port = await openTestPort();
    const text = await exchange(port.address.port, get('http://test/v1/x?y=%2F', 'Connection: close'));
    expect(text).toContain('GET /v1/x?y=%2F ');
  });

  test('a request that expects 100-continue comes before the 100 is sent', async () => {
    const seen: boolean[] = [];
    const port = await openTestPort({
      handlers: {
        request(req, res) {
          seen.push(expectsContinue(req));
          if (expectsContinue(req)) res.writeContinue();
          tellBack(req, res);
        },
      },
    });
    const connection = await RawConnection.open(port.address.port);
    connection.send('POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n');
    await connection.until((text) => text.includes('100 Continue'));
    connection.send('hi');
    await connection.until((text) => text.includes('POST /x hi'));
    connection.send(get('/y', 'Connection: close'));
    await connection.untilClosed();
    expect(seen).toEqual([true, false]);

    const session = openHttp2(port);
    const continued = new Promise((resolve) => {
      const stream = session.request({ ':method': 'POST', ':path': '/z', expect: '100-continue' });
      stream.on('continue', () => {
        stream.end('yes');
        stream.resume();
        stream.on('close', () => resolve(true));
      });
    });
    expect(await continued).toBe(true);
    expect(seen).toEqual([true, false, true]);
  });

  test('an expectation nobody knows is left to the handler', async () => {
    const port = await openTestPort();
    expect(await exchange(port.address.port, get('/x', 'Expect: miracles', 'Connection: close'))).toContain(
      'GET /x',
    );
  });

  test('a websocket handshake comes as an upgrade with what followed it', async () => {
    const port = await openTestPort({
      handlers: {
        upgrade(req, socket, head) {
          socket.end(`HTTP/1.1 101 Switching Protocols\r\n\r\n${req.url} ${head.toString()}`);
        },
      },
    });
    const handshake = get('/ws', 'Connection: Upgrade', 'Upgrade: WebSocket');
    expect(await exchange(port.address.port, `${handshake}frames`)).toContain('\r\n\r\n/ws frames');
  });

  test('a websocket handshake with a body or another method is a plain request', async () => {
    const port = await openTestPort();
    const lines = 'Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nhi';
    expect(await exchange(port.address.port, `GET /x HTTP/1.1\r\n${lines}`)).toContain('GET /x hi');
    expect(await exchange(port.address.port, `POST /x HTTP/1.1\r\n${lines}`)).toContain('POST /x hi');
  });

  test('a malformed websocket handshake does not', async () => {
    const port = await openTestPort();
    const bytes =
      'GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
    const [answer] = parseResponses(await exchange(port.address.port, bytes));
    expect(answer?.status).toBe(400);
    expect(codeOf(answer?.body ?? '')).toBe('malformed_http');
  });

  test('a websocket handshake behind a request that waits is cut off', async () => {
    const port = await openTestPort({ handlers: { request: () => {} } });
    const bytes = get('/waits') + get('/ws', 'Connection: Upgrade', 'Upgrade: websocket');
    expect(await exchange(port.address.port, bytes)).toBe('');
  });

  test('extended CONNECT for a websocket comes as a tunnel', async () => {
    let seen: AnyRequest | null = null;
    const port = await openTestPort({
      handlers: {
        tunnel(req, res) {
          seen = req;
          res.stream.respond({ ':status': 200 });
          res.stream.end('frames');
        },
      },
    });
    const session = openHttp2(port);
    await ask(session, { ':path': '/' });
    const answer = await ask(
      session,
      {
        ':method': 'CONNECT',
        ':protocol': 'websocket',
        ':scheme': 'http',
        ':path': '/ws',
        ':authority': 'a',
      },
      '',
    );
    expect(answer).toMatchObject({ status: 200, body: 'frames' });
    expect(seen).toMatchObject({ url: '/ws' });
  });
});

describe('a handler that throws', () => {
  const port = () =>
    openTestPort({
      handlers: {
        request(req, res) {
          if (req.url === '/late') (res as ServerResponse).write('half');
          if (req.url !== '/ok') throw new Error('boom');
          res.end('fine');
        },
        upgrade() {
          throw new Error('boom');
        },
        tunnel() {
          throw new Error('boom');
        },
      },
    });

  test('is answered for with 500 on HTTP/1.1', async () => {
    const opened = await port();
    const [answer] = parseResponses(await exchange(opened.address.port, get('/x')));
    expect(answer?.status).toBe(500);
    expect(codeOf(answer?.body ?? '')).toBe('internal');
    expect(answer?.body).not.toContain('boom');
    expect(opened.reported[0]?.cause).toMatchObject({ message: 'boom' });
    const [upgrade] = parseResponses(
      await exchange(opened.address.port, get('/ws', 'Connection: Upgrade', 'Upgrade: websocket')),
    );
    expect(upgrade?.status).toBe(500);
    expect(await exchange(opened.address.port, get('/ok', 'Connection: close'))).toContain('fine');
  });

  test('is answered for with 500 on HTTP/2', async () => {
    const opened = await port();
    const session = openHttp2(opened);
    expect(await ask(session, { ':path': '/x' })).toMatchObject({ status: 500 });
    const tunnel = {
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':scheme': 'http',
      ':path': '/',
      ':authority': 'a',
    };
    expect(await ask(session, tunnel)).toMatchObject({ status: 500 });
    expect(await ask(session, { ':path': '/ok' })).toMatchObject({ status: 200, body: 'fine' });
  });

  test('breaks a response that has begun instead of ending it', async () => {
    const opened = await port();
    const connection = await RawConnection.open(opened.address.port);
    connection.send(get('/late'));
    expect(await connection.closed).toBe('reset');
    await expect(ask(openHttp2(opened), { ':path': '/late' })).rejects.toThrow();
  });
});

describe('opening', () => {
  test('says in one line that the port is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => other.once('listening', resolve));
    const { port } = other.address() as { port: number };
    await expect(openTestPort({ port })).rejects.toThrow(
      `port ${port} on 127.0.0.1 is taken: stop the other process or choose one with --port`,
    );
    other.close();
  });

  test('says in one line that the address is not its own', async () => {
    await expect(openTestPort({ host: '192.0.2.1' })).rejects.toThrow(
      '192.0.2.1 is not an address of this machine',
    );
  });

  test('says in one line that the certificate is unusable', async () => {
    const tls = { cert: Buffer.from('no'), key: Buffer.from('no') };
    await expect(openTestPort({ tls })).rejects.toThrow("the TLS certificate and key can't be used: ");
  });

  test('counts connections and exchanges', async () => {
    const arrived = Promise.withResolvers<() => void>();
    const port = await openTestPort({
      handlers: { request: (_req, res) => arrived.resolve(() => void res.end('done')) },
    });
    const agent = new Agent({ keepAlive: true });
    const answered = new Promise((resolve) => {
      httpRequest({ port: port.address.port, agent }, (res) => res.resume().on('end', resolve)).end();
    });
    const answer = await arrived.promise;
    expect([port.connections, port.inFlight]).toEqual([1, 1]);
    answer();
    await answered;
    expect([port.connections, port.inFlight]).toEqual([1, 0]);
    agent.destroy();
  });
});
