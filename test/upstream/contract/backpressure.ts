import { createHash, randomBytes } from 'node:crypto';
import { describe, expect } from 'vitest';
import type { UpstreamClient } from '../../../src/upstream/client.ts';
import { send, settled, upload } from './recorder.ts';
import {
  answering,
  type ScriptedUpstream,
  scriptedUpstream,
  type UpstreamOptions,
} from './scripted-upstream.ts';
import type { Rows } from './subject.ts';

/** More than the kernel's buffers of both sides hold together. */
export const BIG = 40 * 1024 * 1024;
/** What a client may hold or hand on after it was told to pause: one read. */
const ONE_READ = 256 * 1024;

const block = randomBytes(1024 * 1024);
/** The length of `BIG` bytes as chunks of a block each. */
const CODED = (BIG / block.length) * (block.length + '100000\r\n\r\n'.length) + '0\r\n\r\n'.length;

/** Answers with `total` bytes of known content. */
export function generous(total: number, options?: UpstreamOptions): Promise<ScriptedUpstream> {
  return scriptedUpstream(async (peer) => {
    await peer.readRequest();
    peer.write(`HTTP/1.1 200 OK\r\nContent-Length: ${total}\r\n\r\n`);
    for (let sent = 0; sent < total; sent += block.length) peer.write(block.subarray(0, total - sent));
  }, options);
}

function digestOf(total: number): string {
  const hash = createHash('sha256');
  for (let sent = 0; sent < total; sent += block.length) hash.update(block.subarray(0, total - sent));
  return hash.digest('hex');
}

/** Time for the upstream to do what it can: a hundred exchanges with another one. */
async function somebodyElse(client: UpstreamClient): Promise<void> {
  const { origin } = await answering('HTTP/1.1 204 No Content\r\n\r\n');
  for (let round = 0; round < 100; round++) await send(client, origin).recorder.ended();
}

/** A reader that has paused: nothing more than a read's worth comes, and the upstream stalls; then all of it comes. */
export async function pausesAndResumes(client: UpstreamClient, upstream: ScriptedUpstream): Promise<void> {
  const hash = createHash('sha256');
  let reading = false;
  const { call, recorder } = send(client, upstream.origin, {
    reactions: {
      keepBody: false,
      onData: (chunk) => {
        hash.update(chunk);
        return reading;
      },
    },
  });
  await recorder.when(({ bytes }) => bytes > 0);
  await somebodyElse(client);
  expect(recorder.bytes).toBeLessThanOrEqual(2 * ONE_READ);
  expect(upstream.peers[0]?.socket.writableLength).toBeGreaterThan(0);
  reading = true;
  call.resume();
  await recorder.ended();
  expect(recorder.bytes).toBe(BIG);
  expect(hash.digest('hex')).toBe(digestOf(BIG));
}

