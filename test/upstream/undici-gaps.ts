import { expect } from 'vitest';
import type { UpstreamClient } from '../../src/upstream/client.ts';
import { post, type RequestParts, send, settled, upload } from './contract/recorder.ts';
import { answering, type ScriptedUpstream, scriptedUpstream } from './contract/scripted-upstream.ts';
import type { Gap } from './contract/subject.ts';

const EMPTY_ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';

/** The contract's rows that undici can't hold, by their sentence. All of them are its own parser's and writer's. */
export const UNDICI_GAPS: ReadonlyMap<string, Gap> = new Map(
  Object.entries({
    'leaves Host and framing where the request has them, and adds nothing': {
      instead: 'Host stands first and Content-Length last, both in lower case, and Connection is added',
      run: async (client) => {
        const request = await requestOf(client, (origin) => ({
          ...post(origin, 'hi'),
          headers: ['X-a', '1', 'cOnTeNt-LeNgTh', '2', 'hOsT', 'h.example', 'X-z', '2'],
        }));
        expect(request).toBe(
          'POST / HTTP/1.1\r\nhost: h.example\r\nconnection: keep-alive\r\nX-a: 1\r\nX-z: 2\r\ncontent-length: 2\r\n\r\nhi',
        );
      },
    },
    'writes two Host headers as they stand': {
      instead: 'two Host headers are refused, with protocol and before anything is sent',
      run: async (client) => {
        const upstream = await answering(EMPTY_ANSWER);
        const { recorder } = send(client, upstream.origin, { headers: ['Host', 'a', 'Host', 'b'] });
        const failure = await recorder.failed();
        expect(failure.kind).toBe('protocol');
        expect(failure.message).toContain('duplicate host header');
        expect(upstream.peers.length).toBe(0);
      },
    },
    'writes Expect as it stands': {
      instead: 'Expect is left out',
      run: async (client) => {
        const request = await requestOf(client, (origin) => ({
          headers: ['Host', origin.host, 'Expect', '100-continue', 'X', 'y'],
        }));
        expect(request).toMatch(/\r\nX: y\r\n/);
        expect(request).not.toMatch(/expect/i);
      },
    },
    'adds no length to a POST without a body': {
      instead: 'a POST without a body is given Content-Length: 0',
      run: async (client) => {
        expect(await requestOf(client, () => ({ method: 'POST' }))).toMatch(/\r\ncontent-length: 0\r\n\r\n$/);
      },
    },
    'keeps a length of 0 on a method that has no body as a rule': {
      instead: 'Content-Length: 0 is left out of a DELETE',
      run: async (client) => {
        const request = await requestOf(client, (origin) => ({ ...post(origin, ''), method: 'DELETE' }));
        expect(request).not.toMatch(/content-length/i);
      },
    },
    'writes trailers behind a chunked body': {
      instead: 'trailers of a request are left out',
      run: async (client) => {
        const upstream = await recording();
        const { call, recorder } = send(client, upstream.origin, upload(upstream.origin, null));
        call.write(Buffer.from('hi'));
        call.end(['X-Sum', 'a']);
        await recorder.ended();
        expect(upstream.requests[0]?.endsWith('\r\n\r\n2\r\nhi\r\n0\r\n\r\n')).toBe(true);
      },
    },
    'keeps an empty chunked body chunked': {
      instead: 'an empty chunked body becomes Content-Length: 0',
      run: async (client) => {
        const upstream = await recording();
        const { call, recorder } = send(client, upstream.origin, upload(upstream.origin, null));
        call.end();
        await recorder.ended();
        expect(upstream.requests[0]).toMatch(/\r\ncontent-length: 0\r\n\r\n$/);
      },
    },
    'sends the head of a streamed request before its body has a byte': {
      instead: 'the head of a streamed request waits for the first byte of its body',
      run: async (client) => {
        const upstream = await scriptedUpstream(async (peer) => {
          await settled();
          expect(peer.unread).toBe('');
          call.write(Buffer.from('hello'));
          await peer.readHead();
          peer.write(EMPTY_ANSWER);
        });
        const { call, recorder } = send(client, upstream.origin, upload(upstream.origin, 5));
        await recorder.ended();
      },
    },
    'keeps bytes above ASCII in the reason': {
      instead: 'the reason is read as UTF-8, and bytes that are none are lost',
      run: async (client) => {
        const { origin } = await answering('HTTP/1.1 200 Tr\xe8s bien\r\nContent-Length: 0\r\n\r\n');
        const { recorder } = send(client, origin);
        expect((await recorder.ended()).head?.reason).toBe('Tr\ufffds bien');
      },
    },
    'reads a reason that comes byte by byte': {
      instead: 'of a reason that comes in pieces only the last one is kept',
      run: async (client) => {
        const upstream = await scriptedUpstream(async (peer) => {
          await peer.readRequest();
          peer.write('HTTP/1.1 200 All is');
          await settled();
          peer.write(' well\r\nContent-Length: 0\r\n\r\n');
        });
        const { recorder } = send(client, upstream.origin);
        expect((await recorder.ended()).head?.reason).toBe(' well');
      },
    },
    'passes over "100 Continue", which nobody asked for': {
      instead: 'a 100 that nobody asked for fails with protocol',
      run: async (client) => {
        const { origin } = await answering(`HTTP/1.1 100 Continue\r\n\r\n${EMPTY_ANSWER}`);
        expect((await send(client, origin).recorder.failed()).kind).toBe('protocol');
      },
    },
    'takes the same Content-Length twice as one': {
      instead: 'the same Content-Length twice fails with protocol',
      run: async (client) => {
        const { origin } = await answering(
          'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi',
        );
        expect((await send(client, origin).recorder.failed()).kind).toBe('protocol');
      },
    },
    'fails with protocol and closes the connection: chunked in HTTP/1.0': {
      instead: 'chunked in HTTP/1.0 is read as chunked, and the connection closed',
      run: async (client) => {
        const upstream = await answering(
          'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n',
        );
        const { recorder } = send(client, upstream.origin);
        expect((await recorder.ended()).body.toString()).toBe('hi');
        await upstream.peers[0]?.gone;
      },
    },
    'are used again behind an answer to HEAD': {
      instead: 'HEAD asks for the connection to be closed',
      run: async (client) => {
        expect(await requestOf(client, () => ({ method: 'HEAD' }))).toMatch(/\r\nconnection: close\r\n/);
      },
    },
    'are used again behind a 304 with a length': {
      instead: 'a 304 that announces a length closes its connection',
      run: async (client) => {
        const upstream = await answering('HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n');
        await send(client, upstream.origin).recorder.ended();
        await upstream.peers[0]?.gone;
      },
    },
    'reports the reason as it came': {
      instead: 'the reason of a 101 is always Switching Protocols',
      run: async (client) => {
        const { origin } = await answering(
          'HTTP/1.1 101 Web Socket\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n',
        );
        const headers = ['Host', origin.host, 'Connection', 'Upgrade', 'Upgrade', 'x'];
        const { recorder } = send(client, origin, { headers, upgrade: true });
        expect((await recorder.ended()).head?.reason).toBe('Switching Protocols');
      },
    },
  } satisfies Record<string, Gap>),
);

/** An upstream that answers each request and keeps it. */
async function recording(): Promise<ScriptedUpstream & { readonly requests: string[] }> {
  const requests: string[] = [];
  const upstream = await scriptedUpstream(async (peer) => {
    for (;;) {
      requests.push(await peer.readRequest());
      peer.write(EMPTY_ANSWER);
    }
  });
  return { ...upstream, requests };
}

/** A request as it arrives. */
async function requestOf(
  client: UpstreamClient,
  parts: (origin: ScriptedUpstream['origin']) => RequestParts,
): Promise<string> {
  const upstream = await recording();
  await send(client, upstream.origin, parts(upstream.origin)).recorder.ended();
  return upstream.requests[0] ?? '';
}
