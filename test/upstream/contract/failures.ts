import { describe, expect } from 'vitest';
import type { Origin } from '../../../src/upstream/client.ts';
import { post, send, upload } from './recorder.ts';
import { deadOrigin, scriptedUpstream, unreachableOrigin } from './scripted-upstream.ts';
import type { Rows } from './subject.ts';

const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
const UNRESOLVABLE = `${'x'.repeat(64)}.invalid`; // longer than a label may be: fails without a name server

export function failures({ row }: Pick<Rows, 'row'>): void {
  describe('an upstream that can not be reached', () => {
    row('fails with connect when it refuses', async (client) => {
      const origin = await deadOrigin();
      const { recorder } = send(client, origin);
      const failure = await recorder.failed();
      expect(failure.kind).toBe('connect');
      expect(failure.name).toBe('UpstreamFailure');
      expect(failure.message).toContain(origin.key);
      expect(recorder.events).toEqual(['error']);
    });

    row('fails with connect when its name is unknown', async (client) => {
      const origin: Origin = {
        key: `http://${UNRESOLVABLE}:80`,
        tls: false,
        hostname: UNRESOLVABLE,
        port: 80,
        host: UNRESOLVABLE,
      };
      expect((await send(client, origin).recorder.failed()).kind).toBe('connect');
    });

    for (const scheme of ['http', 'https'] as const) {
      row(`fails with connect_timeout when it never accepts (${scheme})`, async (client) => {
        const origin = await unreachableOrigin(scheme);
        const timeouts = { connectTimeoutMs: 150, firstByteTimeoutMs: 50, idleTimeoutMs: 50 };
        const since = performance.now();
        const { recorder } = send(client, origin, { timeouts });
        expect((await recorder.failed()).kind).toBe('connect_timeout');
        expect(performance.now() - since).toBeGreaterThan(140);
        expect(performance.now() - since).toBeLessThan(5_000);
      });
    }

    row('fails a streamed request too', async (client) => {
      const origin = await deadOrigin();
      const { call, recorder } = send(client, origin, upload(origin, null));
      call.write(Buffer.from('hello'));
      expect((await recorder.failed()).kind).toBe('connect');
      call.write(Buffer.from('hello'));
      call.end();
    });
  });

  describe('an upstream that breaks off', () => {
    const CUTS: readonly (readonly [name: string, text: string])[] = [
      ['before a byte', ''],
      ['in the status line', 'HTTP/1.1 2'],
      ['in the head', 'HTTP/1.1 200 OK\r\nContent-Le'],
      ['behind an interim head', 'HTTP/1.1 103 Early Hints\r\n\r\n'],
      ['before a body of known length', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n'],
      ['in a body of known length', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell'],
      [
        'in a body of known length on a connection that closes',
        'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhell',
      ],
      ['in a body of known length of HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhell'],
      ['before the first chunk', CHUNKED],
      ['in a chunk size', `${CHUNKED}5`],
      ['in a chunk', `${CHUNKED}5\r\nhel`],
      ['behind a chunk', `${CHUNKED}5\r\nhello\r\n`],
      ['in the last chunk', `${CHUNKED}5\r\nhello\r\n0\r\n`],
      ['in the trailers', `${CHUNKED}5\r\nhello\r\n0\r\nX: y\r\n`],
      [
        'in chunks on a connection that closes',
        'HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n',
      ],
    ];
    for (const [name, text] of CUTS) {
      row(`fails with reset when it ends ${name}`, async (client) => {
        const upstream = await scriptedUpstream(async (peer) => {
          await peer.readRequest();
          peer.write(text);
          peer.end();
        });
        const { recorder } = send(client, upstream.origin);
        expect((await recorder.failed()).kind).toBe('reset');
        expect(recorder.events).not.toContain('end');
      });

      row(`fails with reset when it resets ${name}`, async (client) => {
        const upstream = await scriptedUpstream(async (peer) => {
          await peer.readRequest();
          peer.write(text);
          const body = text.split(/(?<=\r\n\r\n)(?!HTTP)/)[1];
          if (body !== undefined) await recorder.when(({ head }) => head !== null);
          await peer.reset();
        });
        const { recorder } = send(client, upstream.origin);
        expect((await recorder.failed()).kind).toBe('reset');
      });
    }

    row('fails with reset when it resets a body that ends with the connection', async (client) => {
      const upstream = await scriptedUpstream(async (peer) => {
        await peer.readRequest();
        peer.write('HTTP/1.1 200 OK\r\n\r\nhello');
        await recorder.when(({ bytes }) => bytes === 5);
        await peer.reset();
      });
      const { recorder } = send(client, upstream.origin);
      expect((await recorder.failed()).kind).toBe('reset');
      expect(recorder.events).toEqual(['head', 'data', 'error']);
    });

    row('fails with reset in the midst of an upload', async (client) => {
      const upstream = await scriptedUpstream(async (peer) => {
        await peer.readUntil('hello');
        await peer.reset();
      });
      const { call, recorder } = send(client, upstream.origin, upload(upstream.origin, 1_000_000));
      call.write(Buffer.from('hello'));
      expect((await recorder.failed()).kind).toBe('reset');
      call.write(Buffer.from('hello'));
      call.end();
    });

    row('fails with reset in the midst of a large whole body', async (client) => {
      const upstream = await scriptedUpstream(async (peer) => {
        await peer.readHead();
        await peer.reset();
      });
      const { recorder } = send(client, upstream.origin, post(upstream.origin, Buffer.alloc(30_000_000)));
      expect((await recorder.failed()).kind).toBe('reset');
    });
  });
}
