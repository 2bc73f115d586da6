import { connect as connectHttp2 } from 'node:http2';
import { request } from 'node:https';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { describe, expect, test } from 'vitest';
import { selfSignedCertificate } from '../helpers/certificate.ts';
import { ask, get, openTestPort, parseResponses, type TestPort, tellBack } from './port-fixture.ts';
import { exchange, RawConnection } from './port-raw-connection.ts';

const tls = selfSignedCertificate();

async function openTls(
  port: TestPort,
  options: ConnectionOptions = {},
): Promise<RawConnection & { tls: TLSSocket }> {
  const socket = connect({
    port: port.address.port,
    host: '127.0.0.1',
    ca: tls.cert,
    servername: 'localhost',
    ...options,
  });
  const connection = new RawConnection(socket);
  await new Promise((resolve, reject) => {
    socket.once('secureConnect', resolve);
    socket.once('error', reject);
  });
  return Object.assign(connection, { tls: socket });
}

describe('one port with TLS', () => {
  test('serves HTTP/1.1 with and without ALPN', async () => {
    const port = await openTestPort({ tls });
    for (const ALPNProtocols of [['http/1.1'], undefined]) {
      const connection = await openTls(port, ALPNProtocols === undefined ? {} : { ALPNProtocols });
      connection.send(get('/a') + get('/b', 'Connection: close'));
      expect(parseResponses(await connection.untilClosed()).map(({ body }) => body)).toEqual([
        'GET /a ',
        'GET /b ',
      ]);
    }
    const status = await new Promise((resolve, reject) => {
      const req = request(
        { port: port.address.port, ca: tls.cert },
        (res) => res.resume() && resolve(res.statusCode),
      );
      req.on('error', reject);
      req.end();
    });
    expect(status).toBe(200);
  });

  test('serves HTTP/2 by ALPN', async () => {
    const port = await openTestPort({ tls });
    const session = connectHttp2(`https://localhost:${port.address.port}`, { ca: tls.cert });
    expect(await ask(session, { ':method': 'POST', ':path': '/a' }, 'hi')).toMatchObject({
      body: 'POST /a hi',
    });
    expect(session.alpnProtocol).toBe('h2');
    expect(port.connections).toBe(1);
    expect(await ask(session, { ':path': '/a#b' })).toMatchObject({ status: 400 });
    const tunnel = {
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':scheme': 'https',
      ':path': '/',
      ':authority': 'a',
    };
    expect(await ask(session, tunnel, '')).toMatchObject({ status: 200 });
    session.destroy();
  });

  test('hands on upgrades, expectations and refusals as without TLS', async () => {
    const port = await openTestPort({
      tls,
      handlers: { upgrade: (_req, socket) => void socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\n') },
    });
    const rows: [string, string][] = [
      [get('/ws', 'Connection: Upgrade', 'Upgrade: websocket'), 'HTTP/1.1 101 '],
      [get('/x', 'Connection: Upgrade', 'Upgrade: h2c'), 'GET /x '],
      ['GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 'HTTP/1.1 400 '],
      ['CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n', 'HTTP/1.1 405 '],
      ['TRACE / HTTP/1.1\r\nHost: a\r\n\r\n', 'HTTP/1.1 405 '],
      ['nonsense\r\n\r\n', 'HTTP/1.1 400 '],
      [get('/x', `X: ${'y'.repeat(20_000)}`), 'HTTP/1.1 431 '],
      [get('/x', ...Array.from({ length: 40 }, (_, i) => `X-${i}: y`)), 'HTTP/1.1 431 '],
    ];
    for (const [bytes, expected] of rows) {
      const connection = await openTls(port);
      connection.send(bytes);
      expect(await connection.untilClosed()).toContain(expected);
    }
  });

  test('cuts off slow heads and slow handshakes', async () => {
    const port = await openTestPort({ tls, limits: { headerTimeoutMs: 300 } });
    const slow = await openTls(port);
    slow.send('GET / HTTP/1.1\r\nHost: a\r\n');
    const silent = await openTls(port);
    const handshake = await RawConnection.open(port.address.port);
    handshake.send('\x16\x03\x01');
    const preface = await openTls(port, { ALPNProtocols: ['h2'] });
    preface.send('PRI * HT');
    expect(parseResponses(await slow.untilClosed())[0]?.status).toBe(408);
    await Promise.all([silent.closed, handshake.closed, preface.closed]);
    while (port.connections > 0) await new Promise((resolve) => setImmediate(resolve));
  });

  test('a body may take longer than header_timeout', async () => {
    const port = await openTestPort({ tls, limits: { headerTimeoutMs: 50 } });
    const connection = await openTls(port);
    connection.send('POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\nConnection: close\r\n\r\n');
    let sent = 0;
    const trickle = setInterval(() => {
      connection.send(String(sent++));
      if (sent === 8) clearInterval(trickle);
    }, 40);
    expect(await connection.untilClosed()).toContain('POST /x 01234567');
  });

  test('takes a request of several records from a client that has not taken the answer before it', async () => {
    const asked = Promise.withResolvers<void>();
    const port = await openTestPort({
      tls,
      handlers: {
        request(req, res) {
          if (req.url === '/big') res.end(Buffer.alloc(32 * 1024 * 1024));
          else {
            tellBack(req, res);
            asked.resolve();
          }
        },
      },
    });
    const connection = await openTls(port);
    connection.socket.pause();
    // Two records: a record has 16 KiB at most.
    const body = 'x'.repeat(20_000);
    connection.send(get('/big'));
    connection.send(
      `POST /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 20000\r\n\r\n${body}`,
    );
    await asked.promise;
    connection.socket.resume();
    expect(await connection.closed).toBe('fin');
    expect(connection.text.slice(-20_100)).toContain(`\r\n\r\nPOST /next ${body}`);
    expect(port.reported).toEqual([]);
  });

  test('closes idle connections of both protocols', async () => {
    const port = await openTestPort({ tls, idleTimeoutMs: 100 });
    const connection = await openTls(port);
    connection.send(get('/1'));
    const session = connectHttp2(`https://localhost:${port.address.port}`, { ca: tls.cert });
    await ask(session, { ':path': '/2' });
    await Promise.all([connection.closed, new Promise((resolve) => session.once('close', resolve))]);
  });

  test('survives what is no TLS', async () => {
    const port = await openTestPort({ tls, limits: { headerTimeoutMs: 200 } });
    for (const bytes of [
      get('/x'),
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
      '\x16\x03\x01\x00\x05hello',
      '\0\0\0\0',
    ]) {
      expect(await exchange(port.address.port, bytes)).not.toContain('HTTP/1.1 200');
    }
    await expect(openTls(port, { ALPNProtocols: ['foo'] })).rejects.toThrow();
    const connection = await openTls(port);
    connection.send(get('/ok', 'Connection: close'));
    expect(await connection.untilClosed()).toContain('GET /ok ');
  });

  test('counts connections of both kinds against max_connections', async () => {
    const port = await openTestPort({ tls, limits: { maxConnections: 1 } });
    const session = connectHttp2(`https://localhost:${port.address.port}`, { ca: tls.cert });
    await ask(session, { ':path': '/' });
    await expect(openTls(port)).rejects.toThrow();
    session.destroy();
  });

  test('takes another certificate for connections to come', async () => {
    const port = await openTestPort({ tls });
    const before = await openTls(port);
    const next = selfSignedCertificate('next');
    port.setTls(next);
    before.send(get('/old', 'Connection: close'));
    expect(await before.untilClosed()).toContain('GET /old ');
    const after = await openTls(port, { ca: next.cert, ALPNProtocols: ['h2', 'http/1.1'] });
    expect(after.tls.getPeerCertificate().subject.CN).toBe('next');
    expect(after.tls.alpnProtocol).toBe('h2');
    after.tls.destroy();
    expect(() => port.setTls({ cert: Buffer.from('no'), key: next.key })).toThrow("can't be used");
    const still = await openTls(port, { ca: next.cert });
    still.tls.destroy();
    const cleartext = await openTestPort();
    expect(() => cleartext.setTls(next)).toThrow('cleartext');
  });

  test('drains and breaks as without TLS', async () => {
    const responses: { write(text: string): unknown; end(text: string): unknown }[] = [];
    const arrived = Promise.withResolvers<void>();
    const port = await openTestPort({
      tls,
      handlers: {
        request(_req, res) {
          responses.push(res as (typeof responses)[number]);
          if (responses.length === 3) arrived.resolve();
        },
      },
    });
    const finishing = await openTls(port);
    finishing.send(get('/1'));
    const silent = await openTls(port);
    const session = connectHttp2(`https://localhost:${port.address.port}`, { ca: tls.cert });
    session.on('error', () => {});
    const broken = ask(session, { ':path': '/2' });
    const untilClose = await openTls(port);
    untilClose.send('GET /3 HTTP/1.0\r\nHost: a\r\n\r\n');
    const outcome = expect(broken).rejects.toThrow();
    await arrived.promise;
    for (const res of responses) res.write('first ');
    await finishing.until((text) => text.includes('first '));
    await untilClose.until((text) => text.includes('first '));
    const drained = port.drain(200);
    await silent.closed;
    // The first to arrive may be any of the three: end the one whose client asked for /1.
    for (const res of responses) if ((res as { req?: { url?: string } }).req?.url === '/1') res.end('last');
    expect(await finishing.untilClosed()).toContain('\r\n0\r\n\r\n');
    expect(await drained).toEqual({ completed: 1, broken: 2 });
    await outcome;
    expect(await untilClose.closed).toBe('reset');
    expect(port.connections).toBe(0);
  });
});
