import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { expect, onTestFinished, test } from 'vitest';
import { FrameType, frame, greeting, headerBlock, PREFACE } from '../helpers/http2-frames.ts';
import { type Serving, startServing } from '../helpers/program.ts';
import { startVllmSim } from '../vllm-sim/index.ts';

/** Numbers that look random and are the same in every run (mulberry32). */
class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** From 0 to `limit - 1`. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.below(256)));
  }

  of<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }

  /** The same bytes with some of them changed, left out or doubled. */
  spoilt(bytes: Buffer): Buffer {
    const out = [...bytes];
    for (let i = this.below(4); i >= 0 && out.length > 0; i--) {
      const at = this.below(out.length);
      const what = this.below(3);
      if (what === 0) out[at] = this.below(256);
      else out.splice(at, 1, ...(what === 1 ? [] : [out[at] as number, out[at] as number]));
    }
    return Buffer.from(out);
  }
}

const JSON_POST = 'POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n';
const UPGRADE =
  'GET /v1/realtime HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';

/** Requests that a parser takes far into. */
const TEXTS = [
  'GET /vllm/version HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET /vllm/version HTTP/1.1\r\nHost: [::1\r\n\r\n',
  'GET /vllm/version HTTP/1.1\r\nHost: a b\r\nHost: c\r\n\r\n',
  'GET http://[/ HTTP/1.1\r\nHost: [\r\n\r\n',
  'GET /vllm/%2e%2e/%c0%ae HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET //:@ HTTP/1.1\r\nHost: a\r\n\r\n',
  'CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n',
  'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n',
  `${JSON_POST}Content-Length: 99999999999999999999\r\n\r\n{}`,
  `${JSON_POST}Content-Length: 30\r\n\r\n{"model":"x","model":"y"}     `,
  `${JSON_POST}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{`,
  `${JSON_POST}Transfer-Encoding: chunked\r\n\r\n5\r\n{"mod\r\n3\r\nel"\r\n0\r\nX: y\r\n\r\n`,
  `${JSON_POST}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n`,
  `POST /v1/audio/transcriptions HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary="\r\nContent-Length: 2\r\n\r\n--`,
  `GET /vllm/version?${'%'.repeat(9_000)} HTTP/1.1\r\nHost: a\r\n\r\n`,
  `GET /vllm/version HTTP/1.1\r\nHost: a\r\n${'X: y\r\n'.repeat(1_000)}\r\n`,
  `${UPGRADE}\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff`,
].map((text) => Buffer.from(text, 'latin1'));

/** Frames that nghttp2 takes far into. Without GOAWAY, which takes its time (test/server/port-limits.test.ts). */
const FRAMES = [
  frame(
    FrameType.headers,
    5,
    1,
    headerBlock([
      [':method', 'GET'],
      [':path', '/vllm/version'],
      [':scheme', 'http'],
      [':authority', 'a'],
    ]),
  ),
  frame(FrameType.headers, 5, 2, Buffer.from([0x82])),
  frame(FrameType.headers, 0, 1, Buffer.from([0xff, 0xff, 0xff, 0xff, 0x7f])),
  frame(
    FrameType.headers,
    4,
    3,
    headerBlock([
      [':method', 'POST'],
      [':path', '/v1/x'],
      [':scheme', 'http'],
      [':authority', 'a'],
    ]),
  ),
  frame(
    FrameType.headers,
    4,
    5,
    headerBlock([
      [':method', 'CONNECT'],
      [':protocol', 'websocket'],
      [':path', '/v1/realtime'],
      [':scheme', 'http'],
      [':authority', 'a'],
    ]),
  ),
  frame(FrameType.data, 1, 3, Buffer.from('{"model":')),
  frame(FrameType.continuation, 4, 1, Buffer.alloc(0)),
  frame(FrameType.windowUpdate, 0, 0, Buffer.from([0x7f, 0xff, 0xff, 0xff])),
  frame(FrameType.rstStream, 0, 1, Buffer.from([0, 0, 0, 8])),
  frame(FrameType.settings, 0, 0, Buffer.from([0, 4, 0xff, 0xff, 0xff, 0xff])),
  frame(FrameType.ping, 0, 0, Buffer.alloc(7)),
  frame(0xfa, 0xff, 0x7fffffff, Buffer.alloc(300)),
];

