/**
 * The load of the streaming cases, with the upstream that echoes: one process on the load's core. Tells its parent the
 * upstream's port, then takes one job at a time.
 */
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { PassthroughService } from '../../gen/sluice/v1/passthrough_service_pb.ts';
import { masterKey } from '../load/exchange.ts';
import { openWindow, type Subject, type WindowReading } from '../measure/window.ts';
import { CHUNK_BYTES } from './exchange.ts';

export interface StreamJob {
  /** `forward`: Forward over gRPC; `raw`: a chunked POST of the raw port. */
  readonly kind: 'forward' | 'raw';
  readonly port: number;
  readonly subject: Subject;
  readonly streams: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
}

export interface StreamResult {
  readonly window: WindowReading;
  /** Chunks that went up and came back. */
  readonly chunks: number;
}

const CHUNK = Buffer.alloc(CHUNK_BYTES, 'x');

/** A chunk is sent when the one before has come back in full. */
class PingPong {
  chunks = 0;
  isOver = false;
  #missing = CHUNK_BYTES;

  /** @returns true: send the next one */
  came(bytes: number): boolean {
    this.#missing -= bytes;
    if (this.#missing > 0) return false;
    this.#missing += CHUNK_BYTES;
    this.chunks++;
    return !this.isOver;
  }
}

async function forwardStream(port: number, game: PingPong): Promise<void> {
  const transport = createGrpcTransport({ baseUrl: `http://127.0.0.1:${port}` });
  const client = createClient(PassthroughService, transport);
  let next = Promise.withResolvers<void>();
  next.resolve();
  async function* up() {
    yield { part: { case: 'head' as const, value: HEAD } };
    for (;;) {
      await next.promise;
      if (game.isOver) return;
      next = Promise.withResolvers<void>();
      yield { part: { case: 'chunk' as const, value: CHUNK } };
    }
  }
  const answers = client.forward(up(), { headers: { authorization: `Bearer ${masterKey}` } });
  for await (const { part } of answers) {
    if (part.case === 'head' && part.value.status !== 200) throw new Error(`answered ${part.value.status}`);
    if (part.case === 'chunk' && (game.came(part.value.length) || game.isOver)) next.resolve();
  }
}

async function rawStream(port: number, game: PingPong): Promise<void> {
  const headers = Object.fromEntries(HEAD.headers.map(({ name, value }) => [name, value]));
  const upload = request({ port, path: HEAD.path, method: HEAD.method, headers, agent: false });
  upload.write(CHUNK);
  const [answer] = await once(upload, 'response');
  if (answer.statusCode !== 200) throw new Error(`answered ${answer.statusCode}`);
  answer.on('data', (chunk: Buffer) => {
    if (game.came(chunk.length)) upload.write(CHUNK);
    else if (game.isOver) upload.end();
  });
  await once(answer, 'end');
}

const HEAD = {
  method: 'POST',
  path: '/echo',
  headers: [
    { name: 'Authorization', value: `Bearer ${masterKey}` },
    { name: 'Content-Type', value: 'application/octet-stream' },
  ],
};

async function run(job: StreamJob): Promise<StreamResult> {
  const play = job.kind === 'forward' ? forwardStream : rawStream;
  const games = Array.from({ length: job.streams }, () => new PingPong());
  const ends = Promise.all(games.map((game) => play(job.port, game)));
  const measured = (async () => {
    await sleep(job.warmUpMs);
    const before = total(games);
    const close = openWindow(job.subject);
    await sleep(job.measureMs);
    const window = close();
    const chunks = total(games) - before;
    for (const game of games) game.isOver = true;
    return { window, chunks };
  })();
  await Promise.race([ends, measured]);
  const result = await measured;
  await ends;
  return result;
}

function total(games: readonly PingPong[]): number {
  return games.reduce((sum, { chunks }) => sum + chunks, 0);
}

process.on('message', (job: StreamJob) => {
  run(job).then(
    (result) => process.send?.({ ok: true, result }),
    (error: unknown) => process.send?.({ ok: false, fault: String(error) }),
  );
});
process.on('disconnect', () => process.exit(0));

const upstream = createServer((incoming, outgoing) => {
  outgoing.writeHead(200, { 'content-type': 'application/octet-stream' });
  outgoing.flushHeaders();
  incoming.pipe(outgoing);
});
upstream.listen(0, '127.0.0.1', () => {
  process.send?.({ port: (upstream.address() as AddressInfo).port });
});
