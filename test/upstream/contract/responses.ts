import { describe, expect } from 'vitest';
import { type Sent, send, settled } from './recorder.ts';
import { answering, scriptedUpstream } from './scripted-upstream.ts';
import type { Rows } from './subject.ts';

export function responses({ row }: Pick<Rows, 'row'>): void {
  describe('the response', () => {
    row('reports the head as it came: names, case, order, duplicates', async (client) => {
      const { origin } = await answering(
        'HTTP/1.1 299 Odd  but true\r\nSet-Cookie: a=1\r\nX-b: \t1 \r\nset-COOKIE: b=2\r\nEmpty:\r\nContent-Length: 2\r\n\r\nhi',
      );
      const { recorder } = send(client, origin);
      await recorder.ended();
      expect(recorder.head).toEqual({
        status: 299,
        reason: 'Odd  but true',
        headers: ['Set-Cookie', 'a=1', 'X-b', '1', 'set-COOKIE', 'b=2', 'Empty', '', 'Content-Length', '2'],
        length: 2,
      });
      expect(recorder.events).toEqual(['head', 'data', 'end']);
    });

    row('keeps bytes above ASCII in values', async (client) => {
      const { origin } = await answering('HTTP/1.1 200 OK\r\nX: \xe9\x80\xff\r\nContent-Length: 0\r\n\r\n');
      const { recorder } = send(client, origin);
      await recorder.ended();
      expect(recorder.head?.headers.slice(0, 2)).toEqual(['X', '\xe9\x80\xff']);
    });

    row('keeps bytes above ASCII in the reason', async (client) => {
      const { origin } = await answering('HTTP/1.1 200 Tr\xe8s bien\r\nContent-Length: 0\r\n\r\n');
      const { recorder } = send(client, origin);
      expect((await recorder.ended()).head?.reason).toBe('Tr\xe8s bien');
    });

    row('takes a status line without a reason', async (client) => {
      const { origin } = await answering('HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n');
      const { recorder } = send(client, origin);
      expect((await recorder.ended()).head).toMatchObject({ status: 200, reason: '' });
    });

    row('takes a head of 200 KB', async (client) => {
      const value = 'v'.repeat(200_000);
      const { origin } = await answering(`HTTP/1.1 200 OK\r\nX: ${value}\r\nContent-Length: 0\r\n\r\n`);
      const { recorder } = send(client, origin);
      expect((await recorder.ended()).head?.headers[1]).toBe(value);
    });

    row('ends at once with Content-Length: 0', async (client) => {
      const { origin } = await answering('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
      const { recorder } = send(client, origin);
      expect((await recorder.ended()).events).toEqual(['head', 'end']);
    });

    row('reads no body behind the answer to HEAD', async (client) => {
      const { origin } = await answering('HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n');
      const { recorder } = send(client, origin, { method: 'HEAD' });
      await recorder.ended();
      expect(recorder.events).toEqual(['head', 'end']);
      expect(recorder.head).toMatchObject({ headers: ['Content-Length', '500'], length: 500 });
    });

    row('reads no chunks behind the answer to HEAD', async (client) => {
      const { origin } = await answering('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
      const { recorder } = send(client, origin, { method: 'HEAD' });
      expect((await recorder.ended()).events).toEqual(['head', 'end']);
    });

    for (const head of ['204 No Content\r\nX: y', '304 Not Modified\r\nContent-Length: 500']) {
      row(`reads no body behind ${head.slice(0, 3)}`, async (client) => {
        const { origin } = await answering(`HTTP/1.1 ${head}\r\n\r\n`);
        const { recorder } = send(client, origin);
        expect((await recorder.ended()).events).toEqual(['head', 'end']);
      });
    }

    row('passes over "100 Continue", which nobody asked for', async (client) => {
      const { origin } = await answering(
        'HTTP/1.1 100 Continue\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi',
      );
      const { recorder } = send(client, origin);
      await recorder.ended();
      expect(recorder.head?.status).toBe(200);
      expect(recorder.body.toString()).toBe('hi');
      expect(recorder.interim).toEqual([]);
    });

    row('reports interim responses before the final one', async (client) => {
      const { origin } = await answering(
        'HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLINK: </b>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi',
      );
      const { recorder } = send(client, origin);
      await recorder.ended();
      expect(recorder.events).toEqual(['head', 'data', 'end']);
      expect(recorder.interim).toMatchObject([
        { status: 102, reason: 'Processing', headers: [] },
        { status: 103, reason: 'Early Hints', headers: ['Link', '</a>', 'LINK', '</b>'] },
      ]);
    });

    row('reports each interim response as soon as it is there', async (client) => {
      const upstream = await scriptedUpstream(async (peer) => {
        await peer.readRequest();
        for (let count = 1; count <= 3; count++) {
          peer.write('HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n');
          await recorder.when(({ interim }) => interim.length === count);
        }
        peer.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi');
      });
      const { recorder } = send(client, upstream.origin);
      expect((await recorder.ended()).events).toEqual(['head', 'data', 'end']);
    });

    row('can be given up from within onInterim', async (client) => {
      const upstream = await answering(
        'HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
      );
      const sent: Sent = send(client, upstream.origin, {
        reactions: {
          onInterim: () => {
            sent.recorder.abandoned = true;
            sent.call.abort();
          },
        },
      });
      await sent.recorder.when(({ abandoned }) => abandoned);
      await upstream.peers[0]?.gone;
      await settled();
      expect(sent.recorder.interim.length).toBe(1);
    });

    row('takes the chunked coding off, with extensions and trailers', async (client) => {
      const { origin } = await answering(
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a="b"\r\nhello\r\nA\r\n0123456789\r\n0\r\nX-Sum: 1\r\nx-sum: 2\r\n\r\n',
      );
      const { recorder } = send(client, origin);
      await recorder.ended();
      expect(recorder.body.toString()).toBe('hello0123456789');
      expect(recorder.head?.length).toBeNull();
      expect(recorder.trailers).toEqual(['X-Sum', '1', 'x-sum', '2']);
    });

    row('reports the head and each chunk as soon as it is there', async (client) => {
      const upstream = await scriptedUpstream(async (peer) => {
        await peer.readRequest();
        peer.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
        await recorder.when(({ head }) => head !== null);
        for (let event = 1; event <= 3; event++) {
          peer.write('7\r\ndata: x\r\n');
          await recorder.when(({ bytes }) => bytes === event * 7);
        }
        peer.write('0\r\n\r\n');
      });
      const { recorder } = send(client, upstream.origin);
      expect((await recorder.ended()).body.toString()).toBe('data: x'.repeat(3));
    });

    for (const version of ['1.0', '1.1']) {
      row(`reads an HTTP/${version} body that ends with the connection`, async (client) => {
        const upstream = await scriptedUpstream(async (peer) => {
          await peer.readRequest();
          peer.write(`HTTP/${version} 200 OK\r\nX: y\r\n\r\nhel`);
          await settled();
          peer.write('lo');
          peer.end();
        });
        for (let round = 0; round < 2; round++) {
          const { recorder } = send(client, upstream.origin);
          await recorder.ended();
          expect(recorder.body.toString()).toBe('hello');
          expect(recorder.head?.length).toBeNull();
        }
        expect(upstream.peers.length).toBe(2);
      });
    }

    row('reads an empty body that ends with the connection', async (client) => {
      const upstream = await scriptedUpstream(async (peer) => {
        await peer.readRequest();
        peer.write('HTTP/1.1 200 OK\r\n\r\n');
        peer.end();
      });
      const { recorder } = send(client, upstream.origin);
      expect((await recorder.ended()).events).toEqual(['head', 'end']);
    });

    row('takes the same Content-Length twice as one', async (client) => {
      const { origin } = await answering(
        'HTTP/1.1 200 OK\r\nContent-Length: 2\r\ncontent-length: 2\r\n\r\nhi',
      );
      const { recorder } = send(client, origin);
      expect((await recorder.ended()).body.toString()).toBe('hi');
    });

    row('reads a reason that comes byte by byte', async (client) => {
      const upstream = await scriptedUpstream(async (peer) => {
        await peer.readRequest();
        for (const byte of 'HTTP/1.1 200 All is well\r\nContent-Length: 0\r\n\r\n') {
          peer.write(byte);
          await settled();
        }
      });
      const { recorder } = send(client, upstream.origin);
      expect((await recorder.ended()).head?.reason).toBe('All is well');
    });

    const CUT = [
      'HTTP/1.1 103 Early\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nT: u\r\n\r\n',
      'HTTP/1.0 200 OK\r\nX: y\r\n\r\nhello',
    ];
    for (const [index, text] of CUT.entries()) {
      row(`reads a response that comes byte by byte (${index + 1})`, async (client) => {
        const upstream = await scriptedUpstream(async (peer) => {
          await peer.readRequest();
          for (const byte of text) {
            peer.write(byte);
            await settled();
          }
          peer.end();
        });
        const { recorder } = send(client, upstream.origin);
        await recorder.ended();
        expect(recorder.head?.status).toBe(200);
        expect(recorder.body.toString()).toBe('hello');
        expect(recorder.trailers).toEqual(index === 1 ? ['T', 'u'] : []);
      });
    }
  });
}
