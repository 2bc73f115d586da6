import { describe, expect } from 'vitest';
import type { Peer } from './peer.ts';
import { post, send, settled, upload } from './recorder.ts';
import { answering, scriptedUpstream } from './scripted-upstream.ts';
import type { Rows } from './subject.ts';

const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi';

export function connections({ row }: Pick<Rows, 'row'>): void {
  describe('connections', () => {
    row('are used again', async (client) => {
      const upstream = await answering(ANSWER);
      for (let round = 0; round < 5; round++) {
        await send(
          client,
          upstream.origin,
          round % 2 === 0 ? {} : post(upstream.origin, 'x'),
        ).recorder.ended();
        await settled();
      }
      expect(upstream.peers.length).toBe(1);
    });

    for (const [name, method, response] of [
      ['an answer to HEAD', 'HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n'],
      ['a 204', 'GET', 'HTTP/1.1 204 No Content\r\n\r\n'],
      ['a 304', 'GET', 'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n'],
      ['a 304 with a length', 'GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n'],
    ] as const) {
      row(`are used again behind ${name}`, async (client) => {
        const upstream = await answering(response);
        for (let round = 0; round < 2; round++) {
          await send(client, upstream.origin, { method }).recorder.ended();
          await settled();
        }
        expect(upstream.peers.length).toBe(1);
      });
    }

    row('are used again behind chunks and a streamed request', async (client) => {
      const upstream = await answering(
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n',
      );
      for (let round = 0; round < 2; round++) {
        const { call, recorder } = send(client, upstream.origin, upload(upstream.origin, null));
        call.write(Buffer.from('x'));
        call.end();
        await recorder.ended();
        await settled();
      }
      expect(upstream.peers.length).toBe(1);
    });

    row('carry one exchange at a time', async (client) => {
      const asked: Peer[] = [];
      const upstream = await scriptedUpstream(async (peer) => {
        await peer.readRequest();
        asked.push(peer);
        if (asked.length === 3) for (const waiting of asked) waiting.write(ANSWER);
      });
      const exchanges = [1, 2, 3].map(() => send(client, upstream.origin));
      for (const { recorder } of exchanges) expect((await recorder.ended()).body.toString()).toBe('hi');
      expect(upstream.peers.length).toBe(3);
    });

    for (const [name, head] of [
      ['Connection: close', 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi'],
      ['HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi'],
      [
        'Keep-Alive: timeout=1, which is about to end',
        'HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nhi',
      ],
    ] as const) {
      row(`are closed behind a response with ${name}`, async (client) => {
        const upstream = await answering(head);
        for (let round = 0; round < 2; round++) {
          await send(client, upstream.origin).recorder.ended();
          expect(upstream.peers.length).toBe(round + 1);
        }
        for (const peer of upstream.peers) await peer.gone;
      });
    }

    row('are given up a second before the time that the peer names', async (client) => {
      const upstream = await answering(
        'HTTP/1.1 200 OK\r\nKeep-Alive: timeout=2\r\nContent-Length: 2\r\n\r\nhi',
      );
      await send(client, upstream.origin).recorder.ended();
      const since = performance.now();
      await upstream.peers[0]?.gone;
      expect(performance.now() - since).toBeGreaterThan(900);
      expect(performance.now() - since).toBeLessThan(3_500); // without a hint it is four seconds
    });

    row('are closed by close() when they are idle', async (client) => {
      const upstream = await answering(ANSWER);
      await send(client, upstream.origin).recorder.ended();
      client.close();
      await upstream.peers[0]?.gone;
    });

    row('finish their exchange when close() comes in the midst of it', async (client) => {
      const upstream = await scriptedUpstream(async (peer) => {
        await peer.readRequest();
        peer.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh');
        await recorder.when(({ bytes }) => bytes === 1);
        client.close();
        peer.write('i');
      });
      const { recorder } = send(client, upstream.origin);
      expect((await recorder.ended()).body.toString()).toBe('hi');
      await upstream.peers[0]?.gone;
    });

    row('are not used again when the peer closed them', async (client) => {
      const upstream = await scriptedUpstream(async (peer) => {
        await peer.readRequest();
        peer.write(ANSWER);
        if (peer.index === 0) peer.end();
      });
      await send(client, upstream.origin).recorder.ended();
      await upstream.peers[0]?.gone;
      await send(client, upstream.origin).recorder.ended();
      expect(upstream.peers.length).toBe(2);
    });
  });

  describe('a response that is complete before its request', () => {
    row('ends the exchange; the connection is closed, the rest of the request harmless', async (client) => {
      const upstream = await scriptedUpstream(async (peer) => {
        await peer.readHead();
        peer.write(ANSWER);
      });
      const { call, recorder } = send(client, upstream.origin, upload(upstream.origin, 1_000_000));
      call.write(Buffer.from('hello'));
      await recorder.ended();
      call.write(Buffer.alloc(500));
      call.end();
      await upstream.peers[0]?.gone;
      await send(client, upstream.origin).recorder.ended();
      expect(upstream.peers.length).toBe(2);
    });

    row('is not lost when the upstream closes with the request unread', async (client) => {
      const upstream = await scriptedUpstream(async (peer) => {
        await peer.readHead();
        peer.socket.pause();
        peer.write('HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno');
        await settled();
        peer.socket.destroy(); // a reset, because of what is unread
      });
      const { call, recorder } = send(client, upstream.origin, upload(upstream.origin, 100_000_000));
      while (!recorder.events.includes('end') && recorder.failure === null) {
        call.write(Buffer.alloc(16_384));
        await settled();
      }
      expect((await recorder.ended()).body.toString()).toBe('no');
    });

    row('leaves no connection in use whose whole body is not out yet', async (client) => {
      const upstream = await scriptedUpstream(async (peer) => {
        await peer.readHead();
        peer.socket.pause();
        peer.write(ANSWER);
      });
      const { recorder } = send(client, upstream.origin, post(upstream.origin, Buffer.alloc(32_000_000)));
      await recorder.ended();
      await send(client, upstream.origin).recorder.ended();
      expect(upstream.peers.length).toBe(2);
    });
  });
}
