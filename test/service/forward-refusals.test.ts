import { once } from 'node:events';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import { status as grpc } from '@grpc/grpc-js';
import { describe, expect, test } from 'vitest';
import { PassthroughService } from '../../gen/sluice/v1/passthrough_service_pb.ts';
import { DestinationTable } from '../../src/upstream/destination.ts';
import { OK, type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts';
import {
  chunk,
  collect,
  connectClient,
  type ForwardFixture,
  type ForwardOptions,
  head,
  headers,
  LiveCall,
  messages,
  type Part,
  rawForward,
  startForward,
  trailers,
} from './forward-fixture.ts';

interface House extends ForwardFixture {
  readonly upstream: ScriptedUpstream;
}

async function house(options: ForwardOptions = {}): Promise<House> {
  const upstream = await startUpstream(OK);
  const fixture = await startForward(
    `
model_list:
  - {model_name: m, litellm_params: {model: hosted_vllm/m, api_base: "${upstream.url}"}}
general_settings:
  pass_through_endpoints: [{path: /r, target: "${upstream.url}", forward_headers: true}]
`,
    options,
  );
  return { ...fixture, upstream };
}

/** What the call was refused with. */
async function refusal(call: Promise<unknown>): Promise<{ readonly code: string; readonly message: string }> {
  try {
    await call;
  } catch (thrown) {
    if (thrown instanceof ConnectError) return { code: Code[thrown.code], message: thrown.rawMessage };
    throw thrown;
  }
  throw new Error('was not refused');
}

function forward(fixture: ForwardFixture, ...parts: readonly Part[]): Promise<unknown> {
  return collect(connectClient(fixture).forward(messages(...parts)));
}

/** Rows: method, path, headers, and what the message must say. */
const BAD_HEADS: readonly (readonly [
  why: string,
  method: string,
  path: string,
  headers: readonly string[],
  says: string,
])[] = [
  ['Transfer-Encoding', 'POST', '/r', ['Transfer-Encoding', 'chunked'], 'Transfer-Encoding'],
  ['Connection', 'POST', '/r', ['Connection', 'x-a', 'x-a', '1'], 'Connection'],
  ['Keep-Alive', 'POST', '/r', ['keep-alive', 'timeout=5'], 'keep-alive'],
  ['a websocket', 'GET', '/r', ['Upgrade', 'websocket'], 'websockets'],
  ['LF in a value', 'POST', '/r', ['X-A', 'a\nX-B: c'], 'X-A'],
  ['CR in a value', 'POST', '/r', ['X-A', 'a\rb'], 'X-A'],
  ['NUL in a value', 'POST', '/r', ['X-A', 'a\0b'], 'X-A'],
  ['a character beyond U+00FF', 'POST', '/r', ['X-A', 'ā'], 'X-A'],
  ['a space behind a name', 'POST', '/r', ['X-A ', 'b'], 'X-A '],
  ['a pseudo-header', 'POST', '/r', [':path', '/'], ':path'],
  ['an empty name', 'POST', '/r', ['', 'b'], '""'],
  ['two Hosts', 'POST', '/r', ['Host', 'a', 'host', 'a'], 'Host'],
  ['a malformed Host', 'POST', '/r', ['Host', 'a/b'], 'Host'],
  ['two lengths', 'POST', '/r', ['Content-Length', '0', 'content-length', '0'], 'Content-Length'],
  ['a length that is no number', 'POST', '/r', ['Content-Length', '-1'], 'Content-Length'],
  ['a shadow of a length', 'POST', '/r', ['Content_Length', '1'], 'Content_Length'],
  ['no method', '', '/r', [], 'method'],
  ['a method that is no token', 'GET /x HTTP/1.1\r\n', '/r', [], 'method'],
  ['an absolute target', 'GET', 'http://127.0.0.1/r', [], 'path'],
  ['a target without a slash', 'GET', 'r', [], 'path'],
  ['no target', 'GET', '', [], 'path'],
  ['LF in the target', 'GET', '/r HTTP/1.1\r\nX: y', [], 'path'],
];

describe('what is no request', () => {
  test.each(BAD_HEADS)('fails the call with INVALID_ARGUMENT: %s', async (_, method, path, pairs, says) => {
    const { upstream, ...fixture } = await house();
    const refused = await refusal(forward(fixture, head(method, path, ...pairs)));
    expect(refused.code).toBe('InvalidArgument');
    expect(refused.message).toContain(says);
    const request = { head: { method, path, headers: headers(...pairs) } };
    expect(await refusal(collect(connectClient(fixture).fetch(request)))).toEqual(refused);
    expect(upstream.connections).toBe(0);
  });

  test.each(['TRACE', 'CONNECT'])('fails the call with UNIMPLEMENTED: %s', async (method) => {
    const { upstream, ...fixture } = await house();
    expect((await refusal(forward(fixture, head(method, '/r')))).code).toBe('Unimplemented');
    expect(upstream.connections).toBe(0);
  });

  test('fails the call with RESOURCE_EXHAUSTED when its head is too large', async () => {
    const fixture = await house({ limits: { maxHeaders: 3, maxHeaderBytes: 4_000 } });
    const many = ['a', '1', 'b', '2', 'c', '3', 'd', '4'];
    for (const pairs of [many, ['x', 'y'.repeat(4_000)]]) {
      expect((await refusal(forward(fixture, head('GET', '/r', ...pairs)))).code).toBe('ResourceExhausted');
    }
  });

  test.each<readonly [string, readonly Part[], string]>([
    ['no message', [], 'head'],
    ['a chunk first', [chunk('x'), head('POST', '/r')], 'head'],
    ['trailers first', [trailers()], 'head'],
  ])('fails the call with INVALID_ARGUMENT: %s', async (_, parts, says) => {
    const { upstream, ...fixture } = await house();
    const refused = await refusal(forward(fixture, ...parts));
    expect(refused.code).toBe('InvalidArgument');
    expect(refused.message).toContain(says);
    expect(upstream.connections).toBe(0);
  });

  test.each<readonly [string, string, readonly Part[], string]>([
    ['a second head', '', [chunk('x'), head('POST', '/r')], 'head'],
    ['a chunk behind the trailers', '', [chunk('x'), trailers('a', 'b'), chunk('y')], 'trailers'],
    ['trailers behind the trailers', '', [trailers(), trailers()], 'trailers'],
    ['LF in a trailer', '', [chunk('x'), trailers('X-A', 'a\nb')], 'X-A'],
    [
      'Transfer-Encoding as a trailer',
      '',
      [chunk('x'), trailers('Transfer-Encoding', 'x')],
      'Transfer-Encoding',
    ],
    ['a body that is longer than announced', '5', [chunk('hel'), chunk('lo!')], 'longer'],
    ['a body where none was announced', '0', [chunk('!')], 'longer'],
    ['a body that is shorter than announced', '5', [chunk('hell')], 'shorter'],
    ['trailers before the announced length', '5', [chunk('hell'), trailers()], 'shorter'],
  ])('fails the call, and the upstream never sees a whole request: %s', async (_, length, parts, says) => {
    const upstream = await startUpstream(() => {});
    const fixture = await startForward(`
general_settings: {pass_through_endpoints: [{path: /r, target: "${upstream.url}"}]}
`);
    const pairs = length === '' ? [] : ['Content-Length', length];
    const call = new LiveCall(fixture).send(head('POST', '/r', ...pairs), ...parts).halfClose();
    const { code, details } = await call.status();
    expect(code).toBe(grpc.INVALID_ARGUMENT);
    expect(details).toContain(says);
    expect(call.received).toEqual([]);
    expect(await fixture.record(() => true)).toMatchObject({ outcome: 'refused' });
    for (const seen of upstream.exchanges) await seen.closed();
  });

  test('fails the call when a chunk is no message, without its bytes', async () => {
    const upstream = await startUpstream(() => {});
    const fixture = await startForward(`
general_settings: {pass_through_endpoints: [{path: /r, target: "${upstream.url}"}]}
`);
    const stream = rawForward(fixture, head('POST', '/r'), chunk('x'));
    const ended = once(stream, 'trailers');
    stream.resume();
    stream.end(Buffer.from([0, 0, 0, 0, 3, 0x12, 0x7f, 0x41]));
    const [answered] = (await ended) as [Record<string, string>];
    expect(answered).toMatchObject({ 'grpc-status': String(grpc.INVALID_ARGUMENT) });
    expect(answered['grpc-message']).toBe('the message is not the binary form of sluice.v1.ForwardRequest');
    for (const seen of upstream.exchanges) await seen.closed();
  });

  test('fails the call at once when the answer has begun', async () => {
    const upstream = await startUpstream('HTTP/1.1 200 OK\r\n\r\nhello', { runs: 'at the head' });
    const fixture = await startForward(`
general_settings: {pass_through_endpoints: [{path: /r, target: "${upstream.url}"}]}
`);
    const call = new LiveCall(fixture).send(head('POST', '/r', 'Content-Length', '2'), chunk('x'));
    await call.until(({ body }) => body.toString() === 'hello');
    call.send(chunk('much'));
    expect((await call.status()).code).toBe(grpc.INVALID_ARGUMENT);
    await (await upstream.next()).closed();
    expect(await fixture.record(() => true)).toMatchObject({ outcome: 'refused', status: 200 });
  });

  test.each(['forward', 'fetch'] as const)('fails the call when it comes as JSON: %s', async (method) => {
    const { upstream, ...fixture } = await house();
    const options = { baseUrl: fixture.baseUrl, httpVersion: '2', useBinaryFormat: false } as const;
    const client = createClient(PassthroughService, createConnectTransport(options));
    const parts = messages(head('GET', '/r'));
    const call =
      method === 'forward'
        ? client.forward(parts)
        : client.fetch({ head: { method: 'GET', path: '/r', headers: [] } });
    const refused = await refusal(collect(call));
    expect(refused.code).toBe('Unimplemented');
    expect(refused.message).toContain('JSON');
    expect(upstream.connections).toBe(0);
  });
});

describe('a call that goes silent', () => {
  test.each<readonly [string, readonly Part[]]>([
    ['before the head', []],
    ['before a body or its absence', [head('GET', '/r')]],
  ])('is cut %s', async (_, parts) => {
    const fixture = await house({ limits: { headerTimeoutMs: 50 } });
    const { code, details } = await new LiveCall(fixture).send(...parts).status();
    expect([code, details]).toEqual([grpc.DEADLINE_EXCEEDED, expect.stringContaining('header_timeout')]);
  });

  test('gets the answer of the raw port within its body', async () => {
    const upstream = await startUpstream(() => {});
    const fixture = await startForward(
      `general_settings: {pass_through_endpoints: [{path: /r, target: "${upstream.url}"}]}`,
      { limits: { bodyTimeoutMs: 50 } },
    );
    const call = new LiveCall(fixture).send(head('POST', '/r'), chunk('x'));
    expect((await call.status()).code).toBe(grpc.OK);
    expect(call.answer.status).toBe(408);
    await (await upstream.next()).closed();
  });
});

describe('what the relay refuses', () => {
  test.each([
    ['/nowhere', '', 404, 'path_not_found'],
    ['/v1/x', '{"model":"other"}', 404, 'model_not_found'],
    ['/v1/x', '{"model":"m","model":"m"}', 400, 'duplicate_model'],
    ['/r/../x', '', 400, 'forbidden_path'],
  ])('is an HTTP answer with the envelope: %s %s', async (path, body, status, code) => {
    const { upstream, ...fixture } = await house();
    const pairs = ['Content-Type', 'application/json'];
    const parts = [head('POST', path, ...pairs), chunk(body)];
    const answer = await collect(connectClient(fixture).forward(messages(...parts)));
    expect([answer.status, JSON.parse(answer.body.toString()).error.code]).toEqual([status, code]);
    expect(answer.header('x-sluice-request-id')).toBe(fixture.records[0]?.id);
    expect(answer.header('content-type')).toBe('application/json');
    expect(upstream.exchanges.filter((seen) => seen.complete)).toEqual([]);
  });

  test('is a guarded target whose address is forbidden, told without the address', async () => {
    const yaml = `
general_settings: {pass_through_endpoints: [{path: /r, target: "http://169.254.169.254/latest/meta-data"}]}
`;
    const fixture = await startForward(yaml, {
      context: (context) => ({
        ...context,
        destinations: new DestinationTable({
          routes: [guardedRoute(context.destinations)],
          providerPrefixes: new Map(),
        }),
      }),
    });
    const answer = await collect(connectClient(fixture).forward(messages(head('GET', '/r'))));
    expect(answer.status).toBe(502);
    expect(JSON.parse(answer.body.toString()).error).toMatchObject({
      code: 'upstream_forbidden',
      message: expect.not.stringContaining('169.254'),
    });
    expect(await fixture.record(() => true)).toMatchObject({
      ...{ outcome: 'upstream_failed', why: 'forbidden_address', status: 502 },
    });
  });
});

/** The table's only route, as if it had been created through the API. */
function guardedRoute(
  table: DestinationTable,
): ConstructorParameters<typeof DestinationTable>[0]['routes'][number] {
  const destination = table.resolve('GET', { raw: '/r', query: '' });
  if (destination?.kind !== 'route') throw new Error('no route');
  return { ...destination.route, guarded: true };
}
