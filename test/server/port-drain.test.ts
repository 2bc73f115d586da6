import type { ServerResponse } from 'node:http';
import { constants } from 'node:http2';
import { connect } from 'node:net';
import { describe, expect, test } from 'vitest';
import { END_STREAM, FrameType, parseFrames } from '../helpers/http2-frames.ts';
import {
  type AnyResponse,
  ask,
  get,
  openHttp2,
  openTestPort,
  parseResponses,
  type TestPort,
} from './port-fixture.ts';
import { RawConnection } from './port-raw-connection.ts';

/** A port whose handlers wait: `arrived(n)` resolves with the first n responses, unanswered. */
async function openWaitingPort(
  onUpgrade = (): void => {},
): Promise<{ port: TestPort; arrived: (count: number) => Promise<ServerResponse[]> }> {
  const responses: AnyResponse[] = [];
  let check = (): void => {};
  const port = await openTestPort({
    handlers: {
      request(_req, res) {
        responses.push(res);
        check();
      },
      upgrade(_req, socket) {
        socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n');
        socket.on('data', (chunk) => socket.write(chunk));
        socket.on('end', () => socket.end());
        onUpgrade();
      },
    },
  });
  const arrived = (count: number): Promise<ServerResponse[]> =>
    new Promise((resolve) => {
      check = () => {
        if (responses.length >= count) resolve(responses as ServerResponse[]);
      };
      check();
    });
  return { port, arrived };
}

async function open(port: TestPort, bytes: string): Promise<RawConnection> {
  const connection = await RawConnection.open(port.address.port);
  connection.send(bytes);
  return connection;
}