/** One client's whole speech. */
function garbage(dice: Dice): Buffer {
  switch (dice.below(8)) {
    case 0:
      return dice.bytes(1 + dice.below(3_000));
    case 1:
      return PREFACE.subarray(0, 1 + dice.below(PREFACE.length));
    case 2:
      return Buffer.concat([PREFACE, dice.bytes(dice.below(200))]);
    case 3:
    case 4: {
      const frames = Array.from({ length: 1 + dice.below(6) }, () => dice.of(FRAMES));
      return Buffer.concat([
        greeting(),
        ...frames.map((one) => (dice.below(2) === 0 ? one : dice.spoilt(one))),
      ]);
    }
    case 5: {
      const text = dice.of(TEXTS);
      return text.subarray(0, 1 + dice.below(text.length));
    }
    default:
      return Buffer.concat(Array.from({ length: 1 + dice.below(3) }, () => dice.spoilt(dice.of(TEXTS))));
  }
}

/** Says it and leaves in one of the ways there are; resolves when the connection is gone. */
async function insult(port: number, dice: Dice): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1' });
  socket.on('error', () => {});
  socket.resume();
  const closed = new Promise((resolve) => socket.on('close', resolve));
  const bytes = garbage(dice);
  const leave = dice.below(3);
  if (leave === 0) socket.end(bytes, () => setImmediate(() => socket.destroy()));
  else if (leave === 1) socket.write(bytes, () => socket.resetAndDestroy());
  else socket.write(bytes, () => setImmediate(() => socket.destroy()));
  await closed;
}

async function expectService(program: Serving): Promise<void> {
  const plain = await fetch(`${program.url}/vllm/version`);
  expect(plain.status).toBe(200);
  const session = connectHttp2(program.url);
  const stream = session.request({ ':path': '/vllm/version' });
  const [headers] = await once(stream, 'response');
  expect(headers[':status']).toBe(200);
  session.destroy();
  expect(program.alive).toBe(true);
  expect(program.stderr).toBe('');
}

async function served(): Promise<Serving> {
  const sim = await startVllmSim();
  onTestFinished(() => sim.close());
  return startServing({ args: [], env: { HOSTED_VLLM_API_BASE: sim.url } });
}

test('garbage from 600 connections does not end the process, and the next good request is served', async () => {
  const program = await served();
  await expectService(program);
  for (let seed = 1; seed <= 12; seed++) {
    const dice = new Dice(seed);
    await Promise.all(Array.from({ length: 50 }, () => insult(program.port, dice)));
    await expectService(program);
  }
  program.signal('SIGTERM');
  expect(await program.ended).toMatchObject({ code: 0, stderr: '' });
});

test('300 connections that say half of something are no burden to the others', async () => {
  const program = await served();
  const dice = new Dice(7);
  const sockets = await Promise.all(
    Array.from({ length: 300 }, async (): Promise<Socket> => {
      const socket = connect({ port: program.port, host: '127.0.0.1' });
      socket.on('error', () => {});
      onTestFinished(() => void socket.destroy());
      await once(socket, 'connect');
      socket.write(
        dice.of(['', 'P', 'PRI * HT', 'GET / HT', JSON_POST, `${JSON_POST}Content-Length: 9\r\n\r\n{`]),
      );
      return socket;
    }),
  );
  await expectService(program);
  for (const socket of sockets) socket.destroy();
  await expectService(program);
});

test('a TLS client at the cleartext port is answered like other garbage', async () => {
  const program = await served();
  const socket = connectTls({ port: program.port, host: '127.0.0.1', rejectUnauthorized: false });
  const [error] = await new Promise<[Error]>((resolve) => socket.on('error', (thrown) => resolve([thrown])));
  expect(error.message).toMatch(/wrong version number|packet length|record/i);
  await expectService(program);
});
