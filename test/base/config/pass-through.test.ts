import { describe, expect, test } from 'vitest';
import { faultsOf, parsed } from './parsed.ts';

const COHERE = 'https://api.cohere.com/v1/rerank';

/** One route; each line stands below its path and target, from line 5 on. */
function route(path: string, target: string, ...lines: string[]): string {
  return [
    'general_settings:',
    '  pass_through_endpoints:',
    `    - path: "${path}"`,
    `      target: "${target}"`,
    ...lines.map((line) => `      ${line}`),
  ].join('\n');
}

const first = (text: string, env = {}) => parsed(text, env).routes[0];

describe('path', () => {
  test.each([
    ['/v1/rerank', '/v1/rerank'],
    ['/bria/', '/bria'],
    ['/', '/'],
    ['/a%20b', '/a%20b'],
    ['/uikit', '/uikit'],
    ['/vllm/score', '/vllm/score'],
  ])('%s can be taken, as %s', (written, path) => {
    expect(first(route(written, COHERE))?.path).toBe(path);
  });

  test.each([
    ['v1/rerank', 'must begin with a slash, like "/v1/rerank", not "v1/rerank"'],
    ['/a?b=c', 'must be a path alone, without a query or fragment, not "/a?b=c"'],
    ['/a#b', 'must be a path alone, without a query or fragment, not "/a#b"'],
    ['/a/{rest}', 'takes no patterns; include_subpath: true takes everything below a path'],
    ['/a/*', 'takes no patterns; include_subpath: true takes everything below a path'],
    ['/a b', 'has a character that must be percent-encoded'],
    ['//a', 'has an empty segment (two slashes in a row)'],
    ['/a/../b', 'has "." or ".." as a segment; no request ever matches it'],
  ])('%s is a fault', (written, problem) => {
    expect(faultsOf(route(written, COHERE))).toEqual([
      `config.yaml:3: pass_through_endpoints[0].path: ${problem}`,
    ]);
  });

  test.each([
    '/health',
    '/health/liveliness',
    '/healthz',
    '/metrics',
    '/metrics/x',
    '/openapi.json',
    '/docs',
    '/ui/x',
    '/llm/inference',
    '/key/generate',
    '/config/pass_through_endpoint',
    '/spend/logs',
    '/sluice.v1.ModelService/Infer',
    '/grpc.health.v1.Health/Check',
    '/%68ealth',
  ])('%s belongs to the control plane and can’t be taken', (written) => {
    expect(faultsOf(route(written, COHERE))).toEqual([
      "config.yaml:3: pass_through_endpoints[0].path: is a path of Sluice's own control plane; take another",
    ]);
  });

  test('two routes may share a path for different methods', () => {
    const text = `${route('/a', 'https://one', 'methods: [GET]')}
    - {path: /a/, target: "https://two", methods: [POST, put]}`;
    expect(parsed(text).routes.map(({ methods }) => methods)).toEqual([['GET'], ['POST', 'PUT']]);
  });

  test('two routes with the same path and a method in common are a fault', () => {
    const text = `${route('/a', 'https://one', 'methods: [GET, POST]')}
    - {path: /b, target: "https://two"}
    - {path: /a/, target: "https://two", methods: [put, post, get]}`;
    expect(faultsOf(text)).toEqual([
      'config.yaml:7: pass_through_endpoints[2].path: is taken by pass_through_endpoints[0] on line 3 already, for POST, GET',
    ]);
  });
});

