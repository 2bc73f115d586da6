import { describe, expect, test } from 'vitest';
import { type Answer, ask, errorOf, open, PROTOCOLS } from '../helpers/ask.ts';
import { startTestGateway } from '../helpers/gateway.ts';
import { type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts';

const KEY = 'sk-master';
const BEARER = ['Authorization', `Bearer ${KEY}`];

async function keyed(): Promise<{ port: number; upstream: ScriptedUpstream }> {
  const upstream = await startUpstream();
  const { port } = await startTestGateway(
    `
model_list:
  - {model_name: lang, litellm_params: {model: hosted_vllm/x, api_base: "${upstream.url}"}}
  - {model_name: gpt, litellm_params: {model: openai/gpt-4o, api_base: "${upstream.url}/v1", api_key: k}}
general_settings:
  master_key: ${KEY}
  pass_through_endpoints:
    - {path: /open, target: "${upstream.url}/t"}
    - {path: /closed, target: "${upstream.url}/t", auth: true}
    - {path: /team, target: "${upstream.url}/t", headers: {litellm_user_api_key: X-Team-Key}}
`,
  );
  return { port, upstream };
}

function refused(answer: Answer): readonly unknown[] {
  const { type, code } = errorOf(answer);
  return [answer.status, type, code, answer.header('x-sluice-request-id') !== null];
}

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test.each(['/vllm/classify', '/v1/classify', '/closed', '/team', '/v1/models', '/chat/completions'])(
    '%s lets nobody in without the key, and tells why',
    async (path) => {
      const { port, upstream } = await keyed();
      const of = async (headers: readonly string[]) => refused(await ask(protocol, port, { path, headers }));
      const type = 'authentication_error';
      expect(await of([])).toEqual([401, type, 'missing_key', true]);
      expect(await of(['Authorization', KEY])).toEqual([401, type, 'malformed_key', true]);
      expect(await of(['Authorization', 'Bearer sk-maste'])).toEqual([401, type, 'unknown_key', true]);
      expect(await of(['Authorization', 'Bearer sk-master2'])).toEqual([401, type, 'unknown_key', true]);
      expect(await of(['X-Unknown-Key', KEY])).toEqual([401, type, 'missing_key', true]);
      expect(upstream.connections).toBe(0);
    },
  );

  test.each([
    ['Authorization', `Bearer ${KEY}`],
    ['x-api-key', KEY],
    ['api-key', KEY],
    ['x-goog-api-key', KEY],
    ['x-litellm-api-key', KEY],
    ['x-litellm-api-key', `Bearer ${KEY}`],
  ])('the key is found in %s: %s', async (...headers) => {
    const { port } = await keyed();
    expect((await ask(protocol, port, { path: '/closed', headers })).status).toBe(200);
  });

  test('the key is found in the query, and in the header that a route names', async () => {
    const { port } = await keyed();
    expect((await ask(protocol, port, { path: `/closed?key=${KEY}` })).status).toBe(200);
    expect((await ask(protocol, port, { path: '/team', headers: ['x-team-key', KEY] })).status).toBe(200);
    expect((await ask(protocol, port, { path: '/closed', headers: ['x-team-key', KEY] })).status).toBe(401);
  });

  test('a route without auth is open', async () => {
    const { port } = await keyed();
    expect((await ask(protocol, port, { path: '/open' })).status).toBe(200);
  });

  test('Host opens no door (CVE-2026-49468, CVE-2026-48710)', async () => {
    const { port, upstream } = await keyed();
    for (const host of ['localhost', '127.0.0.1', 'open', new URL(upstream.url).host]) {
      const headers = [
        'Host',
        host,
        'X-Forwarded-Host',
        host,
        'X-Original-URL',
        '/open',
        'X-Forwarded-For',
        '::1',
      ];
      expect((await ask(protocol, port, { path: '/closed', headers })).status).toBe(401);
    }
    expect(upstream.connections).toBe(0);
  });

  test('a refused upload is not asked for: 401 without a 100', async () => {
    const { port } = await keyed();
    const headers = ['Expect', '100-continue'];
    const answer = await open(protocol, port, {
      method: 'POST',
      path: '/closed',
      headers,
      body: [],
    }).answer();
    expect([answer.status, answer.interim]).toEqual([401, []]);
  });

  const SPELLINGS = [
    ...['/vllm/sleep', '/vllm/sleep?level=1', '/vllm/%73leep', '/vllm/SLEEP', '/vllm/sleep/', '/vllm//sleep'],
    ...[
      '/vllm/sleep;x',
      '/vllm/sleep%0A',
      '/vllm/%2573leep',
      '/vllm/sleep%3Fa',
      '/hosted_vllm/wake_up',
      '/v1/sleep',
    ],
    ...[
      '/v1/load_lora_adapter',
      '/vllm/v1/unload_lora_adapter',
      '/vllm/collective_rpc',
      '/v1/update_weights',
    ],
    ...['/openai/sleep', '/vllm/reset_prefix_cache', '/v1/x/..%00/sleep', '/vllm/a%2Fsleep'],
  ];

  test.each(SPELLINGS)('%s administers vLLM: nobody but the master gets there', async (path) => {
    const { port, upstream } = await keyed();
    const headers = ['x-sluice-model', 'lang'];
    const without = await ask(protocol, port, { method: 'POST', path, headers });
    expect(without.status).toBe(401);
    expect(upstream.connections).toBe(0);
    const withKey = await ask(protocol, port, { method: 'POST', path, headers: [...headers, ...BEARER] });
    expect(withKey.status).toBe(200);
  });
});
