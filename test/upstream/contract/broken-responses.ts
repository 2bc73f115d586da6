import { describe, expect } from 'vitest';
import { send } from './recorder.ts';
import { answering, scriptedUpstream } from './scripted-upstream.ts';
import type { Rows } from './subject.ts';

const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';

/** Responses that are not HTTP/1.1, or that two readers could read in two ways. */
const BROKEN: readonly (readonly [name: string, text: string])[] = [
  ['another protocol', 'SSH-2.0-OpenSSH_9.2\r\n'],
  ['a line before the status line', 'garbage\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi'],
  ['a line without a colon among the headers', 'HTTP/1.1 200 OK\r\ngarbage\r\nContent-Length: 2\r\n\r\nhi'],
  ['a space before a colon', 'HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nhi'],
  ['a status that is no number', 'HTTP/1.1 OK 200\r\nContent-Length: 2\r\n\r\nhi'],
  ['a head over 256 KiB', `HTTP/1.1 200 OK\r\nX: ${'v'.repeat(300_000)}\r\nContent-Length: 2\r\n\r\nhi`],
  ['bare line feeds', 'HTTP/1.1 200 OK\nContent-Length: 2\n\nhi'],
  ['one bare line feed', 'HTTP/1.1 200 OK\r\nX: y\nContent-Length: 2\r\n\r\nhi'],
  ['NUL in a value', 'HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\nhi'],
  ['a bare carriage return in a value', 'HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 2\r\n\r\nhi'],
  ['a folded value', 'HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nhi'],
  ['two different lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi!'],
  ['two different lengths in one line', 'HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nhi!'],
  ['a length that is no number', 'HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nhi'],
  [
    'chunked and a length',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nhi\r\n0\r\n\r\n',
  ],
  [
    'a length and chunked',
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n',
  ],
  ['a coding other than chunked', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhi'],
  [
    'a coding before chunked',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n',
  ],
  ['chunked in HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n'],
  [
    'a switch of protocols that nobody asked for',
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n',
  ],
  ['a chunk size that is no number', `${CHUNKED}zz\r\nhi\r\n0\r\n\r\n`],
  ['a chunk longer than its size', `${CHUNKED}2\r\nhi!\r\n0\r\n\r\n`],
  ['a chunk size that ends with a bare line feed', `${CHUNKED}2\nhi\r\n0\r\n\r\n`],
  ['a bare carriage return in a chunk extension', `${CHUNKED}2;a\rb\r\nhi\r\n0\r\n\r\n`],
  ['a trailer without a colon', `${CHUNKED}2\r\nhi\r\n0\r\ngarbage\r\n\r\n`],
];

export function brokenResponses({ row }: Pick<Rows, 'row'>): void {
  describe('a response that breaks HTTP/1.1', () => {
    for (const [name, text] of BROKEN) {
      row(`fails with protocol and closes the connection: ${name}`, async (client) => {
        const upstream = await scriptedUpstream(async (peer) => {
          await peer.readRequest();
          peer.write(text);
        });
        const { recorder } = send(client, upstream.origin);
        expect((await recorder.failed()).kind).toBe('protocol');
        await upstream.peers[0]?.gone;
      });
    }
  });

  describe('bytes behind a response', () => {
    const SMUGGLED = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil';
    const RESPONSES: readonly (readonly [name: string, method: string, text: string])[] = [
      ['a length', 'GET', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi'],
      ['no content', 'GET', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'],
      ['chunks', 'GET', `${CHUNKED}2\r\nhi\r\n0\r\n\r\n`],
      ['a 204', 'GET', 'HTTP/1.1 204 No Content\r\n\r\n'],
      ['a 304', 'GET', 'HTTP/1.1 304 Not Modified\r\n\r\n'],
      ['an answer to HEAD', 'HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n'],
    ];
    for (const [name, method, text] of RESPONSES) {
      row(`never reach a request sent at that very moment: behind ${name}`, async (client) => {
        const upstream = await scriptedUpstream(async (peer) => {
          await peer.readRequest();
          peer.write(peer.index === 0 ? text + SMUGGLED : 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood');
        });
        const next = Promise.withResolvers<string>();
        const { recorder } = send(client, upstream.origin, {
          method,
          reactions: {
            onEnd: () => {
              const second = send(client, upstream.origin).recorder;
              second.ended().then(() => next.resolve(second.body.toString()), next.reject);
            },
          },
        });
        await recorder.ended();
        expect(await next.promise).toBe('good');
        await upstream.peers[0]?.gone;
      });
    }

    row('close an idle connection when they come later', async (client) => {
      const upstream = await answering('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood');
      await send(client, upstream.origin).recorder.ended();
      upstream.peers[0]?.write(SMUGGLED);
      await upstream.peers[0]?.gone;
      const { recorder } = send(client, upstream.origin);
      expect((await recorder.ended()).body.toString()).toBe('good');
      expect(upstream.peers.length).toBe(2);
    });

    row('never follow a 204 that announces them into the next exchange', async (client) => {
      const upstream = await scriptedUpstream(async (peer) => {
        await peer.readRequest();
        if (peer.index === 0) {
          peer.write(`HTTP/1.1 204 No Content\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n`);
          await peer.readRequest(); // where a client went on to use the connection
          peer.write(SMUGGLED);
        } else peer.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood');
      });
      await send(client, upstream.origin).recorder.ended();
      const { recorder } = send(client, upstream.origin);
      expect((await recorder.ended()).body.toString()).toBe('good');
    });
  });
}