describe('target', () => {
  test.each([
    ['https://engine.prod.bria-api.com', 'https://engine.prod.bria-api.com', true],
    ['https://engine.prod.bria-api.com/', 'https://engine.prod.bria-api.com', true],
    ['https://host?key=1', 'https://host?key=1', true],
    ['https://api.cohere.com/v1/rerank', 'https://api.cohere.com/v1/rerank', false],
    ['https://host/things/', 'https://host/things/', false],
    ['http://host:80/a%2Fb?x=1&x=2', 'http://host/a%2Fb?x=1&x=2', false],
  ])('%s becomes %s; subpaths included: %s', (written, url, includeSubpath) => {
    expect(first(route('/a', written))).toMatchObject({ target: { kind: 'url', url }, includeSubpath });
  });

  test('include_subpath says otherwise', () => {
    expect(first(route('/a', COHERE, 'include_subpath: true'))?.includeSubpath).toBe(true);
    expect(first(route('/a', 'https://host', 'include_subpath: no'))?.includeSubpath).toBe(false);
  });

  test.each([
    ['api.cohere.com', 'not a URL: "api.cohere.com"; did you mean https://api.cohere.com?'],
    ['api.cohere.ai/v1', 'not a URL: "api.cohere.ai/v1"; did you mean https://api.cohere.ai/v1?'],
    ['localhost:8000', 'not a URL: "localhost:8000"; did you mean http://localhost:8000?'],
    ['cohere', 'not a URL: "cohere"; did you mean http://cohere?'],
    ['https://k:s@host', 'has credentials in it; put them into headers, as Authorization'],
    ['https://host/#x', 'has a fragment (#…), which no server ever sees; remove it'],
    [
      'my module.fn',
      'not a URL: "my module.fn" has a character that must be percent-encoded (a space, perhaps)',
    ],
  ])('%s is a fault', (written, problem) => {
    expect(faultsOf(route('/a', written))).toEqual([
      `config.yaml:4: pass_through_endpoints[0].target: ${problem}`,
    ]);
  });

  test.each(['custom_callbacks.anthropic_adapter', 'adapters.anthropic', 'a.b.proxy_handler_instance'])(
    '%s is an adapter',
    (written) => {
      expect(first(route('/a', written))?.target).toEqual({ kind: 'adapter', name: written });
    },
  );
});

