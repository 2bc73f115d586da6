import { describe, expect, test } from 'vitest';
import type { PathRoute } from '../../src/base/config/config.ts';
import { SluiceError } from '../../src/base/errors.ts';
import { parseRequestPath } from '../../src/base/request-path.ts';
import { type Destination, DestinationTable } from '../../src/upstream/destination.ts';

const EVERY_METHOD = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'];

function route(path: string, parts: Partial<PathRoute> = {}): PathRoute {
  return {
    path,
    target: { kind: 'url', url: 'https://target.example' },
    includeSubpath: false,
    methods: EVERY_METHOD,
    headers: [],
    forwardHeaders: false,
    auth: false,
    keyHeader: null,
    defaultQueryParams: {},
    costPerRequest: null,
    timeouts: { connectTimeoutMs: 1, firstByteTimeoutMs: 1, idleTimeoutMs: 1 },
    guarded: false,
    line: 1,
    ...parts,
  };
}

const PROVIDER_PREFIXES = new Map([
  ['vllm', 'vllm'],
  ['hosted_vllm', 'vllm'],
  ['openai', 'openai'],
]);

function table(...routes: PathRoute[]): (target: string, method?: string) => Destination | null {
  const destinations = new DestinationTable({ routes, providerPrefixes: PROVIDER_PREFIXES });
  return (target, method = 'GET') => destinations.resolve(method, parseRequestPath(target));
}

/** The route and subpath that a target comes to, or what else it is. */
function landing(destination: Destination | null): string {
  if (destination === null) return 'nothing';
  switch (destination.kind) {
    case 'route':
      return `${destination.route.path} + ${JSON.stringify(destination.subpath)}`;
    case 'provider':
      return `${destination.provider}: ${destination.endpoint}`;
    case 'v1':
      return `v1: ${destination.endpoint}`;
  }
}