describe('a drain', () => {
  test('is done at once when nothing is under way', async () => {
    const port = await openTestPort();
    const idle = await open(port, get('/1'));
    await idle.until((text) => text.includes('GET /1 '));
    const silent = await RawConnection.open(port.address.port);
    const session = openHttp2(port);
    await ask(session, { ':path': '/2' });
    expect(await port.drain(60_000)).toEqual({ completed: 0, broken: 0 });
    expect(await idle.closed).toBe('fin');
    await silent.closed;
    expect(port.connections).toBe(0);
  });

  test('refuses new connections at once', async () => {
    const { port, arrived } = await openWaitingPort();
    const running = await open(port, get('/1'));
    const [res] = await arrived(1);
    const drained = port.drain(60_000);
    const refused = connect(port.address.port, '127.0.0.1');
    const error = await new Promise<NodeJS.ErrnoException>((resolve) => refused.once('error', resolve));
    expect(error.code).toBe('ECONNREFUSED');
    res?.end('done');
    expect(await drained).toEqual({ completed: 1, broken: 0 });
    await running.closed;
  });

  test('lets an answer finish that has not begun, and says that the connection closes', async () => {
    const { port, arrived } = await openWaitingPort();
    const running = await open(port, get('/1'));
    const [res] = await arrived(1);
    const drained = port.drain(60_000);
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    res?.end('done');
    const [answer] = parseResponses(await running.untilClosed());
    expect(answer?.body).toBe('done');
    expect(answer?.head).toMatch(/\r\nconnection: close/i);
    expect(await running.closed).toBe('fin');
    expect(await drained).toEqual({ completed: 1, broken: 0 });
  });

  test('lets streams finish whose head is out, on both protocols', async () => {
    const { port, arrived } = await openWaitingPort();
    const one = await open(port, get('/1'));
    const session = openHttp2(port);
    const two = ask(session, { ':path': '/2' });
    const responses = await arrived(2);
    for (const res of responses) res.write('first ');
    await one.until((text) => text.includes('first '));
    let done = false;
    const drained = port.drain(60_000).then((result) => {
      done = true;
      return result;
    });
    await new Promise((resolve) => session.once('goaway', resolve));
    expect(done).toBe(false);
    for (const res of responses) res.end('last');
    expect(await one.untilClosed()).toContain('\r\n0\r\n\r\n');
    expect(await two).toMatchObject({ status: 200, body: 'first last' });
    expect(await drained).toEqual({ completed: 2, broken: 0 });
  });

  test('answers what the client had pipelined, and nothing that comes later', async () => {
    const { port, arrived } = await openWaitingPort();
    const running = await open(port, get('/1') + get('/2'));
    const responses = await arrived(2);
    const drained = port.drain(60_000);
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    running.send(get('/3'));
    responses[1]?.end('two');
    responses[0]?.end('one');
    const answers = parseResponses(await running.untilClosed());
    expect(answers.map(({ body }) => body)).toEqual(['one', 'two']);
    expect(answers.map(({ head }) => /connection: close/i.test(head))).toEqual([false, true]);
    expect(await drained).toEqual({ completed: 2, broken: 0 });
  });

  test('serves a request whose head was half there, and closes behind it', async () => {
    const port = await openTestPort();
    const half = await open(port, get('/1'));
    await half.until((text) => text.includes('GET /1 '));
    const probe = port.inFlight;
    half.send('GET /2 HTTP/1.1\r\nHo');
    // The bytes have arrived when those of a later connection are answered.
    const later = await open(port, get('/later', 'Connection: close'));
    await later.untilClosed();
    const drained = port.drain(60_000);
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    half.send('st: a\r\n\r\n');
    const answers = parseResponses(await half.untilClosed());
    expect(answers.map(({ body }) => body)).toEqual(['GET /1 ', 'GET /2 ']);
    expect(answers[1]?.head).toMatch(/\r\nconnection: close/i);
    expect(await drained).toEqual({ completed: 1 + probe, broken: 0 });
  });

  test('serves a request that the kernel had already', async () => {
    const port = await openTestPort();
    const kept = await open(port, get('/1'));
    await kept.until((text) => text.includes('GET /1 '));
    // Written and not yet read: the drain begins in the same turn.
    await new Promise<void>((resolve) => kept.socket.write(get('/2'), () => resolve()));
    const drained = port.drain(60_000);
    expect(parseResponses(await kept.untilClosed()).map(({ body }) => body)).toEqual(['GET /1 ', 'GET /2 ']);
    expect(await drained).toEqual({ completed: 1, broken: 0 });
  });

  test('waits for a websocket and refuses another', async () => {
    const upgraded = Promise.withResolvers<void>();
    const { port } = await openWaitingPort(() => upgraded.resolve());
    const half = await open(port, 'GET /ws HTTP/1.1\r\nHost: a\r\n');
    const socket = await open(port, get('/ws', 'Connection: Upgrade', 'Upgrade: websocket'));
    await upgraded.promise;
    expect(port.inFlight).toBe(1);
    const drained = port.drain(60_000);
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    half.send('Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    expect(parseResponses(await half.untilClosed())[0]?.status).toBe(503);
    socket.send('still here');
    await socket.until((text) => text.includes('still here'));
    socket.socket.end();
    expect(await drained).toEqual({ completed: 1, broken: 0 });
  });

  test('breaks at the deadline what is left, and never ends it cleanly', async () => {
    const { port, arrived } = await openWaitingPort();
    const chunked = await open(port, get('/1'));
    const untilClose = await open(port, 'GET /2 HTTP/1.0\r\nHost: a\r\n\r\n');
    const waiting = await open(port, get('/3'));
    const session = openHttp2(port);
    const stream = session.request({ ':path': '/4' });
    const failed = new Promise<Error>((resolve) => stream.once('error', resolve));
    let cleanEnd = false;
    stream.on('end', () => {
      cleanEnd = stream.rstCode === constants.NGHTTP2_NO_ERROR;
    });
    stream.resume();
    const websocket = await open(port, get('/ws', 'Connection: Upgrade', 'Upgrade: websocket'));
    await websocket.until((text) => text.includes('101'));
    const responses = await arrived(4);
    for (const res of responses) if (res.req.url !== '/3') res.write('first ');
    await Promise.all([chunked, untilClose].map((one) => one.until((text) => text.includes('first '))));

    expect(await port.drain(150)).toEqual({ completed: 0, broken: 5 });
    expect(await chunked.closed).toBe('reset');
    expect(chunked.text).not.toContain('\r\n0\r\n');
    expect(await untilClose.closed).toBe('reset');
    expect(await waiting.closed).toBe('reset');
    expect(await websocket.closed).toBe('reset');
    expect(await failed).toMatchObject({ message: expect.stringContaining('INTERNAL_ERROR') });
    expect(cleanEnd).toBe(false);
    expect(port.connections).toBe(0);
  });

  test('resets a broken stream of HTTP/2 without END_STREAM before it', async () => {
    const { port, arrived } = await openWaitingPort();
    const session = openHttp2(port);
    // The raw bytes, by a connection that reads what a client library would interpret.
    const { greeting, frame, headerBlock } = await import('../helpers/http2-frames.ts');
    const raw = await RawConnection.open(port.address.port);
    const block = headerBlock([
      [':method', 'GET'],
      [':scheme', 'http'],
      [':authority', 'a'],
      [':path', '/'],
    ]);
    raw.send(Buffer.concat([greeting(), frame(FrameType.headers, 0x5, 1, block)]));
    const [res] = await arrived(1);
    res?.write('first');
    await raw.until((text) => text.includes('first'));
    await port.drain(50);
    await raw.closed;
    const frames = parseFrames(raw.received);
    expect(
      frames.filter(({ stream, flags, type }) => stream === 1 && type <= 1 && (flags & END_STREAM) !== 0),
    ).toEqual([]);
    expect(frames.some(({ stream, type }) => stream === 1 && type === FrameType.rstStream)).toBe(true);
    session.destroy();
  });

  test('called again with an earlier deadline breaks earlier, and both calls learn the same', async () => {
    const { port, arrived } = await openWaitingPort();
    const running = await open(port, get('/1'));
    await arrived(1);
    const patient = port.drain(60_000);
    const impatient = port.drain(0);
    const later = port.drain(60_000);
    expect(await impatient).toEqual({ completed: 0, broken: 1 });
    expect(await patient).toEqual(await later);
    expect(await running.closed).toBe('reset');
  });

  test('counts a client that leaves as an exchange that came to its end', async () => {
    const { port, arrived } = await openWaitingPort();
    const running = await open(port, get('/1'));
    await arrived(1);
    const drained = port.drain(60_000);
    running.socket.destroy();
    expect(await drained).toEqual({ completed: 1, broken: 0 });
  });
});
