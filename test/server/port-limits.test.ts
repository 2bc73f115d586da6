import { type ClientHttp2Session, constants } from 'node:http2';
import { describe, expect, test } from 'vitest';
import {
  END_HEADERS,
  END_STREAM,
  FrameType,
  frame,
  greeting,
  headerBlock,
  PREFACE,
  parseFrames,
} from '../helpers/http2-frames.ts';
import {
  type AnyResponse,
  ask,
  codeOf,
  get,
  openHttp2,
  openTestPort,
  parseResponses,
} from './port-fixture.ts';
import { exchange, RawConnection } from './port-raw-connection.ts';

const HEADER_TIMEOUT_MS = 300;
/** How late a timeout may be: its check's period, and what a busy machine adds. */
const LATE_MS = 1_000;

async function timed<T>(work: () => Promise<T>): Promise<[T, number]> {
  const start = performance.now();
  const value = await work();
  return [value, performance.now() - start];
}

describe('time', () => {
  const slow: [why: string, bytes: string | Buffer, answer: number | null][] = [
    ['a client that sends nothing', '', null],
    ['a client that sends `P` and then nothing', 'P', 408],
    ['a client that sends `PRI` and then nothing', 'PRI', 408],
    ['half a request line', 'GET /x HT', 408],
    ['a head without an end', 'GET /x HTTP/1.1\r\nHost: a\r\nX: y\r\n', 408],
    ['half a preface', PREFACE.subarray(0, 12), null],
    ['a preface without SETTINGS', PREFACE, null],
  ];
  test.each(slow)('%s is cut off at header_timeout', async (_why, bytes, status) => {
    const port = await openTestPort({ limits: { headerTimeoutMs: HEADER_TIMEOUT_MS } });
    const [text, took] = await timed(() => exchange(port.address.port, bytes));
    if (status === null) expect(text).not.toContain('HTTP/1.1');
    else {
      const [answer] = parseResponses(text);
      expect(answer?.status).toBe(status);
      expect(codeOf(answer?.body ?? '')).toBe('request_timeout');
    }
    expect(took).toBeGreaterThanOrEqual(HEADER_TIMEOUT_MS - 1);
    expect(took).toBeLessThan(HEADER_TIMEOUT_MS + LATE_MS);
    await untilEmpty(port);
  });

  test('a head that trickles in byte by byte is cut off all the same', async () => {
    const port = await openTestPort({ limits: { headerTimeoutMs: HEADER_TIMEOUT_MS } });
    const connection = await RawConnection.open(port.address.port);
    connection.send('GET /x HTTP/1.1\r\nHost: a\r\nX: ');
    const trickle = setInterval(() => connection.send('y'), 20);
    const [text, took] = await timed(() => connection.untilClosed());
    clearInterval(trickle);
    expect(parseResponses(text)[0]?.status).toBe(408);
    expect(took).toBeLessThan(HEADER_TIMEOUT_MS + LATE_MS);
  });

  test('a slow second head on a kept-alive connection is cut off too', async () => {
    const port = await openTestPort({ limits: { headerTimeoutMs: HEADER_TIMEOUT_MS } });
    const connection = await RawConnection.open(port.address.port);
    connection.send(get('/1'));
    await connection.until((text) => text.includes('GET /1 '));
    connection.send('GET /2');
    expect(parseResponses(await connection.untilClosed()).map(({ status }) => status)).toEqual([200, 408]);
  });

  test('a body may take longer than header_timeout', async () => {
    const port = await openTestPort({ limits: { headerTimeoutMs: 50 } });
    const connection = await RawConnection.open(port.address.port);
    connection.send('POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\nConnection: close\r\n\r\n');
    let sent = 0;
    const trickle = setInterval(() => {
      connection.send(String(sent++));
      if (sent === 8) clearInterval(trickle);
    }, 40);
    expect(await connection.untilClosed()).toContain('POST /x 01234567');
  });

  test('a client that does nothing does not keep others waiting', async () => {
    const port = await openTestPort();
    const idle = await RawConnection.open(port.address.port);
    idle.send('P');
    for (let i = 0; i < 20; i++) {
      expect(await exchange(port.address.port, get('/x', 'Connection: close'))).toContain('GET /x ');
    }
    idle.socket.destroy();
  });

  test('a connection without a request is closed after the idle timeout', async () => {
    const port = await openTestPort({ idleTimeoutMs: 100 });
    const connection = await RawConnection.open(port.address.port);
    connection.send(get('/1'));
    const session = openHttp2(port);
    await ask(session, { ':path': '/2' });
    await Promise.all([connection.untilClosed(), closed(session)]);
    await untilEmpty(port);
  });

  test('a quiet stream does not count as idle', async () => {
    const answers: (() => void)[] = [];
    const port = await openTestPort({
      idleTimeoutMs: 100,
      handlers: { request: (_req, res) => void answers.push(() => res.end('late')) },
    });
    const connection = await RawConnection.open(port.address.port);
    connection.send(get('/1'));
    const answer = ask(openHttp2(port), { ':path': '/2' });
    // Another connection is idle for as long; when it is gone, theirs would be too.
    const witness = openHttp2(port);
    await closed(witness);
    for (const finish of answers) finish();
    expect(await answer).toMatchObject({ body: 'late' });
    expect(await connection.until((text) => text.includes('late'))).toContain('late');
  });

  test('a peer that leaves the connection open after GOAWAY is not waited for', async () => {
    const port = await openTestPort({ idleTimeoutMs: 100 });
    const connection = await RawConnection.open(port.address.port);
    connection.socket.allowHalfOpen = true;
    connection.send(greeting());
    await connection.until(() =>
      parseFrames(connection.received).some(({ type }) => type === FrameType.goaway),
    );
    await untilEmpty(port);
    expect(connection.socket.destroyed).toBe(false);
    connection.socket.destroy();
  });
});

