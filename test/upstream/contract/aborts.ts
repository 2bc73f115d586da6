import { describe, expect } from 'vitest';
import type { Peer } from './peer.ts';
import { post, type RequestParts, type Sent, send, settled, upload } from './recorder.ts';
import { answering, scriptedUpstream, unreachableOrigin } from './scripted-upstream.ts';
import type { Rows } from './subject.ts';

interface Stage {
  readonly name: string;
  /** What the upstream does before the client gives up. */
  readonly upstream: (peer: Peer) => Promise<void> | void;
  /** Resolves when the stage is reached. */
  readonly reached: (sent: Sent, peer: Peer) => Promise<unknown>;
  readonly request?: (parts: { readonly host: string }) => RequestParts;
}

const STAGES: readonly Stage[] = [
  {
    name: 'before an answer',
    upstream: async (peer) => void (await peer.readRequest()),
    reached: async (_sent, peer) => {
      while (!peer.socket.bytesRead) await settled();
    },
  },
  {
    name: 'in the head',
    upstream: async (peer) => {
      await peer.readRequest();
      peer.write('HTTP/1.1 200 OK\r\nX-Sl');
    },
    reached: async (_sent, peer) => {
      while (peer.socket.bytesWritten < 20) await settled();
      await settled();
    },
  },
  {
    name: 'behind the head',
    upstream: async (peer) => {
      await peer.readRequest();
      peer.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n');
    },
    reached: ({ recorder }) => recorder.when(({ head }) => head !== null),
  },
  {
    name: 'in the body',
    upstream: async (peer) => {
      await peer.readRequest();
      peer.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel');
    },
    reached: ({ recorder }) => recorder.when(({ bytes }) => bytes === 3),
  },
  {
    name: 'in a body that keeps coming',
    upstream: async (peer) => {
      await peer.readRequest();
      peer.write('HTTP/1.1 200 OK\r\n\r\n');
      const flood = (): void => {
        while (!peer.socket.destroyed && peer.write(Buffer.alloc(65_536)));
      };
      peer.socket.on('drain', flood);
      flood();
    },
    reached: ({ recorder }) => recorder.when(({ bytes }) => bytes > 1_000_000),
  },
];