describe('headers', () => {
  test('resolve variables anywhere in a value, several of them', () => {
    const text = route(
      '/a',
      COHERE,
      'headers: {Authorization: "bearer os.environ/A-os.environ/B.", n: 5, f: false}',
    );
    expect(first(text, { A: '1', B: '2' })?.headers).toEqual([
      'Authorization',
      'bearer 1-2.',
      'n',
      '5',
      'f',
      'false',
    ]);
  });

  test.each([
    ['{X: os.environ/NOPE}', 'X: the environment variable NOPE is not set'],
    ['{X: "a os.environ/EMPTY"}', 'X: the environment variable EMPTY is empty'],
    ['{X: os.environ/}', "X: os.environ/ must be followed by a variable's name"],
    [
      '{X: "a\\nb"}',
      'X: has a line break, which no header can carry (a variable read from a file may end in one)',
    ],
    ['{X: "a\\0b"}', 'X: has a character that no header can carry'],
    ['{X: "☃"}', 'X: has a character that no header can carry'],
    ['{X: [a]}', 'X: must be a text'],
    ['{"a b": c}', '["a b"]: "a b" can\'t be a header\'s name'],
    ['{"": c}', '[""]: "" can\'t be a header\'s name'],
    ['{X: a, x: b}', 'x: is the same header as "X" above'],
    ['{Host: h}', 'Host: Host is set by Sluice for each request; remove it'],
    ['{content-length: 5}', 'content-length: content-length is set by Sluice for each request; remove it'],
    [
      '{Transfer-Encoding: chunked}',
      'Transfer-Encoding: Transfer-Encoding is set by Sluice for each request; remove it',
    ],
    ['{Connection: authorization}', 'Connection: Connection is set by Sluice for each request; remove it'],
    ['{litellm_user_api_key: "x y"}', 'litellm_user_api_key: must be a header\'s name, not "x y"'],
  ])('%s is a fault', (written, fault) => {
    expect(faultsOf(route('/a', COHERE, `headers: ${written}`), { EMPTY: '' })).toEqual([
      `config.yaml:5: pass_through_endpoints[0].headers${fault.startsWith('[') ? '' : '.'}${fault}`,
    ]);
  });

  test('lose the spaces around their values, in a time that grows with the length', () => {
    const within = ' '.repeat(200_000);
    const value = first(route('/a', COHERE, `headers: {X: " \\ta${within}b\\t "}`))?.headers[1];
    expect(value === `a${within}b`).toBe(true);
  });

  test('that are no mapping are a fault', () => {
    expect(faultsOf(route('/a', COHERE, 'headers: [a]'))).toEqual([
      'config.yaml:5: pass_through_endpoints[0].headers: must be a mapping of names to texts',
    ]);
  });

  test.each(['litellm_user_api_key', 'dheera_ai_user_api_key', 'remodl_user_api_key', 'user_api_key'])(
    '%s names the header of the clients’ key, and a key is asked for unless auth says no',
    (setting) => {
      const text = route('/a', COHERE, `headers: {${setting}: X-My-Key, accept: a/b}`);
      expect(first(text)).toMatchObject({ keyHeader: 'x-my-key', headers: ['accept', 'a/b'], auth: true });
      expect(first(`${text}\n      auth: false`)?.auth).toBe(false);
    },
  );

  test('name the header of the clients’ key once', () => {
    expect(faultsOf(route('/a', COHERE, 'headers: {user_api_key: a, litellm_user_api_key: b}'))).toEqual([
      "config.yaml:5: pass_through_endpoints[0].headers.litellm_user_api_key: names the header of the clients' keys a second time; keep one",
    ]);
  });

  test('of Langfuse become basic authorization', () => {
    const text = route(
      '/a',
      COHERE,
      'headers: {LANGFUSE_PUBLIC_KEY: os.environ/P, LANGFUSE_SECRET_KEY: sk-lf, x: y}',
    );
    expect(first(text, { P: 'pk-lf' })?.headers).toEqual([
      'x',
      'y',
      'Authorization',
      'Basic cGstbGY6c2stbGY=',
    ]);
  });

  test.each([
    ['{LANGFUSE_PUBLIC_KEY: a}', 'has no LANGFUSE_SECRET_KEY: Langfuse wants both of its keys'],
    ['{LANGFUSE_SECRET_KEY: a}', 'has no LANGFUSE_PUBLIC_KEY: Langfuse wants both of its keys'],
    [
      '{LANGFUSE_PUBLIC_KEY: a, LANGFUSE_SECRET_KEY: b, authorization: c}',
      'has Authorization and the LANGFUSE_ keys, which become one; keep one of them',
    ],
  ])('of Langfuse: %s is a fault', (written, problem) => {
    expect(faultsOf(route('/a', COHERE, `headers: ${written}`))).toEqual([
      `config.yaml:5: pass_through_endpoints[0].headers: ${problem}`,
    ]);
  });
});

