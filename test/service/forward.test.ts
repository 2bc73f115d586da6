import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Script, type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts';
import {
  chunk,
  collect,
  connectClient,
  type ForwardFixture,
  head,
  LiveCall,
  messages,
  type Part,
  startForward,
  trailers,
} from './forward-fixture.ts';

interface House extends ForwardFixture {
  readonly upstream: ScriptedUpstream;
}

async function house(script: Script, runs?: 'at the head'): Promise<House> {
  const upstream = await startUpstream(script, runs === undefined ? {} : { runs });
  const fixture = await startForward(`
model_list:
  - {model_name: m, litellm_params: {model: hosted_vllm/own/m, api_base: "${upstream.url}"}}
general_settings:
  pass_through_endpoints: [{path: /r, target: "${upstream.url}", forward_headers: true}]
`);
  return { ...fixture, upstream };
}

/** Each byte once, then all again. */
const EVERY_BYTE = Buffer.from(Array.from({ length: 512 }, (_, i) => i % 256));
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';

/** `bytes` cut at `borders`. */
function split(bytes: Buffer, borders: readonly number[]): Part[] {
  const at = [0, ...borders.map((border) => border % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return at.slice(1).map((end, i) => chunk(bytes.subarray(at[i], end)));
}

describe('Forward', () => {
  test('carries a request and its answer, byte for byte', async () => {
    const answer =
      'HTTP/1.1 207 Multi  Status\r\nX-One: 1\r\nx-one: caf\xe9\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 512\r\n\r\n';
    const { upstream, ...fixture } = await house((exchange) => {
      exchange.send(answer);
      exchange.send(EVERY_BYTE);
    });
    const sent = ['X-B', '1', 'x-b', 'caf\xe9', 'Content-Length', '512', 'X-B', ''];
    const got = await collect(
      connectClient(fixture).forward(
        messages(
          head('PATCH', '/r/a%2Fb?x=1&x=%20&y', ...sent),
          chunk(EVERY_BYTE.subarray(0, 1)),
          chunk(''),
          chunk(EVERY_BYTE.subarray(1)),
        ),
      ),
    );
    const seen = await upstream.next();
    expect(seen.line).toBe('PATCH /a%2Fb?x=1&x=%20&y HTTP/1.1');
    expect(seen.headers).toEqual(['Host', `127.0.0.1:${upstream.port}`, ...sent]);
    expect(seen.body.equals(EVERY_BYTE)).toBe(true);
    expect([got.status, got.reason]).toEqual([207, 'Multi  Status']);
    expect(got.headers.slice(0, 10)).toEqual([
      ...['X-One', '1', 'x-one', 'caf\xe9', 'Set-Cookie', 'a', 'Set-Cookie', 'b', 'Content-Length', '512'],
    ]);
    expect(got.headers.slice(10).filter((_, i) => i % 2 === 0)).toEqual(['x-sluice-request-id', 'Date']);
    expect(got.body.equals(EVERY_BYTE)).toBe(true);
    expect(got.order).toEqual(['head', 'chunk']);
  });

  test('carries a body however it is cut, of known length or not', async () => {
    const { upstream, ...fixture } = await house((exchange) => {
      exchange.send(`HTTP/1.1 200 OK\r\nContent-Length: ${exchange.bodyBytes}\r\n\r\n`);
      exchange.send(exchange.body);
    });
    const client = connectClient(fixture);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(), { maxLength: 6 }), fc.boolean(), async (borders, isKnown) => {
        const length = isKnown ? ['Content-Length', '512'] : [];
        const answer = await collect(
          client.forward(messages(head('POST', '/r', ...length), ...split(EVERY_BYTE, borders))),
        );
        const seen = await upstream.next();
        expect(seen.body.equals(EVERY_BYTE)).toBe(true);
        expect(seen.header('content-length')).toBe(isKnown ? '512' : null);
        expect(seen.header('transfer-encoding')).toBe(isKnown ? null : 'chunked');
        expect(answer.body.equals(EVERY_BYTE)).toBe(true);
      }),
      { numRuns: 40 },
    );
  });

  test('replaces the name of the model and nothing else, however the body is cut', async () => {
    const { upstream, ...fixture } = await house(OK);
    const client = connectClient(fixture);
    const body = Buffer.from('{"input": "é \\u0000",  "model":"m" ,"model2":"m"}');
    const expected = body.toString().replace('"model":"m"', '"model":"own/m"');
    const type = ['Content-Type', 'application/json'];
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(), { maxLength: 6 }), fc.boolean(), async (borders, isKnown) => {
        const length = isKnown ? ['Content-Length', String(body.length)] : [];
        const parts = [head('POST', '/v1/embeddings', ...type, ...length), ...split(body, borders)];
        expect((await collect(client.forward(messages(...parts)))).status).toBe(200);
        const seen = await upstream.next();
        expect(seen.line).toBe('POST /v1/embeddings HTTP/1.1');
        expect(seen.body.toString()).toBe(expected);
      }),
      { numRuns: 40 },
    );
  });

  test('cuts a large answer into messages of at most 16 KiB', async () => {
    const body = Buffer.alloc(1_000_003, EVERY_BYTE);
    const fixture = await house((exchange) => {
      exchange.send(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`);
      exchange.send(body);
    });
    const answer = await collect(connectClient(fixture).forward(messages(head('GET', '/r'))));
    expect(answer.body.equals(body)).toBe(true);
    expect(Math.max(...answer.chunks.map(({ length }) => length))).toBe(16 * 1024);
    expect(answer.chunks.length).toBeLessThan(500);
  });

  test('hands on each event as it is made', async () => {
    const { upstream, ...fixture } = await house(() => {});
    const call = new LiveCall(fixture).send(head('GET', '/r')).halfClose();
    const seen = await upstream.next();
    seen.send(CHUNKED);
    await call.until(({ status }) => status === 200);
    for (const event of ['data: 1\n\n', 'data: 2\n\n', 'data: [DONE]\n\n']) {
      seen.send(`${event.length.toString(16)}\r\n${event}\r\n`);
      await call.until(({ body }) => body.toString().endsWith(event));
    }
    seen.send('0\r\n\r\n');
    expect((await call.status()).code).toBe(0);
    expect(call.answer.chunks.length).toBe(3);
  });

  test('carries trailers both ways', async () => {
    const { upstream, ...fixture } = await house(
      `${CHUNKED}2\r\nok\r\n0\r\nX-Sum: a\r\nx-sum: caf\xe9\r\nContent-Length: 9\r\n\r\n`,
    );
    const call = connectClient(fixture).forward(
      messages(
        head('POST', '/r', 'Trailer', 'X-Check'),
        chunk('hi'),
        trailers('X-Check', 'b\xff', 'x-check', ''),
      ),
    );
    const answer = await collect(call);
    expect((await upstream.next()).trailers).toEqual(['X-Check', 'b\xff', 'x-check', '']);
    expect(answer.trailers).toEqual(['X-Sum', 'a', 'x-sum', 'caf\xe9']);
    expect(answer.order).toEqual(['head', 'chunk', 'trailers']);
  });

  test('carries trailers without a body', async () => {
    const { upstream, ...fixture } = await house(`${CHUNKED}0\r\nX: y\r\n\r\n`);
    const answer = await collect(
      connectClient(fixture).forward(messages(head('DELETE', '/r'), trailers('A', 'b'))),
    );
    expect((await upstream.next()).trailers).toEqual(['A', 'b']);
    expect(answer.order).toEqual(['head', 'trailers']);
  });

  test('drops what comes before the final answer', async () => {
    const fixture = await house(`HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${OK}`);
    const answer = await collect(connectClient(fixture).forward(messages(head('GET', '/r'))));
    expect([answer.status, answer.body.toString()]).toEqual([200, 'ok']);
    expect(answer.header('link')).toBe(null);
  });

  test.each([
    ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n', '5'],
    ['GET', 'HTTP/1.1 204 No Content\r\n\r\n', null],
    ['GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n', '5'],
    ['GET', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', '0'],
  ])('carries an answer without a body: %s, %j', async (method, response, length) => {
    const answer = await collect(connectClient(await house(response)).forward(messages(head(method, '/r'))));
    expect(answer.order).toEqual(['head']);
    expect(answer.header('content-length')).toBe(length);
  });

  test('answers HEAD without a body when it answers itself', async () => {
    const answer = await collect(connectClient(await house(OK)).forward(messages(head('HEAD', '/nowhere'))));
    expect([answer.status, answer.order]).toEqual([404, ['head']]);
  });

  test.each(['GET', 'HEAD', 'DELETE', 'OPTIONS'])('invents no body for %s', async (method) => {
    const { upstream, ...fixture } = await house('HTTP/1.1 204 No Content\r\n\r\n');
    await collect(connectClient(fixture).forward(messages(head(method, '/r'))));
    await collect(connectClient(fixture).forward(messages(head(method, '/r'), chunk(''))));
    for (let round = 0; round < 2; round++) {
      expect((await upstream.next()).bytes.toString()).toBe(
        `${method} / HTTP/1.1\r\nHost: 127.0.0.1:${upstream.port}\r\n\r\n`,
      );
    }
  });

  test('carries a body of GET and DELETE', async () => {
    const { upstream, ...fixture } = await house(OK);
    for (const method of ['GET', 'DELETE']) {
      await collect(connectClient(fixture).forward(messages(head(method, '/r'), chunk('x'), chunk('y'))));
      expect((await upstream.next()).body.toString()).toBe('xy');
    }
  });

  test('ends a body of unknown length where the client closes its side', async () => {
    const { upstream, ...fixture } = await house(OK);
    const call = new LiveCall(fixture).send(head('POST', '/r'), chunk('hello'));
    const seen = await upstream.next();
    await seen.until(() => seen.body.toString() === 'hello');
    expect(seen.complete).toBe(false);
    call.halfClose();
    expect((await call.status()).code).toBe(0);
    expect(seen.complete).toBe(true);
  });

  test('ends a body of known length with its last byte', async () => {
    const { upstream, ...fixture } = await house(OK);
    for (const [length, parts] of [
      ['5', [chunk('hel'), chunk('lo')]],
      ['0', []],
    ] as const) {
      const call = new LiveCall(fixture).send(head('POST', '/r', 'Content-Length', length), ...parts);
      expect((await call.status()).code).toBe(0);
      expect((await upstream.next()).body.length).toBe(Number(length));
    }
  });

  test('carries both directions at the same time', async () => {
    const { upstream, ...fixture } = await house((exchange) => exchange.send(CHUNKED), 'at the head');
    const call = new LiveCall(fixture).send(head('POST', '/r'));
    await call.until(({ status }) => status === 200);
    const seen = await upstream.next();
    for (const letter of 'abc') {
      call.send(chunk(letter));
      await seen.until(() => seen.body.toString().endsWith(letter));
      seen.send(`1\r\n${letter}\r\n`);
      await call.until(({ body }) => body.toString().endsWith(letter));
    }
    call.halfClose();
    await seen.until(() => seen.complete);
    seen.send('0\r\n\r\n');
    expect((await call.status()).code).toBe(0);
    expect(call.answer.body.toString()).toBe('abc');
  });

  test('ends well when the answer is complete before the request is', async () => {
    const { upstream, ...fixture } = await house(OK, 'at the head');
    const call = new LiveCall(fixture).send(head('POST', '/r'), chunk('x'));
    expect((await call.status()).code).toBe(0);
    expect(call.answer.body.toString()).toBe('ok');
    await (await upstream.next()).closed();
  });

  test('leaves the record that every request leaves', async () => {
    const fixture = await house(OK);
    const body = '{"model":"m"}';
    const type = ['Content-Type', 'application/json'];
    await collect(connectClient(fixture).forward(messages(head('POST', '/v1/x?q', ...type), chunk(body))));
    expect(fixture.records).toMatchObject([
      {
        ...{ method: 'POST', path: '/v1/x', route: 'v1', target: 'm#0', model: 'm', status: 200 },
        ...{ outcome: 'complete', bytesIn: body.length, bytesOut: 2 },
      },
    ]);
  });
});
