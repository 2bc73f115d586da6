import { describe, expect } from 'vitest';
import type { Origin } from '../../../src/upstream/client.ts';
import type { Peer } from './peer.ts';
import { post, type RequestParts, send, settled, upload } from './recorder.ts';
import { type ScriptedUpstream, scriptedUpstream } from './scripted-upstream.ts';
import type { Rows } from './subject.ts';

const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi';

/** An upstream whose first connection answers one request and then does `fate` to the second. */
async function mortalUpstream(
  fate: (peer: Peer) => Promise<void> | void,
  later: (peer: Peer, request: string) => Promise<void> | void = (peer) => void peer.write(ANSWER),
): Promise<ScriptedUpstream & { readonly requests: string[] }> {
  const requests: string[] = [];
  const upstream = await scriptedUpstream(async (peer) => {
    if (peer.index === 0) {
      await peer.readRequest();
      peer.write(ANSWER);
      requests.push(await peer.readRequest());
      await fate(peer);
      return;
    }
    const request = await peer.readRequest();
    requests.push(request);
    await later(peer, request);
  });
  return { ...upstream, requests };
}

const BODIES: readonly (readonly [name: string, parts: (origin: Origin) => RequestParts])[] = [
  ['no body', () => ({})],
  ['a small whole body', (origin) => post(origin, 'hello')],
  ['a large whole body', (origin) => post(origin, Buffer.alloc(200_000, 'x'))],
];

export function staleConnections({ row }: Pick<Rows, 'row'>): void {
  describe('a kept-alive connection that turns out to be dead', () => {
    for (const [name, parts] of BODIES) {
      row(`is replaced by a fresh one, once: reset under ${name}`, async (client) => {
        const upstream = await mortalUpstream((peer) => peer.reset());
        await send(client, upstream.origin).recorder.ended();
        await settled();
        const { recorder } = send(client, upstream.origin, parts(upstream.origin));
        expect((await recorder.ended()).body.toString()).toBe('hi');
        expect(upstream.peers.length).toBe(2);
        expect(upstream.requests[1]).toBe(upstream.requests[0]);
      });
    }

    row('is replaced by a fresh one when it ends without a reset', async (client) => {
      const upstream = await mortalUpstream((peer) => peer.end());
      await send(client, upstream.origin).recorder.ended();
      await settled();
      const { recorder } = send(client, upstream.origin);
      expect((await recorder.ended()).body.toString()).toBe('hi');
      expect(upstream.peers.length).toBe(2);
    });

    row('fails with reset under a streamed body, which is not there any more', async (client) => {
      const upstream = await mortalUpstream((peer) => peer.reset());
      await send(client, upstream.origin).recorder.ended();
      await settled();
      const { call, recorder } = send(client, upstream.origin, upload(upstream.origin, 5));
      call.write(Buffer.from('hello'));
      call.end();
      expect((await recorder.failed()).kind).toBe('reset');
      await settled();
      expect(upstream.peers.length).toBe(1);
    });

    for (const [name, bytes] of [
      ['a byte of an answer', 'H'],
      ['an interim answer', 'HTTP/1.1 103 Early Hints\r\n\r\n'],
      ['a head', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n'],
    ] as const) {
      row(`is not replaced once ${name} has come`, async (client) => {
        const upstream = await mortalUpstream((peer) => {
          peer.write(bytes);
          peer.end();
        });
        await send(client, upstream.origin).recorder.ended();
        await settled();
        const { recorder } = send(client, upstream.origin);
        expect((await recorder.failed()).kind).toBe('reset');
        await settled();
        expect(upstream.peers.length).toBe(1);
      });
    }

    row('is never replaced twice', async (client) => {
      const upstream = await mortalUpstream(
        (peer) => peer.reset(),
        (peer) => peer.reset(),
      );
      await send(client, upstream.origin).recorder.ended();
      await settled();
      const { recorder } = send(client, upstream.origin);
      expect((await recorder.failed()).kind).toBe('reset');
      await settled();
      expect(upstream.peers.length).toBe(2);
    });

    row('is not replaced once the peer has had time to act on the request', async (client) => {
      const upstream = await mortalUpstream(async (peer) => {
        await new Promise((resolve) => setTimeout(resolve, 1_100));
        await peer.reset();
      });
      await send(client, upstream.origin).recorder.ended();
      await settled();
      const { recorder } = send(client, upstream.origin, post(upstream.origin, 'hello'));
      expect((await recorder.failed()).kind).toBe('reset');
      await settled();
      expect(upstream.peers.length).toBe(1);
    });

    row('is not replaced after a protocol fault', async (client) => {
      const upstream = await mortalUpstream((peer) => void peer.write('garbage\r\n\r\n'));
      await send(client, upstream.origin).recorder.ended();
      await settled();
      const { recorder } = send(client, upstream.origin);
      expect((await recorder.failed()).kind).toBe('protocol');
      await settled();
      expect(upstream.peers.length).toBe(1);
    });

    row('is not replaced after a timeout', async (client) => {
      const upstream = await mortalUpstream(() => {});
      await send(client, upstream.origin).recorder.ended();
      await settled();
      const timeouts = { connectTimeoutMs: 10_000, firstByteTimeoutMs: 100, idleTimeoutMs: 10_000 };
      const { recorder } = send(client, upstream.origin, { timeouts });
      expect((await recorder.failed()).kind).toBe('first_byte_timeout');
      await settled();
      expect(upstream.peers.length).toBe(1);
    });

    row('can still be given up while it is being replaced', async (client) => {
      const upstream = await mortalUpstream(
        (peer) => peer.reset(),
        () => {},
      );
      await send(client, upstream.origin).recorder.ended();
      await settled();
      const { call, recorder } = send(client, upstream.origin);
      while (upstream.requests.length < 2) await settled();
      recorder.abandoned = true;
      call.abort();
      await upstream.peers[1]?.gone;
      await settled();
    });
  });

  describe('a fresh connection that dies', () => {
    row('is not tried again', async (client) => {
      const upstream = await scriptedUpstream(async (peer) => {
        await peer.readRequest();
        await peer.reset();
      });
      const { recorder } = send(client, upstream.origin);
      expect((await recorder.failed()).kind).toBe('reset');
      await settled();
      expect(upstream.peers.length).toBe(1);
    });
  });
}