export function backpressure({ row }: Pick<Rows, 'row'>): void {
  describe('backpressure', () => {
    row('stops reading when onData says so, and loses nothing', async (client) => {
      await pausesAndResumes(client, await generous(BIG));
    });

    row('holds when every read pauses', async (client) => {
      const total = 6 * 1024 * 1024 + 17;
      const upstream = await generous(total);
      const hash = createHash('sha256');
      const { call, recorder } = send(client, upstream.origin, {
        reactions: {
          keepBody: false,
          onData: (chunk) => {
            hash.update(chunk);
            setImmediate(() => call.resume());
            return false;
          },
        },
      });
      await recorder.ended();
      expect(recorder.bytes).toBe(total);
      expect(hash.digest('hex')).toBe(digestOf(total));
    });

    row('holds for chunks when every read pauses', async (client) => {
      const upstream = await scriptedUpstream(async (peer) => {
        await peer.readRequest();
        peer.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
        for (let i = 0; i < 2_000; i++) peer.write(`7d0\r\n${String(i % 10).repeat(2_000)}\r\n`);
        peer.write('0\r\nX: y\r\n\r\n');
      });
      const { call, recorder } = send(client, upstream.origin, {
        reactions: {
          onData: () => {
            setImmediate(() => call.resume());
            return false;
          },
        },
      });
      await recorder.ended();
      expect(recorder.trailers).toEqual(['X', 'y']);
      const expected = Array.from({ length: 2_000 }, (_, i) => String(i % 10).repeat(2_000)).join('');
      expect(recorder.body.equals(Buffer.from(expected))).toBe(true);
    });

    row('holds when pause() comes from outside, even before the head', async (client) => {
      const upstream = await generous(BIG);
      const { call, recorder } = send(client, upstream.origin, { reactions: { keepBody: false } });
      call.pause();
      call.pause();
      while (upstream.peers.length === 0) await settled();
      await somebodyElse(client);
      expect(recorder.bytes).toBeLessThanOrEqual(2 * ONE_READ);
      call.resume();
      call.resume();
      expect((await recorder.ended()).bytes).toBe(BIG);
    });

    row('lets a response end that was complete when its reader paused', async (client) => {
      const upstream = await answering('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi');
      for (let round = 0; round < 2; round++) {
        const { call, recorder } = send(client, upstream.origin, { reactions: { onData: () => false } });
        await recorder.when(({ bytes }) => bytes === 2);
        call.resume();
        expect((await recorder.ended()).events).toEqual(['head', 'data', 'end']);
        await settled();
      }
      expect(upstream.peers.length).toBe(1);
    });

    row('reports the end of a paused body that ends with the connection after its bytes', async (client) => {
      const upstream = await scriptedUpstream(async (peer) => {
        await peer.readRequest();
        peer.write('HTTP/1.1 200 OK\r\n\r\n');
        peer.write(Buffer.alloc(3_000_000, 'x'));
        peer.end();
      });
      const { call, recorder } = send(client, upstream.origin, {
        reactions: {
          keepBody: false,
          onData: () => {
            setImmediate(() => call.resume());
            return false;
          },
        },
      });
      expect((await recorder.ended()).bytes).toBe(3_000_000);
    });

    for (const length of [BIG, null]) {
      row(
        `stops taking a request when the upstream does not read (${length === null ? 'chunked' : 'length'})`,
        async (client) => {
          const upstream = await scriptedUpstream(async (peer) => {
            await peer.readHead();
            peer.socket.pause();
            await released.promise;
            peer.socket.resume();
            received.resolve(
              length === null ? withoutChunks(await peer.read(CODED)) : await peer.read(length),
            );
            peer.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi');
          });
          const released = Promise.withResolvers<void>();
          const received = Promise.withResolvers<Buffer>();
          const { call, recorder } = send(client, upstream.origin, upload(upstream.origin, length));
          let written = 0;
          let stalledAt = 0;
          while (written < BIG) {
            const { drains } = recorder;
            written += block.length;
            if (call.write(block)) continue;
            const drained = recorder.when((now) => now.drains > drains).then(() => true);
            if (stalledAt === 0 && !(await Promise.race([drained, somebodyElse(client).then(() => false)]))) {
              stalledAt = written;
              released.resolve();
            }
            await drained;
          }
          call.end();
          await recorder.ended();
          expect(stalledAt).toBeGreaterThan(0);
          const body = await received.promise;
          expect(body.length).toBe(BIG);
          expect(createHash('sha256').update(body).digest('hex')).toBe(digestOf(BIG));
        },
      );
    }
  });
}

function withoutChunks(coded: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; ; ) {
    const lineEnd = coded.indexOf('\r\n', at);
    const size = Number.parseInt(coded.toString('latin1', at, lineEnd), 16);
    if (size === 0) return Buffer.concat(parts);
    parts.push(coded.subarray(lineEnd + 2, lineEnd + 2 + size));
    at = lineEnd + 2 + size + 2;
  }
}
