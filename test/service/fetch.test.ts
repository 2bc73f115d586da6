import { Code, ConnectError, createClient, type Transport } from '@connectrpc/connect';
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from '@connectrpc/connect-node';
import { describe, expect, test } from 'vitest';
import { PassthroughService } from '../../gen/sluice/v1/passthrough_service_pb.ts';
import { type Script, type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts';
import { answerFrom, collect, type ForwardFixture, headers, startForward } from './forward-fixture.ts';

interface House extends ForwardFixture {
  readonly upstream: ScriptedUpstream;
}

async function house(script: Script): Promise<House> {
  const upstream = await startUpstream(script);
  const fixture = await startForward(`
model_list:
  - {model_name: m, litellm_params: {model: hosted_vllm/own/m, api_base: "${upstream.url}"}}
general_settings:
  pass_through_endpoints: [{path: /r, target: "${upstream.url}", forward_headers: true}]
`);
  return { ...fixture, upstream };
}

const WIRES: Readonly<Record<string, (baseUrl: string) => Transport>> = {
  'Connect on HTTP/1.1': (baseUrl) => createConnectTransport({ baseUrl, httpVersion: '1.1' }),
  'Connect on HTTP/2': (baseUrl) => createConnectTransport({ baseUrl, httpVersion: '2' }),
  'gRPC-Web on HTTP/1.1': (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: '1.1' }),
  gRPC: (baseUrl) => createGrpcTransport({ baseUrl }),
};

const EVERY_BYTE = Buffer.from(Array.from({ length: 512 }, (_, i) => i % 256));
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';

describe.each(Object.entries(WIRES))('Fetch by %s', (_, transport) => {
  const clientOf = ({ baseUrl }: ForwardFixture) => createClient(PassthroughService, transport(baseUrl));

  test('carries a request and its answer, byte for byte', async () => {
    const { upstream, ...fixture } = await house((exchange) => {
      exchange.send(
        'HTTP/1.1 404 Not  Here\r\nX-One: 1\r\nx-one: caf\xe9\r\nTransfer-Encoding: chunked\r\n\r\n',
      );
      exchange.send('200\r\n');
      exchange.send(EVERY_BYTE);
      exchange.send('\r\n0\r\nX-Sum: 1\r\n\r\n');
    });
    const pairs = ['X-B', '1', 'x-b', 'caf\xe9'];
    const request = {
      head: { method: 'PUT', path: '/r/a%2Fb?x', headers: headers(...pairs) },
      body: EVERY_BYTE,
    };
    const answer = await collect(clientOf(fixture).fetch(request));
    const seen = await upstream.next();
    expect(seen.line).toBe('PUT /a%2Fb?x HTTP/1.1');
    expect(seen.headers).toEqual(['Host', `127.0.0.1:${upstream.port}`, ...pairs, 'Content-Length', '512']);
    expect(seen.body.equals(EVERY_BYTE)).toBe(true);
    expect([answer.status, answer.reason]).toEqual([404, 'Not  Here']);
    expect(answer.headers.slice(0, 4)).toEqual(['X-One', '1', 'x-one', 'caf\xe9']);
    expect(answer.body.equals(EVERY_BYTE)).toBe(true);
    expect(answer.trailers).toEqual(['X-Sum', '1']);
  });

  test('hands on each event as it is made', async () => {
    const { upstream, ...fixture } = await house(() => {});
    const messages = clientOf(fixture)
      .fetch({ head: { method: 'GET', path: '/r', headers: [] } })
      [Symbol.asyncIterator]();
    const first = messages.next();
    const seen = await upstream.next();
    seen.send(CHUNKED);
    expect((await first).value?.part.case).toBe('head');
    for (const letter of 'abc') {
      const next = messages.next();
      seen.send(`1\r\n${letter}\r\n`);
      expect((await next).value?.part.value).toEqual(new Uint8Array(Buffer.from(letter)));
    }
    seen.send('0\r\n\r\n');
    expect((await messages.next()).done).toBe(true);
  });

  test('fails with UNAVAILABLE behind what came when the upstream breaks off', async () => {
    const { upstream, ...fixture } = await house(() => {});
    const got: Parameters<typeof answerFrom>[0][number][] = [];
    const call = (async () => {
      for await (const message of clientOf(fixture).fetch({
        head: { method: 'GET', path: '/r', headers: [] },
      })) {
        got.push(message);
        if (message.part.case === 'chunk') upstream.exchanges[0]?.reset();
      }
    })();
    const seen = await upstream.next();
    seen.send(`${CHUNKED}2\r\nhi\r\n`);
    const failure = await call.then(
      () => null,
      (thrown: unknown) => thrown,
    );
    expect(failure).toBeInstanceOf(ConnectError);
    expect((failure as ConnectError).code).toBe(Code.Unavailable);
    expect(answerFrom(got).body.toString()).toBe('hi');
  });

  test('stops the upstream when the client cancels', async () => {
    const { upstream, ...fixture } = await house(() => {});
    const abort = new AbortController();
    const call = collect(
      clientOf(fixture).fetch({ head: { method: 'GET', path: '/r', headers: [] } }, { signal: abort.signal }),
    );
    const seen = await upstream.next();
    const since = performance.now();
    abort.abort();
    await expect(call).rejects.toMatchObject({ code: Code.Canceled });
    expect((await seen.closed()).at - since).toBeLessThan(100);
    expect(await fixture.record(() => true)).toMatchObject({ outcome: 'client_left' });
  });
});