export function aborts({ row }: Pick<Rows, 'row'>): void {
  describe('an exchange that is given up', () => {
    for (const stage of STAGES) {
      row(`closes its connection at once and reports nothing more: ${stage.name}`, async (client) => {
        const upstream = await scriptedUpstream(stage.upstream);
        const sent = send(client, upstream.origin);
        while (upstream.peers.length === 0) await settled();
        const peer = upstream.peers[0] as Peer;
        await stage.reached(sent, peer);
        sent.recorder.abandoned = true;
        sent.call.abort();
        await peer.gone;
        sent.call.abort();
        await settled();
      });
    }

    row('reports nothing more when given up before it is connected', async (client) => {
      const origin = await unreachableOrigin();
      const { call, recorder } = send(client, origin, {
        timeouts: { connectTimeoutMs: 100, firstByteTimeoutMs: 100, idleTimeoutMs: 100 },
      });
      await settled();
      recorder.abandoned = true;
      call.abort();
      // Another attempt that runs into its time limit shows that the first one's would have come.
      const timeouts = { connectTimeoutMs: 300, firstByteTimeoutMs: 100, idleTimeoutMs: 100 };
      expect((await send(client, origin, { timeouts }).recorder.failed()).kind).toBe('connect_timeout');
    });

    row('never reaches the upstream when given up in the moment it was sent', async (client) => {
      const upstream = await answering('HTTP/1.1 204 No Content\r\n\r\n');
      const { call, recorder } = send(client, upstream.origin);
      recorder.abandoned = true;
      call.abort();
      await send(client, upstream.origin).recorder.ended();
      expect(recorder.events).toEqual([]);
    });

    row('closes its connection in the midst of an upload', async (client) => {
      const begun = Promise.withResolvers<void>();
      const upstream = await scriptedUpstream(async (peer) => {
        await peer.readUntil('hello');
        begun.resolve();
      });
      const { call, recorder } = send(client, upstream.origin, upload(upstream.origin, null));
      call.write(Buffer.from('hello'));
      await begun.promise;
      recorder.abandoned = true;
      call.abort();
      await upstream.peers[0]?.gone;
      expect(call.write(Buffer.from('world'))).toBe(true);
      call.end();
      await settled();
    });

    row('closes its connection when the upstream does not read', async (client) => {
      const upstream = await scriptedUpstream((peer) => void peer.socket.pause());
      const { call, recorder } = send(
        client,
        upstream.origin,
        post(upstream.origin, Buffer.alloc(32_000_000)),
      );
      while (upstream.peers.length === 0) await settled();
      recorder.abandoned = true;
      call.abort();
      upstream.peers[0]?.socket.resume();
      await upstream.peers[0]?.gone;
    });

    row('closes its connection while the reader has paused', async (client) => {
      const upstream = await scriptedUpstream(async (peer) => {
        await peer.readRequest();
        peer.write('HTTP/1.1 200 OK\r\n\r\n');
        peer.write(Buffer.alloc(16_000_000));
      });
      const { call, recorder } = send(client, upstream.origin, { reactions: { onData: () => false } });
      await recorder.when(({ bytes }) => bytes > 0);
      recorder.abandoned = true;
      call.abort();
      call.resume();
      await upstream.peers[0]?.gone;
      await settled();
    });

    for (const event of ['onHead', 'onData'] as const) {
      row(`can be given up from within ${event}`, async (client) => {
        const upstream = await answering(
          'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n3\r\nyou\r\n0\r\n\r\n',
        );
        const giveUp = (): boolean => {
          sent.recorder.abandoned = true;
          sent.call.abort();
          return true;
        };
        const sent = send(client, upstream.origin, { reactions: { [event]: giveUp } });
        while (!sent.recorder.abandoned) await settled();
        await upstream.peers[0]?.gone;
        await settled();
        expect(sent.recorder.events).toEqual(event === 'onHead' ? ['head'] : ['head', 'data']);
      });
    }

    row('does not disturb the others', async (client) => {
      const firstGone = Promise.withResolvers<void>();
      const upstream = await scriptedUpstream(async (peer) => {
        const isFirst = (await peer.readRequest()).startsWith('GET /0 ');
        peer.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhi');
        if (isFirst) peer.gone.then(firstGone.resolve);
        await firstGone.promise;
        peer.write('ho');
      });
      const [first, ...others] = ['/0', '/1', '/2'].map((path) =>
        send(client, upstream.origin, { path }),
      ) as [Sent, ...Sent[]];
      for (const { recorder } of [first, ...others]) await recorder.when(({ bytes }) => bytes === 2);
      first.recorder.abandoned = true;
      first.call.abort();
      for (const { recorder } of others) expect((await recorder.ended()).body.toString()).toBe('hiho');
    });
  });

  describe('a call after the end of its exchange', () => {
    row('is harmless, also to the next exchange on the connection', async (client) => {
      const upstream = await scriptedUpstream(async (peer) => {
        await peer.readRequest();
        peer.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi');
        await peer.readRequest();
        for (const late of ['pause', 'resume', 'abort'] as const) first.call[late]();
        first.call.write(Buffer.from('late'));
        first.call.end(['X', 'y']);
        await settled();
        expect(peer.unread).toBe('');
        peer.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nho');
      });
      const first = send(client, upstream.origin, upload(upstream.origin, null));
      first.call.write(Buffer.from('x'));
      first.call.end();
      await first.recorder.ended();
      await settled();
      expect((await send(client, upstream.origin).recorder.ended()).body.toString()).toBe('ho');
      expect(upstream.peers.length).toBe(1);
    });

    row('is harmless after a failure', async (client) => {
      const upstream = await scriptedUpstream((peer) => peer.end());
      const { call, recorder } = send(client, upstream.origin, upload(upstream.origin, null));
      await recorder.failed();
      call.pause();
      call.resume();
      expect(call.write(Buffer.from('late'))).toBe(true);
      call.end();
      call.abort();
      await settled();
    });

    row('of write or end is harmless when the body has ended or was never streamed', async (client) => {
      const upstream = await scriptedUpstream(async (peer) => {
        for (let round = 0; round < 2; round++) {
          await peer.readRequest();
          await settled();
          expect(peer.unread).toBe('');
          peer.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi');
        }
      });
      const streamed = send(client, upstream.origin, upload(upstream.origin, 2));
      streamed.call.write(Buffer.from('hi'));
      streamed.call.end();
      streamed.call.write(Buffer.from('more'));
      streamed.call.end();
      await streamed.recorder.ended();
      await settled();
      const whole = send(client, upstream.origin, post(upstream.origin, 'hi'));
      whole.call.write(Buffer.from('more'));
      whole.call.end();
      await whole.recorder.ended();
    });
  });
}
