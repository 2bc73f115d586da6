import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { FrameType, frame, greeting, headerBlock, PREFACE } from '../helpers/http2-frames.ts';
import { ask, codeOf, get, openHttp2, openTestPort, parseResponses } from './port-fixture.ts';
import { exchange, RawConnection } from './port-raw-connection.ts';

const POST = 'POST /x HTTP/1.1\r\nHost: a\r\n';

describe('malformed HTTP/1', () => {
  // What Node's parser refuses, what it leaves to `screenRequest`, and who does which may change with its version.
  const rows: [why: string, bytes: string, status: number][] = [
    ['no HTTP at all', 'hello\r\n\r\n', 400],
    ['a TLS hello', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
    ['HTTP/0.9', 'GET /\r\n\r\n', 400],
    ['HTTP/1.2', 'GET / HTTP/1.2\r\nHost: a\r\n\r\n', 400],
    ['HTTP/2.0 in a request line', 'GET / HTTP/2.0\r\nHost: a\r\n\r\n', 400],
    ['an unknown method', 'FOO / HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['TRACE', 'TRACE / HTTP/1.1\r\nHost: a\r\n\r\n', 405],
    ['CONNECT', 'CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n', 405],
    ['no Host', 'GET / HTTP/1.1\r\n\r\n', 400],
    ['two Hosts', 'GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n', 400],
    ['a broken Host', 'GET / HTTP/1.1\r\nHost: [\r\n\r\n', 400],
    ['absolute-form to somebody else', 'GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['the asterisk', 'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['a target without a slash', 'GET x HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['a space in the target', 'GET /a b HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['a control byte in the target', 'GET /a\x01 HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['obs-text in the target', 'GET /\xe9 HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['a fragment', 'GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['an obs-fold', `${POST}X: a\r\n b\r\n\r\n`, 400],
    ['a space before the colon', `${POST}X : a\r\n\r\n`, 400],
    ['a space before the first header', 'GET / HTTP/1.1\r\n Host: a\r\n\r\n', 400],
    ['obs-text in Host', 'GET / HTTP/1.1\r\nHost: \xe9\r\n\r\n', 400],
    ['obs-text in a name', `${POST}X\xe9: a\r\n\r\n`, 400],
    ['NUL in a value', `${POST}X: a\0b\r\n\r\n`, 400],
    ['a control byte in a value', `${POST}X: a\x07b\r\n\r\n`, 400],
    ['DEL in a value', `${POST}X: a\x7fb\r\n\r\n`, 400],
    ['a bare CR', `${POST}X: a\rY: b\r\n\r\n`, 400],
    ['a bare LF', `${POST}X: a\nY: b\r\n\r\n`, 400],
    ['TE and CL', `${POST}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n`, 400],
    ['CL and TE', `${POST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
    ['TE gzip, chunked', `${POST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`, 400],
    ['TE twice', `${POST}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
    ['TE with a vertical tab', `${POST}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n`, 400],
    ['TE on HTTP/1.0', 'POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 400],
    ['CL twice', `${POST}Content-Length: 1\r\nContent-Length: 1\r\n\r\na`, 400],
    ['a list in CL', `${POST}Content-Length: 1, 1\r\n\r\na`, 400],
    ['a sign in CL', `${POST}Content-Length: +1\r\n\r\na`, 400],
    ['Content_Length', `${POST}Content_Length: 1\r\n\r\na`, 400],
    ['a chunk size that is none', `${POST}Transfer-Encoding: chunked\r\n\r\nzz\r\n`, 400],
    ['a chunk size ended by LF', `${POST}Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n`, 400],
  ];
  test.each(rows)('%s is answered with the envelope and a close', async (_why, bytes, status) => {
    const port = await openTestPort();
    const responses = parseResponses(await exchange(port.address.port, bytes));
    expect(responses.map((response) => response.status)).toEqual([status]);
    const [answer] = responses;
    expect(answer?.head).toMatch(/\r\nconnection: close/i);
    expect(answer?.head).toMatch(/\r\nx-sluice-request-id: [\w-]+/i);
    expect(answer?.head).toMatch(/\r\ndate: /i);
    expect(codeOf(answer?.body ?? '')).toBe(status === 405 ? 'method_not_allowed' : 'malformed_http');
    expect(port.reported).toHaveLength(1);
  });

  test('what the port reports has none of the bytes', async () => {
    const port = await openTestPort();
    await exchange(port.address.port, `${POST}Authorization: Bearer sk-secret\r\nX : y\r\n\r\n`);
    await exchange(port.address.port, `${POST}Authorization: Bearer sk-secret\r\nHost: b\r\n\r\n`);
    expect(port.reported).toHaveLength(2);
    for (const error of port.reported) expect(inspect(error, { depth: 10 })).not.toContain('secret');
    expect(port.reported[0]?.cause).toBe('HPE_INVALID_HEADER_TOKEN');
  });

  test('half a request and a half-close get an answer', async () => {
    const port = await openTestPort();
    for (const half of ['GET / HT', `${POST}Content-Le`, 'GE']) {
      const connection = await RawConnection.open(port.address.port);
      connection.socket.end(half);
      expect(await connection.untilClosed()).toContain('HTTP/1.1 400 ');
    }
  });

  test('a refusal does not overtake the answers before it', async () => {
    const port = await openTestPort();
    const text = await exchange(
      port.address.port,
      `${get('/1')}${get('/2')}TRACE / HTTP/1.1\r\nHost: a\r\n\r\n${get('/3')}`,
    );
    expect(parseResponses(text).map(({ status }) => status)).toEqual([200, 200, 405]);
  });

  test('bytes that are no HTTP are never answered in the place of a request that waits', async () => {
    const port = await openTestPort({ handlers: { request: () => {} } });
    const connection = await RawConnection.open(port.address.port);
    connection.send(`${get('/waits')}garbage\r\n\r\n`);
    expect(await connection.untilClosed()).toBe('');
  });

  test('a broken body is never answered behind a head that is out', async () => {
    const port = await openTestPort({
      handlers: {
        request(req, res) {
          res.end('early');
          req.resume();
        },
      },
    });
    const text = await exchange(port.address.port, `${POST}Transfer-Encoding: chunked\r\n\r\nzz\r\n`);
    expect(text).not.toContain('400');
  });

  test('a client that is still sending gets the refusal nevertheless', async () => {
    const port = await openTestPort();
    const connection = await RawConnection.open(port.address.port);
    connection.send(`${POST}Host: b\r\nContent-Length: 8000000\r\n\r\n`);
    connection.send(Buffer.alloc(8_000_000));
    const text = await connection.untilClosed();
    expect(parseResponses(text)[0]?.status).toBe(400);
  });
});

test('serves the next good request after hundreds of bad ones', async () => {
  const port = await openTestPort({
    limits: { headerTimeoutMs: 200 },
    idleTimeoutMs: 200,
    handlers: { request: (req, res) => void res.end(`${req.method} ${req.url}`) },
  });
  const random = generator(20_260_714);
  const http2Get = headerBlock([
    [':method', 'GET'],
    [':scheme', 'http'],
    [':authority', 'a'],
    [':path', '/'],
  ]);
  const pieces: Buffer[] = [
    ...['P', 'PRI ', 'PRI * HTTP/2.0\r\n', '\r\n\r\n', 'GET / HTTP/1.1\r\nHost: [\r\n\r\n', 'GET / HT'].map(
      latin1,
    ),
    ...[`${POST}Content-Length: 100\r\n\r\nabc`, `${POST}Transfer-Encoding: chunked\r\n\r\n5\r\nab`].map(
      latin1,
    ),
    ...[
      get('/x'),
      get('/x', 'Connection: Upgrade', 'Upgrade: websocket'),
      'CONNECT a:1 HTTP/1.1\r\n\r\n',
    ].map(latin1),
    latin1('\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'),
    PREFACE,
    PREFACE.subarray(0, 20),
    greeting(),
    frame(FrameType.headers, 0x5, 1, http2Get),
    frame(FrameType.headers, 0x1, 3, http2Get.subarray(0, 7)),
    frame(FrameType.data, 0, 5, Buffer.from('data')),
    frame(FrameType.settings, 0, 0, Buffer.alloc(5)),
    frame(FrameType.goaway, 0, 0, Buffer.alloc(8)),
    frame(FrameType.rstStream, 0, 1, Buffer.alloc(4)),
    frame(FrameType.windowUpdate, 0, 0, Buffer.alloc(4)),
  ];
  const closed: Promise<unknown>[] = [];
  const one = async (): Promise<void> => {
    const connection = await RawConnection.open(port.address.port);
    closed.push(connection.closed);
    const parts = 1 + Math.floor(random() * 5);
    for (let i = 0; i < parts; i++) {
      const piece = pieces[Math.floor(random() * pieces.length * 1.5)] ?? noise(random);
      const cut = random() < 0.3 ? Math.floor(random() * piece.length) : piece.length;
      connection.send(piece.subarray(0, cut));
      await new Promise((resolve) => setImmediate(resolve));
    }
    const manner = random();
    if (manner < 0.3) connection.socket.destroy();
    else if (manner < 0.5) connection.socket.resetAndDestroy();
    else if (manner < 0.8) connection.socket.end();
    // Else it just sits there, until the port has had enough.
  };
  for (let round = 0; round < 20; round++) await Promise.all(Array.from({ length: 25 }, one));

  expect(await exchange(port.address.port, get('/good', 'Connection: close'))).toContain('GET /good');
  expect(await ask(openHttp2(port), { ':path': '/good' })).toMatchObject({ body: 'GET /good' });
  // None of them is left, nor anything on them.
  await Promise.all(closed);
  expect(port.inFlight).toBe(0);
});

function latin1(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

function noise(random: () => number): Buffer {
  return Buffer.from(
    Array.from({ length: 1 + Math.floor(random() * 200) }, () => Math.floor(random() * 256)),
  );
}

/** Mulberry32: the same garbage on every run. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