describe('the rest of a route', () => {
  test('methods are upper case and once each; an empty list means all', () => {
    expect(first(route('/a', COHERE, 'methods: [get, GET, post]'))?.methods).toEqual(['GET', 'POST']);
    expect(first(route('/a', COHERE, 'methods: []'))?.methods).toHaveLength(7);
  });

  test.each([
    ['[PSOT]', '.methods[0]: is no method that can be relayed; did you mean POST?'],
    [
      '[GET, TRACE]',
      '.methods[1]: is no method that can be relayed; known are GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS',
    ],
    ['POST', '.methods: must be a list of texts, not "POST"'],
    ['[1]', '.methods[0]: must be a text, not 1'],
  ])('methods: %s is a fault', (written, fault) => {
    expect(faultsOf(route('/a', COHERE, `methods: ${written}`))).toEqual([
      `config.yaml:5: pass_through_endpoints[0]${fault}`,
    ]);
  });

  test('every field is read', () => {
    const text = route(
      '/a',
      COHERE,
      'forward_headers: "yes"',
      'auth: TRUE',
      'cost_per_request: 0.25',
      'default_query_params: {version: 1, tag: os.environ/TAG}',
      'timeout: 10',
      'connect_timeout: 1',
      'stream_timeout: 20',
    );
    expect(first(text, { TAG: 'x y' })).toMatchObject({
      forwardHeaders: true,
      auth: true,
      costPerRequest: 0.25,
      defaultQueryParams: { version: '1', tag: 'x y' },
      timeouts: { connectTimeoutMs: 1_000, firstByteTimeoutMs: 10_000, idleTimeoutMs: 20_000 },
      line: 3,
    });
  });

  test('what LiteLLM knows and this version doesn’t act on is warned of', () => {
    expect(parsed(route('/a', COHERE, 'id: abc', 'guardrails: {g: }')).warnings).toEqual([
      'config.yaml:5: pass_through_endpoints[0].id: known, but not acted on by this version',
      'config.yaml:6: pass_through_endpoints[0].guardrails: known, but not acted on by this version: requests pass unguarded',
    ]);
  });

  test.each([
    ['pass_through_endpoints: {path: /a}', 'pass_through_endpoints: must be a list of routes, not a mapping'],
    [
      'pass_through_endpoints: [~]',
      'pass_through_endpoints[0]: must be a mapping with path and target, not nothing',
    ],
    [
      'pass_through_endpoints: [/a]',
      'pass_through_endpoints[0]: must be a mapping with path and target, not "/a"',
    ],
    ['pass_through_endpoints: [{path: /a}]', 'pass_through_endpoints[0]: has no target'],
    ['pass_through_endpoints: [{target: "https://h"}]', 'pass_through_endpoints[0]: has no path'],
    [
      'pass_through_endpoints: [{pth: /a, target: "https://h"}]',
      'pass_through_endpoints[0].pth: unknown key; did you mean path?',
    ],
    [
      'pass_through_endpoints: [{path: /a, target: "https://h", auth: maybe}]',
      'pass_through_endpoints[0].auth: must be true or false, not "maybe"',
    ],
    [
      'pass_through_endpoints: [{path: /a, target: "https://h", default_query_params: {a: [1]}}]',
      'pass_through_endpoints[0].default_query_params.a: must be a text, not a list',
    ],
  ])('%s is a fault', (written, fault) => {
    expect(faultsOf(`general_settings:\n  ${written}`)).toEqual([`config.yaml:2: ${fault}`]);
  });
});

describe('start-up warns by name', () => {
  const OPEN =
    'config.yaml:3: pass_through_endpoints[0]: /a is open to anyone who can reach the port; auth: true asks for a key';

  test('of a route without auth when there is a master key', () => {
    const text = route('/a', COHERE);
    expect(parsed(text).warnings).toEqual([]);
    expect(parsed(text, { LITELLM_MASTER_KEY: 'sk-1' }).warnings).toEqual([OPEN]);
    expect(parsed(`${text}\n      auth: true`, { LITELLM_MASTER_KEY: 'sk-1' }).warnings).toEqual([]);
  });

  test('of a route whose target is a vLLM server of this configuration', () => {
    const text = `${route('/a', 'http://gpu:8000/score')}
model_list: [{model_name: m, params: {model: hosted_vllm/m, api_base: "http://GPU:8000/v1"}}]`;
    const warning =
      'config.yaml:3: pass_through_endpoints[0]: /a goes to a vLLM server of this configuration: what vLLM lets everybody do (sleep, load adapters, …) can be done through it; /vllm/* asks for the master key there';
    expect(parsed(text).warnings).toEqual([warning]);
    expect(
      parsed(route('/a', 'http://gpu:8000/score'), { VLLM_API_BASE: 'http://gpu:8000' }).warnings,
    ).toEqual([warning]);
    expect(
      parsed(route('/a', 'http://gpu:8001/score'), { VLLM_API_BASE: 'http://gpu:8000' }).warnings,
    ).toEqual([]);
  });
});
