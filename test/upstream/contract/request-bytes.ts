import { describe, expect } from 'vitest';
import { post, send, upload } from './recorder.ts';
import { scriptedUpstream } from './scripted-upstream.ts';
import type { Rows } from './subject.ts';

const EMPTY_ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';

/** An upstream that answers each request and keeps what it read of it. */
async function listeningUpstream() {
  const requests: string[] = [];
  const upstream = await scriptedUpstream(async (peer) => {
    for (;;) {
      requests.push(await peer.readRequest());
      peer.write(EMPTY_ANSWER);
    }
  });
  return { ...upstream, requests };
}

/** The header lines that are the client's own: neither Host nor framing nor the connection's. */
function endToEnd(request: string): string[] {
  const lines = request.slice(0, request.indexOf('\r\n\r\n')).split('\r\n');
  return lines
    .slice(1)
    .filter((line) => !/^(?:host|connection|content-length|transfer-encoding):/i.test(line));
}

export function requestBytes({ row }: Pick<Rows, 'row'>): void {
  describe('the request on the wire', () => {
    row('writes the request line as it is', async (client) => {
      const { origin, requests } = await listeningUpstream();
      const path = "/a%2Fb//c;d=1/%e2%82%ac?x=1&x=2&&y=a+b%20c&z#'";
      await send(client, origin, { method: 'M-SEARCH', path }).recorder.ended();
      expect(requests[0]?.split('\r\n', 1)[0]).toBe(`M-SEARCH ${path} HTTP/1.1`);
    });

    row('keeps case, order and duplicates of the headers', async (client) => {
      const { origin, requests } = await listeningUpstream();
      const headers = [
        'X-b',
        '1',
        'Cookie',
        'a=1',
        'x-B',
        '2',
        'cookie',
        'b=2',
        'AUTHORIZATION',
        'x',
        'A',
        '',
      ];
      await send(client, origin, { headers: ['Host', origin.host, ...headers] }).recorder.ended();
      expect(endToEnd(requests[0] ?? '')).toEqual([
        'X-b: 1',
        'Cookie: a=1',
        'x-B: 2',
        'cookie: b=2',
        'AUTHORIZATION: x',
        'A: ',
      ]);
    });

    row('leaves Host and framing where the request has them, and adds nothing', async (client) => {
      const { origin, requests } = await listeningUpstream();
      const headers = ['X-a', '1', 'cOnTeNt-LeNgTh', '2', 'hOsT', origin.host, 'X-z', '2'];
      await send(client, origin, { ...post(origin, 'hi'), headers }).recorder.ended();
      expect(requests[0]).toBe(
        `POST / HTTP/1.1\r\nX-a: 1\r\ncOnTeNt-LeNgTh: 2\r\nhOsT: ${origin.host}\r\nX-z: 2\r\n\r\nhi`,
      );
    });

    row('writes two Host headers as they stand', async (client) => {
      const { origin, requests } = await listeningUpstream();
      await send(client, origin, { headers: ['Host', 'a', 'Host', 'b'] }).recorder.ended();
      expect(requests[0]).toBe('GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n');
    });

    row('writes Expect as it stands', async (client) => {
      const { origin, requests } = await listeningUpstream();
      await send(client, origin, { headers: ['Host', 'a', 'eXpect', '100-continue'] }).recorder.ended();
      expect(requests[0]).toMatch(/\r\neXpect: 100-continue\r\n/);
    });

    row('writes bytes above ASCII in a value as the bytes they are', async (client) => {
      const { origin, requests } = await listeningUpstream();
      await send(client, origin, { headers: ['Host', origin.host, 'X', '\xe9\x80\xff\tb'] }).recorder.ended();
      expect(endToEnd(requests[0] ?? '')).toEqual(['X: \xe9\x80\xff\tb']);
    });

    row('writes a value of 60 KB', async (client) => {
      const { origin, requests } = await listeningUpstream();
      const value = 'v'.repeat(60_000);
      await send(client, origin, { headers: ['Host', origin.host, 'X', value] }).recorder.ended();
      expect(endToEnd(requests[0] ?? '')).toEqual([`X: ${value}`]);
    });

    row('adds no length to a POST without a body', async (client) => {
      const { origin, requests } = await listeningUpstream();
      await send(client, origin, { method: 'POST' }).recorder.ended();
      expect(requests[0]).not.toMatch(/content-length|transfer-encoding/i);
    });

    row('keeps a length of 0 on a method that has no body as a rule', async (client) => {
      const { origin, requests } = await listeningUpstream();
      await send(client, origin, { ...post(origin, ''), method: 'DELETE' }).recorder.ended();
      expect(requests[0]).toMatch(/\r\ncontent-length: 0\r\n/i);
    });

    row('writes a POST with an empty body as it is', async (client) => {
      const { origin, requests } = await listeningUpstream();
      await send(client, origin, post(origin, '')).recorder.ended();
      expect(requests[0]).toMatch(/^POST \/ HTTP\/1\.1\r\n(?:[^\r]+\r\n)*content-length: 0\r\n/i);
    });

    for (const method of ['POST', 'GET', 'DELETE', 'OPTIONS']) {
      row(`writes a whole body of ${method}, every byte of it`, async (client) => {
        const { origin, requests } = await listeningUpstream();
        const body = Buffer.from(Array.from({ length: 512 }, (_, i) => i % 256));
        await send(client, origin, { ...post(origin, body), method }).recorder.ended();
        const [head, sent] = (requests[0] ?? '').split(/(?<=\r\n\r\n)(.*)/s);
        expect(head).toMatch(/\r\ncontent-length: 512\r\n/i);
        expect(sent).toBe(body.toString('latin1'));
      });
    }

    for (const size of [16_384, 16_385, 300_000]) {
      row(`writes a whole body of ${size} bytes`, async (client) => {
        const { origin, requests } = await listeningUpstream();
        const body = Buffer.alloc(size, 'abcdefg\xe9', 'latin1');
        await send(client, origin, post(origin, body)).recorder.ended();
        expect(requests[0]?.endsWith(`\r\n\r\n${body.toString('latin1')}`)).toBe(true);
      });
    }

    row('writes a streamed body of known length as it comes', async (client) => {
      const got: string[] = [];
      const upstream = await scriptedUpstream(async (peer) => {
        expect(await peer.readHead()).toMatch(/\r\ncontent-length: 11\r\n/i);
        for (const length of [5, 1, 5]) got.push((await peer.read(length)).toString());
        peer.write(EMPTY_ANSWER);
      });
      const { call, recorder } = send(client, upstream.origin, upload(upstream.origin, 11));
      for (const piece of ['hello', ' ', 'world']) expect(call.write(Buffer.from(piece))).toBe(true);
      call.end();
      await recorder.ended();
      expect(got).toEqual(['hello', ' ', 'world']);
    });

    row('writes a streamed body without a length as one chunk a write', async (client) => {
      const { origin, requests } = await listeningUpstream();
      const { call, recorder } = send(client, origin, upload(origin, null));
      call.write(Buffer.from('hello'));
      call.write(Buffer.alloc(0)); // would be the end
      call.write(Buffer.alloc(300, 'x'));
      call.end();
      await recorder.ended();
      expect(requests[0]).toMatch(/\r\ntransfer-encoding: chunked\r\n/i);
      expect(requests[0]?.split(/(?<=\r\n\r\n)(.*)/s)[1]).toBe(
        `5\r\nhello\r\n12c\r\n${'x'.repeat(300)}\r\n0\r\n\r\n`,
      );
    });

    row('writes trailers behind a chunked body', async (client) => {
      const { origin, requests } = await listeningUpstream();
      const { call, recorder } = send(client, origin, upload(origin, null));
      call.write(Buffer.from('hi'));
      call.end(['X-Sum', 'a', 'x-sum', 'b']);
      await recorder.ended();
      expect(requests[0]?.endsWith('\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: a\r\nx-sum: b\r\n\r\n')).toBe(true);
    });

    row('keeps an empty chunked body chunked', async (client) => {
      const { origin, requests } = await listeningUpstream();
      const { call, recorder } = send(client, origin, upload(origin, null));
      call.end();
      await recorder.ended();
      expect(requests[0]).toMatch(/\r\ntransfer-encoding: chunked\r\n(?:[^\r]+\r\n)*\r\n0\r\n\r\n$/i);
    });

    row('sends the head of a streamed request before its body has a byte', async (client) => {
      const upstream = await scriptedUpstream(async (peer) => {
        await peer.readHead();
        peer.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi');
      });
      const { call, recorder } = send(client, upstream.origin, upload(upstream.origin, 5));
      expect((await recorder.ended()).body.toString()).toBe('hi');
      call.write(Buffer.from('hello'));
      call.end();
    });

    for (const [name, pieces] of [
      ['longer', ['hello', 'GET /smuggled HTTP/1.1\r\n\r\n']],
      ['longer in one piece', ['helloGET /smuggled HTTP/1.1\r\n\r\n']],
      ['shorter', ['hel']],
    ] as const) {
      row(
        `fails with protocol, and never sends what others could read, when a body is ${name} than its length`,
        async (client) => {
          let received = '';
          const upstream = await scriptedUpstream((peer) => {
            peer.socket.on('data', (bytes: Buffer) => {
              received += bytes.toString('latin1');
            });
          });
          const { call, recorder } = send(client, upstream.origin, upload(upstream.origin, 5));
          for (const piece of pieces) call.write(Buffer.from(piece));
          call.end();
          expect((await recorder.failed()).kind).toBe('protocol');
          await upstream.peers[0]?.gone;
          expect(received).not.toContain('smuggled');
        },
      );
    }

    row('sends a piece of a streamed body without waiting for the next', async (client) => {
      const upstream = await scriptedUpstream(async (peer) => {
        await peer.readUntil('hello');
        peer.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n');
        await peer.readUntil('world');
        peer.write('hi');
      });
      const { call, recorder } = send(client, upstream.origin, upload(upstream.origin, null));
      call.write(Buffer.from('hello'));
      await recorder.when(({ head }) => head !== null);
      call.write(Buffer.from('world'));
      call.end();
      expect((await recorder.ended()).body.toString()).toBe('hi');
    });
  });
}
