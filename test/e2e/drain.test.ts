import { once } from 'node:events';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { configFile, type Serving, startServing } from '../helpers/program.ts';
import { type RawClient, rawClient } from '../helpers/raw-client.ts';
import { startVllmSim, type VllmSim } from '../vllm-sim/index.ts';

const STREAM = '/v1/chat/completions';
const FIRST = 'data: first\n\n';
const LAST = 'data: [DONE]\n\n';

interface Scene {
  readonly program: Serving;
  readonly sim: VllmSim;
  /** Lets every stream come to its end. */
  finish(): void;
}

/** A program in front of an upstream whose streams say something and then wait. */
async function scene(drainTimeout: number): Promise<Scene> {
  const sim = await startVllmSim();
  onTestFinished(() => sim.close());
  const finished = Promise.withResolvers<void>();
  const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;
  sim.script(STREAM, async (socket) => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n');
    socket.write(chunk(FIRST));
    await finished.promise;
    socket.end(`${chunk(LAST)}0\r\n\r\n`);
  });
  const config = configFile(`general_settings: { drain_timeout: ${drainTimeout} }\n`);
  const program = await startServing({ args: ['--config', config], env: { HOSTED_VLLM_API_BASE: sim.url } });
  return { program, sim, finish: () => finished.resolve() };
}

const REQUEST = `GET ${STREAM} HTTP/1.1\r\nHost: localhost\r\n\r\n`;

async function openHttp1Streams(program: Serving, count: number): Promise<RawClient[]> {
  const clients = await Promise.all(Array.from({ length: count }, () => rawClient(program.port)));
  for (const client of clients) client.send(REQUEST);
  await Promise.all(clients.map((client) => client.until(FIRST)));
  return clients;
}

interface Http2Stream {
  readonly text: () => string;
  readonly closed: Promise<number>;
}

async function openHttp2Streams(
  program: Serving,
  count: number,
): Promise<{ readonly session: ClientHttp2Session; readonly streams: Http2Stream[] }> {
  const session = connectHttp2(program.url);
  session.on('error', () => {});
  onTestFinished(() => session.destroy());
  const streams = await Promise.all(
    Array.from({ length: count }, async (): Promise<Http2Stream> => {
      const stream = session.request({ ':path': STREAM });
      let text = '';
      stream.setEncoding('utf8').on('data', (data: string) => {
        text += data;
      });
      stream.on('error', () => {});
      const closed = new Promise<number>((resolve) => {
        stream.on('close', () => resolve(stream.rstCode ?? 0));
      });
      await once(stream, 'data');
      return { text: () => text, closed };
    }),
  );
  return { session, streams };
}

/** The code with which a new connection fails, or null where it is taken. */
async function refusal(port: number): Promise<string | null> {
  const socket = connect({ port, host: '127.0.0.1' });
  try {
    await once(socket, 'connect');
    return null;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? null;
  } finally {
    socket.destroy();
  }
}

const draining = (program: Serving) => program.line(({ msg }) => String(msg).includes('draining'));

describe('SIGTERM during many streams', () => {
  test('lets all of them complete, takes no new connection, and ends with 0', async () => {
    const { program, finish } = await scene(30);
    const idle = await rawClient(program.port);
    idle.send('GET /health/liveliness HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await idle.until('alive');
    const clients = await openHttp1Streams(program, 60);
    const { streams } = await openHttp2Streams(program, 60);
    program.signal('SIGTERM');
    expect((await draining(program)).msg).toBe('draining, 120 requests under way');
    expect(await refusal(program.port)).toBe('ECONNREFUSED');
    expect((await idle.closed()).error).toBeNull();
    finish();
    for (const client of clients) {
      const { bytes, error } = await client.closed();
      expect(error).toBeNull();
      expect(bytes.toString().endsWith(`${LAST}\r\n0\r\n\r\n`)).toBe(true);
    }
    for (const stream of streams) {
      expect(await stream.closed).toBe(0);
      expect(stream.text()).toBe(FIRST + LAST);
    }
    expect(await program.ended).toMatchObject({ code: 0, stderr: '' });
    expect(program.lines.at(-1)).toMatchObject({
      msg: 'stopped: 120 requests finished while draining, 0 were broken off',
    });
  });

  test('breaks what is left at the deadline, never ends it, and ends with 3', async () => {
    const { program, sim } = await scene(0.3);
    const clients = await openHttp1Streams(program, 5);
    const { streams } = await openHttp2Streams(program, 5);
    program.signal('SIGTERM');
    for (const client of clients) {
      const { bytes } = await client.closed();
      expect(bytes.toString().endsWith(`${FIRST}\r\n`)).toBe(true);
    }
    for (const stream of streams) {
      expect(await stream.closed).not.toBe(0);
      expect(stream.text()).toBe(FIRST);
    }
    expect(await program.ended).toMatchObject({ code: 3 });
    expect(program.lines.at(-1)).toMatchObject({
      msg: 'stopped: 0 requests finished while draining, 10 were broken off',
    });
    await sim.waitForIdle();
    expect(sim.requests.map(({ outcome }) => outcome)).toEqual(Array(10).fill('aborted'));
  });

  test.each(['SIGTERM', 'SIGINT'] as const)('a second %s breaks what is left at once', async (signal) => {
    const { program } = await scene(60);
    const clients = await openHttp1Streams(program, 3);
    program.signal(signal);
    await draining(program);
    program.signal(signal);
    for (const client of clients) expect((await client.closed()).bytes.toString()).not.toContain('\r\n0\r\n');
    expect(await program.ended).toMatchObject({ code: 3 });
  });
});

test('without a request under way SIGTERM ends the program at once, kept-alive connections or not', async () => {
  const { program } = await scene(60);
  const client = await rawClient(program.port);
  client.send('GET /vllm/version HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await client.until('"version"');
  const session = connectHttp2(program.url);
  onTestFinished(() => session.destroy());
  await once(session, 'connect');
  program.signal('SIGTERM');
  expect(await program.ended).toMatchObject({ code: 0 });
});
