import { describe, expect, test } from 'vitest';
import { type Answer, ask, errorOf, PROTOCOLS, type Protocol, type Question } from '../helpers/ask.ts';
import { startTestGateway, type TestGateway } from '../helpers/gateway.ts';
import { type ScriptedUpstream, startUpstream, type UpstreamExchange } from '../helpers/scripted-upstream.ts';

/** Answers with its own name and the request's target. */
function named(name: string): Promise<ScriptedUpstream> {
  return startUpstream((exchange: UpstreamExchange) => {
    const body = exchange.method === 'HEAD' ? '' : `${name} ${exchange.method} ${exchange.target}`;
    exchange.send(
      `HTTP/1.1 200 OK\r\nX-Target: ${name} ${exchange.target}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
  });
}

async function house(): Promise<TestGateway> {
  const [vllm, cohere, bria, rerank] = await Promise.all(['vllm', 'cohere', 'bria', 'rerank'].map(named));
  return startTestGateway(
    `
general_settings:
  pass_through_endpoints:
    - {path: /bria, target: "${bria?.url}"}
    - {path: /bria/v2/exact, target: "${rerank?.url}/exact", methods: [POST]}
    - {path: /v1/rerank, target: "${rerank?.url}/v1/rerank"}
    - {path: /v1/rerank2, target: "${rerank?.url}/base", include_subpath: true, methods: [GET, POST]}
    - {path: /cohere/own, target: "${rerank?.url}/own"}
    - {path: /query, target: "${rerank?.url}/q?own=1", default_query_params: {lang: en}}
`,
    {
      env: {
        HOSTED_VLLM_API_BASE: vllm?.url ?? '',
        COHERE_API_BASE: `${cohere?.url}/base/`,
        COHERE_API_KEY: 'k',
      },
    },
  );
}

async function text(protocol: Protocol, port: number, question: Question): Promise<string> {
  const answer = await ask(protocol, port, question);
  return answer.status === 200 ? answer.body.toString() : `${answer.status} ${errorOf(answer).code}`;
}

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test('routes in order: control plane, operator, provider, /v1; what is below goes along at a segment border', async () => {
    const { port } = await house();
    const expected: readonly (readonly [string, string])[] = [
      ['/bria', 'bria GET /'],
      ['/bria/', 'bria GET /'],
      ['/bria/v1/text-to-image/base/2.3', 'bria GET /v1/text-to-image/base/2.3'],
      ['/briaX/y', '404 path_not_found'],
      ['/bria/v2/exact', '405 method_not_allowed'],
      ['/bria/v2/exact/below', 'bria GET /v2/exact/below'],
      ['/v1/rerank', 'rerank GET /v1/rerank'],
      ['/v1/rerank/', 'rerank GET /v1/rerank'],
      ['/v1/rerank/below', 'vllm GET /v1/rerank/below'],
      ['/v1/rerank2/below/', 'rerank GET /base/below/'],
      ['/v1/rerank3', 'vllm GET /v1/rerank3'],
      ['/cohere/own', 'rerank GET /own'],
      ['/cohere/v2/chat', 'cohere GET /base/v2/chat'],
      ['/vllm/v1/x', 'vllm GET /v1/x'],
      ['/hosted_vllm/classify', 'vllm GET /classify'],
      ['/vllm', 'vllm GET /'],
      ['/v1/responses/abc/input_items?limit=2', 'vllm GET /v1/responses/abc/input_items?limit=2'],
      ['/nowhere/x', '404 path_not_found'],
      ['/', '404 path_not_found'],
      ['/VLLM/x', '404 path_not_found'],
      ['//vllm/x', '404 path_not_found'],
      // Asked for under another machine's name, while nobody needs a key.
      ['/metrics', '403 forbidden_host'],
      ['/llm/configurations', '403 forbidden_host'],
      ['/sluice.v1.ModelService/ListConfigurations', '403 forbidden_host'],
    ];
    for (const [path, answer] of expected)
      expect([path, await text(protocol, port, { path })]).toEqual([path, answer]);
  });

  test('does not lose a base path (#11925), and makes no double slash (#8350)', async () => {
    const { port } = await house();
    expect(await text(protocol, port, { path: '/cohere/v2/chat' })).toBe('cohere GET /base/v2/chat');
    expect(await text(protocol, port, { path: '/cohere//v2/chat' })).toBe('cohere GET /base/v2/chat');
    expect(await text(protocol, port, { path: '/cohere/' })).toBe('cohere GET /base');
    expect(await text(protocol, port, { path: '/v1/rerank2' })).toBe('rerank GET /base');
  });

  test('keeps repeated query keys, their order and encoding (#13334, #15087)', async () => {
    const { port } = await house();
    const query = 'b=2&a=1&b=%20x+y&=&c&%E4%BD%A0=~!$()*,;:@/?&A=[]';
    expect(await text(protocol, port, { path: `/vllm/x?${query}` })).toBe(`vllm GET /x?${query}`);
    expect(await text(protocol, port, { path: `/query?${query}` })).toBe(
      `rerank GET /q?own=1&${query}&lang=en`,
    );
    expect(await text(protocol, port, { path: '/query?lang=&x' })).toBe('rerank GET /q?own=1&lang=&x');
    expect(await text(protocol, port, { path: '/vllm/x?' })).toBe('vllm GET /x?');
  });

  test('leaves percent-encoding in the path as it was sent', async () => {
    const { port } = await house();
    const path = "/models/a%2Fb%2fc%20%41%E4%BD%A0/~!$&'()*+,;=:@";
    expect(await text(protocol, port, { path: `/vllm${path}` })).toBe(`vllm GET ${path}`);
    expect(await text(protocol, port, { path: `/bria${path}` })).toBe(`bria GET ${path}`);
  });

  test.each([
    ...[
      '/vllm/../x',
      '/vllm/a/..',
      '/vllm/%2e%2e/x',
      '/vllm/%2E./x',
      '/vllm/..%2fx',
      '/vllm/.',
      '/vllm/%252e%252e/x',
    ],
    ...[
      '/v1/../x',
      '/v1/%2e%2e/x',
      '/bria/../x',
      '/bria/%2e%2e/x',
      '/cohere/..;/x',
      '/v1/rerank2/%2e%2e%2fx',
    ],
  ])('refuses encoded dot segments (#26467): %s', async (path) => {
    const { port } = await house();
    const answer = await ask(protocol, port, { path });
    expect([answer.status, errorOf(answer).code]).toEqual([400, 'forbidden_path']);
  });

  test('another method than a route takes is 405 with Allow, and reaches nobody', async () => {
    const { port } = await house();
    const refused = async (method: string, path: string): Promise<string | null> => {
      const answer = await ask(protocol, port, { method, path });
      expect([answer.status, answer.whole]).toEqual([405, true]);
      return answer.header('allow');
    };
    expect(await refused('DELETE', '/v1/rerank2/x')).toBe('GET, POST');
    expect(await refused('HEAD', '/v1/rerank2')).toBe('GET, POST');
    expect(await refused('PROPFIND', '/bria')).toBe('GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS');
    expect(await refused('POST', '/health')).toBe('GET, HEAD');
    expect(await refused('TRACE', '/vllm/x')).not.toBeNull();
  });

  test.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'REPORT', 'QUERY'])(
    'relays %s, with and without a body',
    async (method) => {
      const { port } = await house();
      expect(await text(protocol, port, { method, path: '/vllm/x' })).toBe(`vllm ${method} /x`);
      expect(await text(protocol, port, { method, path: '/vllm/x', body: 'a body' })).toBe(
        `vllm ${method} /x`,
      );
      expect(await text(protocol, port, { method, path: '/vllm/x', body: ['a', 'b'] })).toBe(
        `vllm ${method} /x`,
      );
    },
  );

  test('relays HEAD without a body, and its headers as they are', async () => {
    const { port } = await house();
    const answer: Answer = await ask(protocol, port, { method: 'HEAD', path: '/vllm/x' });
    expect([answer.status, answer.header('x-target'), answer.body.length]).toEqual([200, 'vllm /x', 0]);
  });

  test('answers health itself, to GET and HEAD', async () => {
    const { port } = await house();
    for (const path of ['/health', '/health/readiness', '/health/liveliness', '/health/liveness']) {
      expect((await ask(protocol, port, { path })).status).toBe(200);
      const head = await ask(protocol, port, { method: 'HEAD', path });
      expect([head.status, head.body.length, head.whole]).toEqual([200, 0, true]);
      expect(Number(head.header('content-length'))).toBeGreaterThan(0);
    }
  });
});