function refusal(run: () => unknown): SluiceError {
  try {
    run();
  } catch (error) {
    if (error instanceof SluiceError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

test.each([
  '/llm/configure_modell',
  '/%6clm/x',
  '/key/generate',
  '/metrics',
  '/sluice.v1.ModelService/Load',
  '/healthz',
])('a route on / does not take %s, which is the control plane’s', (target) => {
  const resolve = table(route('/', { includeSubpath: true }));
  expect(landing(resolve(target, 'POST'))).toBe('nothing');
  expect(landing(resolve('/llms', 'POST'))).toBe('/ + "/llms"');
});

describe('without routes', () => {
  const resolve = table();

  test.each([
    ['/vllm/v1/chat/completions', 'vllm: v1/chat/completions'],
    ['/hosted_vllm/classify', 'vllm: classify'],
    ['/openai/v1/models?x=/v1/', 'openai: v1/models'],
    ['/vllm', 'vllm: '],
    ['/vllm/', 'vllm: '],
    ['/vllm//classify', 'vllm: /classify'],
    ['/vllm/a%2Fb/', 'vllm: a%2Fb/'],
    ['/v1/chat/completions', 'v1: v1/chat/completions'],
    ['/v1/', 'v1: v1/'],
    ['/v1/a..b/...', 'v1: v1/a..b/...'],
    ['/chat/completions', 'v1: v1/chat/completions'],
    ['/embeddings?x', 'v1: v1/embeddings'],
    ['/models', 'v1: v1/models'],
    ['/v1', 'nothing'],
    ['/', 'nothing'],
    ['//v1/models', 'nothing'],
    ['/chat/completions/', 'nothing'],
    ['/VLLM/classify', 'nothing'],
    ['/vll%6d/classify', 'nothing'],
    ['/vllmx/classify', 'nothing'],
    ['/__proto__/x', 'nothing'],
    ['/constructor', 'nothing'],
  ])('%s is %s', (target, expected) => {
    expect(landing(resolve(target))).toBe(expected);
  });

  test.each([
    '/vllm/../admin',
    '/vllm/v1/%2e%2e/sleep',
    '/vllm/.',
    '/vllm/x/..%2fy',
    '/v1/../vllm/sleep',
    '/v1/%2E./x',
    '/openai/a\\..\\b',
  ])('a dot segment under a prefix is refused: %s (LiteLLM #26467)', (target) => {
    expect(refusal(() => resolve(target))).toMatchObject({ reason: 'forbidden_path', status: 400 });
  });
});

describe("an operator's route", () => {
  test('is met exactly, with or without a slash at its end', () => {
    const resolve = table(route('/v1/rerank'));
    expect(landing(resolve('/v1/rerank'))).toBe('/v1/rerank + ""');
    expect(landing(resolve('/v1/rerank/'))).toBe('/v1/rerank + ""');
    expect(landing(resolve('/v1/rerank?x=/y'))).toBe('/v1/rerank + ""');
  });

  test('takes what is below it only when it says so', () => {
    expect(landing(table(route('/v1/rerank'))('/v1/rerank/x'))).toBe('v1: v1/rerank/x');
    expect(landing(table(route('/cohere'))('/cohere/x'))).toBe('nothing');
    expect(landing(table(route('/cohere', { includeSubpath: true }))('/cohere/x'))).toBe('/cohere + "/x"');
  });

  test.each([
    ['/bria', '/bria + ""'],
    ['/bria/', '/bria + "/"'],
    ['/bria/v1/text-to-image/base/2.3', '/bria + "/v1/text-to-image/base/2.3"'],
    ['/bria//x', '/bria + "//x"'],
    ['/bria/%2e', null],
    ['/bria/a/../../admin', null],
    ['/briaX', 'nothing'],
    ['/bria%2Fx', 'nothing'],
    ['/bri%61/x', 'nothing'],
    ['/Bria', 'nothing'],
  ])('with subpaths keeps to the border of a segment: %s', (target, expected) => {
    const resolve = table(route('/bria', { includeSubpath: true }));
    if (expected === null) expect(refusal(() => resolve(target)).reason).toBe('forbidden_path');
    else expect(landing(resolve(target))).toBe(expected);
  });

  test('with the longest path wins, in whatever order they stand', () => {
    const routes = [
      route('/a', { includeSubpath: true }),
      route('/a/b/c', { includeSubpath: true }),
      route('/a/b', { includeSubpath: true }),
      route('/a/b/c/exact'),
    ];
    for (const resolve of [table(...routes), table(...routes.toReversed())]) {
      expect(landing(resolve('/a/b/c/d'))).toBe('/a/b/c + "/d"');
      expect(landing(resolve('/a/b/d'))).toBe('/a/b + "/d"');
      expect(landing(resolve('/a/bc'))).toBe('/a + "/bc"');
      expect(landing(resolve('/a/b/c/exact'))).toBe('/a/b/c/exact + ""');
      expect(landing(resolve('/a/b/c/exact/x'))).toBe('/a/b/c + "/exact/x"');
    }
  });

  test('goes before providers and /v1', () => {
    const resolve = table(route('/vllm', { includeSubpath: true }), route('/v1/rerank'), route('/models'));
    expect(landing(resolve('/vllm/classify'))).toBe('/vllm + "/classify"');
    expect(landing(resolve('/v1/rerank'))).toBe('/v1/rerank + ""');
    expect(landing(resolve('/models'))).toBe('/models + ""');
    expect(landing(resolve('/v1/chat/completions'))).toBe('v1: v1/chat/completions');
  });

  test('at / with subpaths takes everything that no longer one does', () => {
    const resolve = table(route('/', { includeSubpath: true }), route('/x'));
    expect(landing(resolve('/'))).toBe('/ + "/"');
    expect(landing(resolve('/any/thing'))).toBe('/ + "/any/thing"');
    expect(landing(resolve('/v1/models'))).toBe('/ + "/v1/models"');
    expect(landing(resolve('/x'))).toBe('/x + ""');
  });

  test('at / without subpaths takes / alone', () => {
    const resolve = table(route('/'));
    expect(landing(resolve('/'))).toBe('/ + ""');
    expect(landing(resolve('/x'))).toBe('nothing');
  });

  test('refuses a method that it does not take, naming those it does', () => {
    const resolve = table(route('/x', { methods: ['POST', 'PUT'] }));
    expect(landing(resolve('/x', 'PUT'))).toBe('/x + ""');
    const error = refusal(() => resolve('/x', 'GET'));
    expect(error).toMatchObject({
      reason: 'method_not_allowed',
      status: 405,
      headers: ['allow', 'POST, PUT'],
    });
  });

  test('may share its path with another one that takes other methods', () => {
    const reads = route('/x', { methods: ['GET', 'HEAD'], line: 1, includeSubpath: true });
    const writes = route('/x', { methods: ['POST', 'HEAD'], line: 2, includeSubpath: true });
    const resolve = table(reads, writes);
    for (const target of ['/x', '/x/y']) {
      expect(resolve(target, 'GET')).toMatchObject({ route: reads });
      expect(resolve(target, 'POST')).toMatchObject({ route: writes });
      expect(resolve(target, 'HEAD')).toMatchObject({ route: reads });
      expect(refusal(() => resolve(target, 'PATCH')).headers).toEqual(['allow', 'GET, HEAD, POST']);
    }
  });
});
