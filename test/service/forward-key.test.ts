import { createClient, type Transport } from '@connectrpc/connect';
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from '@connectrpc/connect-node';
import { describe, expect, test } from 'vitest';
import { PassthroughService } from '../../gen/sluice/v1/passthrough_service_pb.ts';
import { OK, type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts';
import {
  type Answer,
  collect,
  connectClient,
  type ForwardFixture,
  head,
  headers,
  messages,
  startForward,
} from './forward-fixture.ts';

const MASTER = 'sk-master';
const BEARER = `Bearer ${MASTER}`;

interface House extends ForwardFixture {
  readonly upstream: ScriptedUpstream;
}

async function house(masterKey = `master_key: ${MASTER}, `): Promise<House> {
  const upstream = await startUpstream(OK);
  const target = `target: "${upstream.url}", forward_headers: true`;
  const fixture = await startForward(`
model_list:
  - {model_name: m, litellm_params: {model: openai/m, api_base: "${upstream.url}", api_key: sk-of-the-upstream}}
general_settings: {${masterKey}pass_through_endpoints: [{path: /open, ${target}}, {path: /closed, ${target}, auth: true}]}
`);
  return { ...fixture, upstream };
}

interface Keys {
  /** Headers of the call. */
  readonly call?: Readonly<Record<string, string>>;
  /** Raw pairs of the request that it carries. */
  readonly request?: readonly string[];
}

async function ask(
  fixture: ForwardFixture,
  path: string,
  { call = {}, request = [] }: Keys,
): Promise<Answer> {
  const parts = messages(head('GET', path, ...request));
  const answer = await collect(connectClient(fixture).forward(parts, { headers: call }));
  const fetched = { head: { method: 'GET', path, headers: headers(...request) } };
  const second = await collect(connectClient(fixture).fetch(fetched, { headers: call }));
  expect(second.status).toBe(answer.status);
  return answer;
}

/** What the upstream saw of it, as text; empty when it saw nothing. */
function seenBy({ exchanges }: ScriptedUpstream): string {
  return exchanges.map(({ bytes }) => bytes.toString('latin1')).join('');
}

const CALL_KEYS: readonly (readonly [string, string])[] = [
  ['authorization', BEARER],
  ['x-api-key', MASTER],
  ['api-key', MASTER],
  ['x-goog-api-key', MASTER],
  ['x-litellm-api-key', MASTER],
];

describe('the key of a Forward or Fetch call', () => {
  test.each(CALL_KEYS)(
    'opens the door from the call itself, and goes no further: %s',
    async (name, value) => {
      const { upstream, ...fixture } = await house();
      for (const path of ['/closed', '/openai/v1/x', '/v1/x', '/open']) {
        expect((await ask(fixture, path, { call: { [name]: value } })).status).toBe(200);
      }
      expect(seenBy(upstream)).not.toContain(MASTER);
      expect(upstream.exchanges.length).toBe(8);
    },
  );

  test.each(CALL_KEYS)('opens the door from the request, and goes no further: %s', async (name, value) => {
    const { upstream, ...fixture } = await house();
    for (const path of ['/closed', '/openai/v1/x', '/v1/x', '/open']) {
      expect((await ask(fixture, path, { request: [name, value] })).status).toBe(200);
    }
    expect(seenBy(upstream)).not.toContain(MASTER);
  });

  test('goes no further when both have it', async () => {
    const { upstream, ...fixture } = await house();
    for (const path of ['/closed', '/openai/v1/x', '/v1/x', '/open']) {
      const keys = {
        call: { authorization: BEARER },
        request: ['X-Api-Key', MASTER, 'X-Copy', `is ${MASTER}`],
      };
      expect((await ask(fixture, path, keys)).status).toBe(200);
    }
    expect(seenBy(upstream)).not.toContain(MASTER);
  });

  test("leaves the request's own credential alone when it is the call's that opens the door", async () => {
    const { upstream, ...fixture } = await house();
    for (const path of ['/closed', '/open']) {
      const keys = { call: { authorization: BEARER }, request: ['Authorization', 'Bearer of-the-target'] };
      expect((await ask(fixture, path, keys)).status).toBe(200);
    }
    expect(upstream.exchanges.map((seen) => seen.header('authorization'))).toEqual(
      Array.from({ length: 4 }, () => 'Bearer of-the-target'),
    );
  });

  test('is never added to a request, be it a key of ours or not', async () => {
    const { upstream, ...fixture } = await house();
    const call = { authorization: 'Bearer somebody', 'x-other': 'of the call' };
    expect((await ask(fixture, '/open', { call })).status).toBe(200);
    expect(seenBy(upstream)).not.toMatch(/somebody|of the call/);
  });

  test("is the upstream's own where a deployment has one", async () => {
    const { upstream, ...fixture } = await house();
    await ask(fixture, '/v1/x', { call: { authorization: BEARER } });
    expect((await upstream.next()).header('authorization')).toBe('Bearer sk-of-the-upstream');
  });

  test.each<readonly [string, Keys, string]>([
    ['none', {}, 'missing_key'],
    ['a wrong one of the call', { call: { authorization: 'Bearer sk-wrong' } }, 'unknown_key'],
    ['a wrong one of the request', { request: ['x-api-key', 'sk-wrong'] }, 'unknown_key'],
    ['a malformed one of the call', { call: { authorization: MASTER } }, 'malformed_key'],
  ])('is asked for by an HTTP answer: %s', async (_, keys, code) => {
    const { upstream, ...fixture } = await house();
    for (const path of ['/closed', '/v1/x', '/openai/v1/x']) {
      const answer = await ask(fixture, path, keys);
      expect([answer.status, JSON.parse(answer.body.toString()).error.code]).toEqual([401, code]);
      expect(answer.header('www-authenticate')).toBe('Bearer');
    }
    expect(upstream.connections).toBe(0);
  });

  test('may be anything without a master key, and goes no further on the paths that are ours', async () => {
    const { upstream, ...fixture } = await house('');
    for (const path of ['/closed', '/v1/x', '/openai/v1/x']) {
      const keys = { call: { authorization: 'Bearer any-thing' }, request: ['x-api-key', 'any-thing'] };
      expect((await ask(fixture, path, keys)).status).toBe(200);
    }
    expect(seenBy(upstream)).not.toContain('any-thing');
  });

  test('holds in every protocol', async () => {
    const { upstream, ...fixture } = await house();
    const { baseUrl } = fixture;
    const transports: readonly Transport[] = [
      createConnectTransport({ baseUrl, httpVersion: '1.1' }),
      createConnectTransport({ baseUrl, httpVersion: '2' }),
      createGrpcWebTransport({ baseUrl, httpVersion: '1.1' }),
      createGrpcTransport({ baseUrl }),
    ];
    for (const transport of transports) {
      const client = createClient(PassthroughService, transport);
      const request = { head: { method: 'GET', path: '/closed', headers: [] } };
      expect((await collect(client.fetch(request))).status).toBe(401);
      const withKey = { headers: { authorization: BEARER } };
      expect((await collect(client.fetch(request, withKey))).status).toBe(200);
    }
    expect(seenBy(upstream)).not.toContain(MASTER);
  });
});
