import { describe, expect, test } from 'vitest';
import { type Answer, ask, errorOf, open, PROTOCOLS } from '../helpers/ask.ts';
import { type LogLine, startTestGateway, type TestGateway } from '../helpers/gateway.ts';
import { type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts';

const MASTER = 'sk-master-0123456789';
const UPSTREAM = 'sk-upstream-0123456789';
const BEARER = ['Authorization', `Bearer ${MASTER}`];
const JSON_TYPE = ['Content-Type', 'application/json'];

async function house(
  level: 'info' | 'debug' = 'info',
): Promise<TestGateway & { upstream: ScriptedUpstream }> {
  const upstream = await startUpstream(
    'HTTP/1.1 200 OK\r\nSet-Cookie: sid=cookie-secret\r\nContent-Length: 13\r\n\r\nanswer-secret',
  );
  const gateway = await startTestGateway(
    `
model_list:
  - {model_name: m, litellm_params: {model: hosted_vllm/org/m, api_base: "${upstream.url}", api_key: ${UPSTREAM}}}
  - {model_name: gone, litellm_params: {model: hosted_vllm/x, api_base: "http://127.0.0.1:1", api_key: ${UPSTREAM}}}
general_settings:
  master_key: ${MASTER}
  max_body_bytes: 1000
  pass_through_endpoints:
    - {path: /r, target: "${upstream.url}/t?token=${UPSTREAM}", headers: {Authorization: bearer ${UPSTREAM}, X-Client-Ident: configured-secret}}
`,
    { level },
  );
  return { ...gateway, upstream };
}

const isRequest = ({ msg }: LogLine): boolean => msg === 'request';

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test('one line a request tells what became of it', async () => {
    const { port, line } = await house();
    const body = '{"model":"m","x":"12345"}';
    const question = {
      method: 'POST',
      path: '/v1/chat/completions?a=b',
      headers: [...BEARER, ...JSON_TYPE],
      body,
    };
    const answer = await ask(protocol, port, question);
    expect(await line(isRequest)).toMatchObject({
      ...{ request: answer.header('x-sluice-request-id'), method: 'POST', path: '/v1/chat/completions' },
      ...{ route: 'v1', target: 'm#0', model: 'm', status: 200, outcome: 'complete', why: null },
      ...{ bytes_in: body.length, bytes_out: 13 },
      ...{ first_byte_ms: expect.any(Number), duration_ms: expect.any(Number) },
    });
  });

  test.each([
    ['/vllm/x', { route: 'provider vllm', target: 'm#0' }],
    ['/r', { route: 'route /r', target: '/r' }],
  ])('%s is called what it is', async (path, expected) => {
    const { port, line } = await house();
    await ask(protocol, port, { path, headers: [...BEARER, 'x-sluice-model', 'm'] });
    expect(await line(isRequest)).toMatchObject(expected);
  });

  interface Refusal {
    readonly path: string;
    readonly body?: string;
    readonly headers?: readonly string[];
    readonly method?: string;
    readonly expected: readonly [status: number, type: string, code: string, param: string | null];
  }

  const REFUSALS: readonly Refusal[] = [
    { path: '/v1/x', headers: [], expected: [401, 'authentication_error', 'missing_key', null] },
    {
      path: '/v1/x',
      headers: ['api-key', 'sk-x'],
      expected: [401, 'authentication_error', 'unknown_key', null],
    },
    { path: '/nope', expected: [404, 'not_found_error', 'path_not_found', null] },
    { path: '/v1/x', body: '{"model":"n"}', expected: [404, 'not_found_error', 'model_not_found', 'model'] },
    { path: '/v1/x', expected: [400, 'invalid_request_error', 'model_required', 'model'] },
    { path: '/v1/a/../x', expected: [400, 'invalid_request_error', 'forbidden_path', null] },
    {
      path: '/v1/x',
      body: '{"model":"m","model":"m"}',
      expected: [400, 'invalid_request_error', 'duplicate_model', 'model'],
    },
    { path: '/r', method: 'PROPFIND', expected: [405, 'invalid_request_error', 'method_not_allowed', null] },
    {
      path: '/v1/x',
      body: `{"x":"${'x'.repeat(200_000)}"}`,
      expected: [413, 'invalid_request_error', 'body_too_large', 'model'],
    },
    {
      ...{ path: '/v1/x', body: 'x', headers: [...BEARER, ...JSON_TYPE, 'Content-Encoding', 'br'] },
      expected: [415, 'invalid_request_error', 'unsupported_encoding', 'content-encoding'],
    },
    { path: '/v1/x', body: '{"model":"gone"}', expected: [502, 'api_error', 'upstream_unreachable', null] },
  ];

  test.each(REFUSALS)(
    '$expected: $path',
    async ({ path, body, headers = [...BEARER, ...JSON_TYPE], method, expected }) => {
      const { port, line } = await house();
      const question = {
        method: method ?? (body === undefined ? 'GET' : 'POST'),
        path,
        headers,
        ...(body !== undefined && { body }),
      };
      const answer: Answer = await ask(protocol, port, question);
      const { message, type, code, param, ...rest } = errorOf(answer);
      expect([answer.status, type, code, param]).toEqual(expected);
      expect([message.length > 10, rest, answer.whole]).toEqual([true, {}, true]);
      expect([answer.header('content-type'), Number(answer.header('content-length'))]).toEqual([
        'application/json',
        answer.body.length,
      ]);
      const logged = await line(isRequest);
      expect(logged).toMatchObject({ request: answer.header('x-sluice-request-id'), status: expected[0] });
      expect(logged.outcome).toBe(expected[0] === 502 ? 'upstream_failed' : 'refused');
      expect(answer.body.toString() + JSON.stringify(logged)).not.toMatch(/sk-[a-z0-9]/);
    },
  );

  test('request ids never repeat', async () => {
    const { port } = await house();
    const ids = new Set<string | null>();
    for (let i = 0; i < 20; i++)
      ids.add((await ask(protocol, port, { path: '/r' })).header('x-sluice-request-id'));
    expect(ids.size).toBe(20);
  });

  test.each(['info', 'debug'] as const)(
    'no line holds a key, a query, a body or a cookie (level %s)',
    async (level) => {
      const { port, lines, line } = await house(level);
      const secrets = [
        'Cookie',
        'a=cookie-secret',
        'x-team-token',
        'token-secret',
        'X-Goog-Api-Key',
        'goog-secret',
      ];
      const headers = [...BEARER, ...JSON_TYPE, ...secrets];
      const body = '{"model":"m","prompt":"body-secret"}';
      const path = (base: string): string => `${base}?q=query-secret&key=${MASTER}&k=${MASTER}`;
      for (const base of ['/v1/x', '/vllm/x', '/r', '/nope']) {
        await ask(protocol, port, { method: 'POST', path: path(base), headers, body });
        await ask(protocol, port, {
          method: 'POST',
          path: path(base),
          headers,
          body: '{"model":"gone","p":"body-secret"}',
        });
      }
      await ask(protocol, port, {
        path: '/v1/x?q=query-secret',
        headers: ['Authorization', 'Bearer sk-wrong-secret'],
      });
      await ask(protocol, port, { path: '/v1/x?q=query-secret', headers: ['x-api-key', 'sk-wrong-secret'] });
      const leaving = { method: 'POST', path: path('/v1/left'), body: ['{"prompt":"body-secret'] };
      const live = open(protocol, port, { ...leaving, headers: [...headers, 'Expect', '100-continue'] });
      await live.interim(100);
      live.vanish();
      await line(({ outcome }) => outcome === 'client_left');
      expect(lines.filter(isRequest).length).toBeGreaterThanOrEqual(10);
      const text = JSON.stringify(lines);
      expect(text).not.toMatch(/secret|0123456789|sk-master|sk-upstream|sk-wrong/);
      if (level === 'debug') expect(text).toContain('to the upstream');
    },
  );
});
