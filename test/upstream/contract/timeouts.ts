import { setTimeout as elapsed } from 'node:timers/promises';
import { describe, expect } from 'vitest';
import { send, upload } from './recorder.ts';
import { scriptedUpstream } from './scripted-upstream.ts';
import type { Rows } from './subject.ts';

const LONG = 10_000;

/** The time limits of a row: a short one that matters, long ones that must not. */
const limits = (short: { firstByte?: number; idle?: number }) => ({
  timeouts: {
    connectTimeoutMs: LONG,
    firstByteTimeoutMs: short.firstByte ?? LONG,
    idleTimeoutMs: short.idle ?? LONG,
  },
});

export function timeouts({ row }: Pick<Rows, 'row'>): void {
  describe('time limits', () => {
    row('fail with first_byte_timeout when no answer begins', async (client) => {
      const upstream = await scriptedUpstream(() => {});
      const since = performance.now();
      const { recorder } = send(client, upstream.origin, limits({ firstByte: 150 }));
      expect((await recorder.failed()).kind).toBe('first_byte_timeout');
      expect(performance.now() - since).toBeGreaterThan(140);
      expect(performance.now() - since).toBeLessThan(LONG / 2);
      await upstream.peers[0]?.gone;
    });

    row('do not take an interim answer for the first byte', async (client) => {
      const upstream = await scriptedUpstream(async (peer) => {
        await peer.readRequest();
        peer.write('HTTP/1.1 103 Early Hints\r\n\r\n');
      });
      const { recorder } = send(client, upstream.origin, limits({ firstByte: 150 }));
      expect((await recorder.failed()).kind).toBe('first_byte_timeout');
    });

    row('count the first byte from the end of the request', async (client) => {
      const upstream = await scriptedUpstream(async (peer) => {
        await peer.readRequest();
        peer.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi');
      });
      const { call, recorder } = send(client, upstream.origin, {
        ...upload(upstream.origin, 2),
        ...limits({ firstByte: 300 }),
      });
      call.write(Buffer.from('h'));
      await elapsed(500);
      call.write(Buffer.from('i'));
      call.end();
      expect((await recorder.ended()).body.toString()).toBe('hi');
    });

    row('begin with the end of a streamed request', async (client) => {
      const upstream = await scriptedUpstream(() => {});
      const { call, recorder } = send(client, upstream.origin, {
        ...upload(upstream.origin, null),
        ...limits({ firstByte: 150 }),
      });
      call.write(Buffer.from('h'));
      call.end();
      expect((await recorder.failed()).kind).toBe('first_byte_timeout');
    });

    row('fail with first_byte_timeout when the upstream does not take the request', async (client) => {
      const upstream = await scriptedUpstream((peer) => void peer.socket.pause());
      const { call, recorder } = send(client, upstream.origin, {
        ...upload(upstream.origin, null),
        ...limits({ firstByte: 150 }),
      });
      while (call.write(Buffer.alloc(1_000_000))) await elapsed(1);
      const failure = recorder.failed();
      // What the kernel's buffers still take is progress; then there is none.
      const pump = async (): Promise<void> => {
        for (let drained = 0; recorder.failure === null; drained = recorder.drains) {
          await recorder.when(({ drains, failure }) => drains > drained || failure !== null);
          while (recorder.failure === null && call.write(Buffer.alloc(1_000_000))) await elapsed(1);
        }
      };
      await pump();
      expect((await failure).kind).toBe('first_byte_timeout');
    });

    row('fail with idle_timeout when an answer stops in its head', async (client) => {
      const upstream = await scriptedUpstream(async (peer) => {
        await peer.readRequest();
        peer.write('HTTP/1.1 200 OK\r\nX-Sl');
      });
      const { recorder } = send(client, upstream.origin, limits({ idle: 150 }));
      expect((await recorder.failed()).kind).toBe('idle_timeout');
      expect(recorder.events).toEqual(['error']);
    });

    row('fail with idle_timeout when an answer stops in its body', async (client) => {
      const upstream = await scriptedUpstream(async (peer) => {
        await peer.readRequest();
        peer.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel');
      });
      const { recorder } = send(client, upstream.origin, limits({ idle: 150 }));
      expect((await recorder.failed()).kind).toBe('idle_timeout');
      expect(recorder.events).toEqual(['head', 'data', 'error']);
      await upstream.peers[0]?.gone;
    });

    row('do not end an answer that goes on, however long it takes', async (client) => {
      const upstream = await scriptedUpstream(async (peer) => {
        await peer.readRequest();
        peer.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
        for (let event = 0; event < 8; event++) {
          await elapsed(60);
          peer.write('1\r\nx\r\n');
        }
        peer.write('0\r\n\r\n');
      });
      const { recorder } = send(client, upstream.origin, limits({ firstByte: 400, idle: 400 }));
      expect((await recorder.ended()).body.toString()).toBe('xxxxxxxx');
    });

    row('stand still while the reader has paused, and go on afterwards', async (client) => {
      const upstream = await scriptedUpstream(async (peer) => {
        await peer.readRequest();
        peer.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel');
      });
      const { call, recorder } = send(client, upstream.origin, {
        ...limits({ idle: 150 }),
        reactions: { onData: () => false },
      });
      await recorder.when(({ bytes }) => bytes === 3);
      await elapsed(450);
      expect(recorder.failure).toBeNull();
      call.resume();
      expect((await recorder.failed()).kind).toBe('idle_timeout');
    });

    row('hold for the first byte although the reader paused and resumed before it', async (client) => {
      const upstream = await scriptedUpstream(() => {});
      const { call, recorder } = send(client, upstream.origin, limits({ firstByte: 150 }));
      await recorder.when(() => upstream.peers.length > 0);
      call.pause();
      call.resume();
      expect((await recorder.failed()).kind).toBe('first_byte_timeout');
    });

    row('of one exchange do not reach into the next on its connection', async (client) => {
      const upstream = await scriptedUpstream(async (peer) => {
        await peer.readRequest();
        peer.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi');
        await peer.readRequest();
        await elapsed(500);
        peer.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi');
      });
      await send(client, upstream.origin, limits({ firstByte: 300, idle: 300 })).recorder.ended();
      await elapsed(1);
      expect((await send(client, upstream.origin).recorder.ended()).body.toString()).toBe('hi');
      expect(upstream.peers.length).toBe(1);
    });
  });
}