describe('Fetch', () => {
  const clientOf = ({ baseUrl }: ForwardFixture) =>
    createClient(PassthroughService, createGrpcTransport({ baseUrl }));

  test.each([
    ['POST', '', 'Content-Length: 0\r\n'],
    ['PUT', '', 'Content-Length: 0\r\n'],
    ['PATCH', '', 'Content-Length: 0\r\n'],
    ['GET', '', ''],
    ['DELETE', '', ''],
    ['DELETE', 'x', 'Content-Length: 1\r\n'],
    ['POST', 'xy', 'Content-Length: 2\r\n'],
  ])('adds the length that %s with the body %j needs', async (method, body, framing) => {
    const { upstream, ...fixture } = await house(OK);
    const head = { method, path: '/r', headers: [] };
    await collect(clientOf(fixture).fetch({ head, body: Buffer.from(body) }));
    expect((await upstream.next()).bytes.toString()).toBe(
      `${method} / HTTP/1.1\r\nHost: 127.0.0.1:${upstream.port}\r\n${framing}\r\n${body}`,
    );
  });

  test.each([
    ['4', 'longer'],
    ['6', 'shorter'],
  ])('is refused when its Content-Length is %s for five bytes', async (length, relation) => {
    const { upstream, ...fixture } = await house(OK);
    const head = { method: 'POST', path: '/r', headers: headers('Content-Length', length) };
    const call = collect(clientOf(fixture).fetch({ head, body: Buffer.from('hello') }));
    await expect(call).rejects.toMatchObject({
      code: Code.InvalidArgument,
      message: expect.stringContaining(relation),
    });
    expect(upstream.connections).toBe(0);
  });

  test('is refused without a head', async () => {
    const { upstream, ...fixture } = await house(OK);
    await expect(collect(clientOf(fixture).fetch({}))).rejects.toMatchObject({ code: Code.InvalidArgument });
    expect(upstream.connections).toBe(0);
  });

  test('keeps the length where the request has it, and replaces the name of the model', async () => {
    const { upstream, ...fixture } = await house(OK);
    const body = Buffer.from('{"model":"m"}');
    const pairs = ['content-LENGTH', String(body.length), 'Content-Type', 'application/json'];
    await collect(
      clientOf(fixture).fetch({ head: { method: 'POST', path: '/v1/x', headers: headers(...pairs) }, body }),
    );
    const seen = await upstream.next();
    expect(seen.headers.slice(2)).toEqual(['content-LENGTH', '17', 'Content-Type', 'application/json']);
    expect(seen.body.toString()).toBe('{"model":"own/m"}');
  });

  test('carries a large body', async () => {
    const body = Buffer.alloc(3_000_000, EVERY_BYTE);
    const { upstream, ...fixture } = await house(OK);
    await collect(clientOf(fixture).fetch({ head: { method: 'POST', path: '/r', headers: [] }, body }));
    const seen = await upstream.next();
    expect(seen.body.equals(body)).toBe(true);
  });

  test('keeps the connection to the upstream for the next call', async () => {
    const { upstream, ...fixture } = await house(OK);
    const transport = createConnectTransport({ baseUrl: fixture.baseUrl, httpVersion: '1.1' });
    const client = createClient(PassthroughService, transport);
    for (let round = 0; round < 3; round++) {
      await collect(client.fetch({ head: { method: 'GET', path: '/r', headers: [] } }));
    }
    expect(upstream.connections).toBe(1);
  });
});