describe('size', () => {
  test('headers that are too large are answered with 431', async () => {
    const port = await openTestPort();
    const text = await exchange(port.address.port, get('/x', `X: ${'y'.repeat(200_000)}`));
    const [answer] = parseResponses(text);
    expect(answer?.status).toBe(431);
    expect(codeOf(answer?.body ?? '')).toBe('headers_too_large');
  });

  test('a target that is too long is answered with 431', async () => {
    const port = await openTestPort();
    expect(parseResponses(await exchange(port.address.port, get(`/${'x'.repeat(9_000)}`)))[0]?.status).toBe(
      431,
    );
  });

  test.each([
    [31, 200],
    [32, 431],
    [900, 431],
  ])('%d headers beside Host are answered with %d', async (count, status) => {
    const port = await openTestPort({ limits: { maxHeaderBytes: 64 * 1024 } });
    const lines = Array.from({ length: count - 1 }, (_, i) => `X-${i}: y`);
    const text = await exchange(port.address.port, get('/x', 'Connection: close', ...lines));
    expect(parseResponses(text)[0]?.status).toBe(status);
  });

  test('a stream with too many headers is answered with 431, one with far too many is reset', async () => {
    const port = await openTestPort();
    const session = openHttp2(port);
    const many = (count: number): Record<string, string> =>
      Object.fromEntries([[':path', '/'], ...Array.from({ length: count }, (_, i) => [`x-${i}`, 'y'])]);
    expect(await ask(session, many(32))).toMatchObject({ status: 200 });
    expect(await ask(session, many(33))).toMatchObject({ status: 431 });
    await expect(ask(session, many(60))).rejects.toThrow('ENHANCE_YOUR_CALM');
    expect(await ask(session, many(1))).toMatchObject({ status: 200 });
  });

  test('a stream with too large a header list is answered with 431 or reset', async () => {
    const port = await openTestPort();
    const session = openHttp2(port);
    // The first before the client has acknowledged the limit, the second after.
    expect(await ask(session, { ':path': '/', x: 'y'.repeat(9_000) })).toMatchObject({ status: 431 });
    await expect(ask(session, { ':path': '/', x: 'y'.repeat(9_000) })).rejects.toThrow('ENHANCE_YOUR_CALM');
    expect(await ask(session, { ':path': '/' })).toMatchObject({ status: 200 });
  });
});

