import { createHash, randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { ask, open, PROTOCOLS, type Protocol } from '../helpers/ask.ts';
import { startTestGateway, type TestGateway } from '../helpers/gateway.ts';
import { rawClient } from '../helpers/raw-client.ts';
import {
  OK,
  type Script,
  type ScriptedUpstream,
  startUpstream,
  type UpstreamOptions,
} from '../helpers/scripted-upstream.ts';

interface House extends TestGateway {
  readonly upstream: ScriptedUpstream;
}

async function house(script?: Script, options?: UpstreamOptions): Promise<House> {
  const upstream = await startUpstream(script, options);
  const route = `{path: /r, target: "${upstream.url}", forward_headers: true}`;
  const gateway = await startTestGateway(`general_settings: {pass_through_endpoints: [${route}]}`, {
    env: { HOSTED_VLLM_API_BASE: upstream.url },
  });
  return { ...gateway, upstream };
}

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

const NOTHING = ['content-length', 'transfer-encoding', 'content-type'];
const PATHS = ['/vllm/x', '/v1/x', '/r/x'];

describe.each(PROTOCOLS)('over %s', (protocol: Protocol) => {
  describe.each(PATHS)('%s', (path) => {
    test.each(['GET', 'HEAD', 'DELETE', 'POST', 'OPTIONS'])(
      'invents no body for a %s without one (#29926, #22014)',
      async (method) => {
        const { port, upstream } = await house('HTTP/1.1 204 No Content\r\n\r\n');
        await ask(protocol, port, { method, path });
        const [seen] = upstream.exchanges;
        expect(NOTHING.map((name) => seen?.header(name))).toEqual([null, null, null]);
        expect(seen?.bytes.toString()).toMatch(/\r\n\r\n$/);
      },
    );

    test.each(['GET', 'DELETE', 'POST'])('passes the body of a %s', async (method) => {
      const { port, upstream } = await house();
      await ask(protocol, port, {
        method,
        path,
        body: '{"a": 1.0 }',
        headers: ['Content-Type', 'application/json'],
      });
      const [seen] = upstream.exchanges;
      expect([seen?.body.toString(), seen?.header('content-length')]).toEqual(['{"a": 1.0 }', '11']);
    });

    test('an empty body stays one: Content-Length: 0, and a chunked one', async () => {
      const { port, upstream } = await house();
      await ask(protocol, port, { method: 'POST', path, body: '' });
      await ask(protocol, port, { method: 'POST', path, body: [] });
      const [sized, chunked] = upstream.exchanges;
      expect([sized?.header('content-length'), sized?.bodyBytes]).toEqual(['0', 0]);
      expect([chunked?.header('transfer-encoding'), chunked?.complete, chunked?.bodyBytes]).toEqual([
        'chunked',
        true,
        0,
      ]);
    });

    test('10 MB of random bytes arrive as they were sent, both ways', async () => {
      const bytes = randomBytes(10_000_000);
      const { port, upstream } = await house((exchange) => {
        exchange.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
        for (let at = 0; at < bytes.length; at += 70_001) {
          const piece = bytes.subarray(at, at + 70_001);
          exchange.send(
            Buffer.concat([Buffer.from(`${piece.length.toString(16)};x=y\r\n`), piece, Buffer.from('\r\n')]),
          );
        }
        exchange.send('0\r\n\r\n');
      });
      const headers = ['Content-Type', 'application/octet-stream'];
      const answer = await ask(protocol, port, { method: 'POST', path, headers, body: bytes });
      expect(digest(upstream.exchanges[0]?.body ?? Buffer.alloc(0))).toBe(digest(bytes));
      expect([answer.whole, digest(answer.body)]).toEqual([true, digest(bytes)]);
    });

    test('writes each chunk as it arrives, both ways (#26102)', async () => {
      const { port, upstream } = await house(() => {});
      const live = open(protocol, port, {
        method: 'POST',
        path,
        headers: ['Content-Type', 'text/plain'],
        body: ['-'],
      });
      const seen = await upstream.next();
      for (let i = 1; i <= 5; i++) {
        await seen.until(() => seen.bodyBytes === i);
        live.write('-');
      }
      live.end();
      await seen.until(() => seen.complete);
      seen.send('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n');
      expect((await live.head()).status).toBe(200);
      for (let i = 1; i <= 5; i++) {
        seen.send(`9\r\ndata: ${i}\n\n\r\n`);
        expect((await live.received(9 * i)).toString()).toMatch(new RegExp(`data: ${i}\n\n$`));
      }
      seen.send('0\r\n\r\n');
      expect((await live.answer()).whole).toBe(true);
    });
  });

  test('passes Content-Encoding and its bytes untouched (#25624, #37058)', async () => {
    for (const bytes of [gzipSync('hello'), Buffer.from('not gzip at all')]) {
      const head = `HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: ${bytes.length}\r\n\r\n`;
      const { port, upstream } = await house(Buffer.concat([Buffer.from(head), bytes]));
      const headers = [
        'Accept-Encoding',
        'gzip;q=0.5, zstd',
        'Content-Encoding',
        'br',
        'Content-Type',
        'text/plain',
      ];
      const answer = await ask(protocol, port, { method: 'POST', path: '/r/x', headers, body: bytes });
      expect([answer.header('content-encoding'), answer.header('content-length')]).toEqual([
        'gzip',
        String(bytes.length),
      ]);
      expect(answer.body).toEqual(bytes);
      const [seen] = upstream.exchanges;
      expect([seen?.header('accept-encoding'), seen?.header('content-encoding')]).toEqual([
        'gzip;q=0.5, zstd',
        'br',
      ]);
      expect(seen?.body).toEqual(bytes);
    }
    const { port, upstream } = await house();
    await ask(protocol, port, { path: '/vllm/x' });
    expect(upstream.exchanges[0]?.header('accept-encoding')).toBeNull();
  });

  test.each([
    ['204', 'HTTP/1.1 204 No Content\r\nX: 1\r\n\r\n', 204, null],
    ['304', 'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\nContent-Length: 1234\r\n\r\n', 304, '1234'],
    ['an empty 200', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', 200, '0'],
    ['an empty chunked 200', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 200, null],
    ['an empty 404', 'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n', 404, '0'],
  ])('%s passes, and the connection serves the next', async (_, script, status, length) => {
    const { port } = await house(script);
    for (let i = 0; i < 2; i++) {
      const answer = await ask(protocol, port, { path: '/vllm/x' });
      expect([answer.status, answer.body.length, answer.whole]).toEqual([status, 0, true]);
      if (length !== null || protocol === 'HTTP/1.1') expect(answer.header('content-length')).toBe(length);
    }
  });

  test.each([
    ['with its length', 'Content-Length: 12345\r\n', '12345'],
    ['chunked', 'Transfer-Encoding: chunked\r\n', null],
  ])('HEAD %s has no body', async (_, framing, length) => {
    const { port, upstream } = await house(`HTTP/1.1 200 OK\r\n${framing}\r\n`);
    for (let i = 0; i < 2; i++) {
      const answer = await ask(protocol, port, { method: 'HEAD', path: '/vllm/x' });
      expect([answer.status, answer.body.length, answer.whole]).toEqual([200, 0, true]);
      expect(answer.header('content-length')).toBe(length);
    }
    expect(upstream.connections).toBe(1);
  });

  test('trailers pass both ways', async () => {
    const script =
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nGrpc-Status: 0\r\nX-T: a\r\nX-T: b\r\n\r\n';
    const { port, upstream } = await house(script);
    const question = { method: 'POST', path: '/vllm/x', body: ['x'], trailers: ['X-Sum', '1', 'X-Two', '2'] };
    const answer = await ask(protocol, port, question);
    const lower = (pairs: readonly string[] | undefined) => pairs?.map((each) => each.toLowerCase());
    expect(lower(upstream.exchanges[0]?.trailers)).toEqual(['x-sum', '1', 'x-two', '2']);
    expect(lower(answer.trailers)).toEqual(['grpc-status', '0', 'x-t', 'a', 'x-t', 'b']);
    expect(answer.body.toString()).toBe('ok');
  });

  test('trailers without a body pass too', async () => {
    const { port } = await house(
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nGrpc-Status: 5\r\n\r\n',
    );
    const answer = await ask(protocol, port, { path: '/vllm/x' });
    expect([answer.trailers[1], answer.whole]).toEqual(['5', true]);
  });

  test('a body that ends with the connection is a whole one', async () => {
    const { port } = await house((exchange) => exchange.end('HTTP/1.1 200 OK\r\n\r\nall of it'));
    const answer = await ask(protocol, port, { path: '/vllm/x' });
    expect([answer.body.toString(), answer.whole]).toEqual(['all of it', true]);
  });

  test.each(PATHS)('100-continue is granted on %s, by us alone', async (path) => {
    const { port, upstream } = await house();
    const headers = ['Expect', '100-continue', 'Content-Type', 'text/plain'];
    const live = open(protocol, port, { method: 'POST', path, headers, body: [] });
    await live.interim(100);
    live.write('hello');
    live.end();
    const answer = await live.answer();
    expect([answer.status, answer.interim]).toEqual([200, [100]]);
    expect([upstream.exchanges[0]?.header('expect'), upstream.exchanges[0]?.body.toString()]).toEqual([
      null,
      'hello',
    ]);
  });

  test('1xx answers of the upstream are not taken for its answer', async () => {
    const { port } = await house(
      `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${OK}`,
    );
    const answer = await ask(protocol, port, { path: '/vllm/x' });
    expect([answer.status, answer.body.toString()]).toEqual([200, 'ok']);
  });

  test.each([
    ['small', 5_000],
    ['large', 20_000_000],
  ])('an answer that comes before the end of a %s upload arrives whole', async (_, size) => {
    const early = 'HTTP/1.1 413 Too Large\r\nContent-Length: 7\r\nConnection: close\r\n\r\ntoo big';
    const { port, line } = await house((exchange) => exchange.send(early), { runs: 'at the head' });
    const headers = ['Content-Type', 'text/plain'];
    const answer = await ask(protocol, port, {
      method: 'POST',
      path: '/vllm/x',
      headers,
      body: Buffer.alloc(size, 'x'),
    });
    expect([answer.status, answer.body.toString(), answer.whole]).toEqual([413, 'too big', true]);
    expect(await line(({ msg }) => msg === 'request')).toMatchObject({ status: 413, outcome: 'complete' });
  });
});

test('pipelined requests are answered in their order', async () => {
  const { port, upstream } = await house(() => {});
  const client = await rawClient(port);
  client.send('GET /vllm/1 HTTP/1.1\r\nHost: x\r\n\r\nGET /vllm/2 HTTP/1.1\r\nHost: x\r\n\r\n');
  await upstream.arrived(2);
  const [one, two] = upstream.exchanges;
  two?.send('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwo');
  one?.send('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none');
  const text = await client.until('two');
  expect(text.indexOf('one')).toBeLessThan(text.indexOf('two'));
});