describe('number', () => {
  test('connections beyond max_connections are closed, of both protocols together', async () => {
    const port = await openTestPort({ limits: { maxConnections: 2 } });
    const first = await RawConnection.open(port.address.port);
    first.send(get('/1'));
    await first.until((text) => text.includes('GET /1 '));
    const session = openHttp2(port);
    await ask(session, { ':path': '/2' });
    const third = await RawConnection.open(port.address.port);
    third.send(get('/3'));
    expect(await third.untilClosed()).toBe('');
    expect(port.connections).toBe(2);
    // A place that is given back can be had.
    first.socket.destroy();
    session.destroy();
    await closed(session);
    await untilEmpty(port);
    expect(await exchange(port.address.port, get('/4', 'Connection: close'))).toContain('GET /4 ');
  });

  test('streams beyond the limit are refused and the others go on', async () => {
    const answers: (() => void)[] = [];
    const full = Promise.withResolvers<void>();
    const port = await openTestPort({
      maxStreams: 3,
      handlers: {
        request(_req, res) {
          answers.push(() => res.end('x'));
          if (answers.length === 3) full.resolve();
        },
      },
    });
    const connection = await RawConnection.open(port.address.port);
    connection.send(greeting());
    for (const id of [1, 3, 5, 7]) connection.send(getFrame(id));
    await full.promise;
    await connection.until(() =>
      parseFrames(connection.received).some(({ type }) => type === FrameType.rstStream),
    );
    const reset = parseFrames(connection.received).filter(({ type }) => type === FrameType.rstStream);
    expect(reset.map(({ stream, payload }) => [stream, payload.readUInt32BE()])).toEqual([
      [7, constants.NGHTTP2_REFUSED_STREAM],
    ]);
    for (const finish of answers) finish();
    await connection.until(() => ended(connection.received) === 3);
    connection.socket.destroy();
  });

  test('a client that resets its streams as fast as it opens them is sent away', async () => {
    let handled = 0;
    const port = await openTestPort({ handlers: { request: () => void handled++ } });
    const connection = await RawConnection.open(port.address.port);
    connection.send(greeting());
    const reset = Buffer.alloc(4);
    reset.writeUInt32BE(constants.NGHTTP2_CANCEL);
    const burst: Buffer[] = [];
    for (let id = 1; id < 2 * 5_000; id += 2)
      burst.push(getFrame(id), frame(FrameType.rstStream, 0, id, reset));
    connection.send(Buffer.concat(burst));
    await connection.untilClosed();
    const goaway = parseFrames(connection.received).find(({ type }) => type === FrameType.goaway);
    expect(goaway?.payload.readUInt32BE(4)).not.toBe(constants.NGHTTP2_NO_ERROR);
    expect(handled).toBeLessThan(1_200);
    expect(port.inFlight).toBe(0);
  });

  test('a client that floods with SETTINGS is sent away', async () => {
    const port = await openTestPort();
    const connection = await RawConnection.open(port.address.port);
    connection.socket.pause();
    connection.send(greeting());
    const settings = Buffer.concat(Array.from({ length: 20_000 }, () => frame(FrameType.settings, 0, 0)));
    const gone = new Promise((resolve) => connection.socket.once('error', resolve));
    const flood = setInterval(() => {
      if (connection.socket.writableLength < settings.length) connection.send(settings);
    }, 1);
    await gone;
    clearInterval(flood);
    await untilEmpty(port);
  });
});

function closed(session: ClientHttp2Session): Promise<void> {
  return new Promise((resolve) => {
    if (session.destroyed) resolve();
    else session.once('close', () => resolve());
  });
}

/** The server's end of a connection closes some turns after the client's. */
async function untilEmpty(port: { readonly connections: number }): Promise<void> {
  while (port.connections > 0) await new Promise((resolve) => setImmediate(resolve));
}

function getFrame(stream: number): Buffer {
  const block = headerBlock([
    [':method', 'GET'],
    [':scheme', 'http'],
    [':authority', 'a'],
    [':path', '/'],
  ]);
  return frame(FrameType.headers, END_HEADERS | END_STREAM, stream, block);
}

/** How many streams have ended cleanly in these bytes. */
function ended(bytes: Buffer): number {
  return parseFrames(bytes).filter(
    ({ type, flags }) => type <= FrameType.headers && (flags & END_STREAM) !== 0,
  ).length;
}

describe('a connection of HTTP/2 whose client has said GOAWAY', () => {
  const request = frame(
    FrameType.headers,
    END_HEADERS | END_STREAM,
    1,
    headerBlock([
      [':method', 'GET'],
      [':scheme', 'http'],
      [':authority', 'a'],
      [':path', '/x'],
    ]),
  );
  const goaway = frame(FrameType.goaway, 0, 0, Buffer.alloc(8));

  test('is not kept for good when it broke behind that', async () => {
    const port = await openTestPort({ idleTimeoutMs: 50, handlers: { request: () => {} } });
    const connection = await RawConnection.open(port.address.port);
    connection.send(
      Buffer.concat([greeting(), request, goaway, frame(FrameType.continuation, END_HEADERS, 1)]),
    );
    await connection.closed;
    await untilEmpty(port);
    expect(port.inFlight).toBe(0);
  });

  test('is kept as long as its last request takes', async () => {
    const answer = Promise.withResolvers<() => void>();
    const port = await openTestPort({
      idleTimeoutMs: 50,
      handlers: { request: (_req, res) => answer.resolve(() => res.end('late')) },
    });
    const connection = await RawConnection.open(port.address.port);
    connection.send(Buffer.concat([greeting(), request, goaway]));
    const end = await answer.promise;
    // Several times the timeout, and several sweeps.
    await new Promise((resolve) => setTimeout(resolve, 400));
    end();
    expect(await connection.until((text) => text.includes('late'))).toContain('late');
    connection.socket.destroy();
  });
});

test('a client that pipelines without waiting gets no more than 100 requests served at a time', async () => {
  const waiting: AnyResponse[] = [];
  const port = await openTestPort({ handlers: { request: (_req, res) => void waiting.push(res) } });
  const connection = await RawConnection.open(port.address.port);
  connection.send('GET /x HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(300));
  connection.send('GET /x HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(300));
  await expect.poll(() => waiting.length).toBeGreaterThanOrEqual(100);
  for (const res of waiting) res.end('ok');
  const answers = parseResponses(await connection.untilClosed());
  expect([waiting.length, answers.length]).toEqual([100, 100]);
  expect(answers.at(-1)?.head).toMatch(/\r\nConnection: close/i);
});
