import { describe, expect, test } from 'vitest';
import type { Admission } from '../../src/access/admit.ts';
import type { PathRoute } from '../../src/base/config/config.ts';
import { parseRequestPath } from '../../src/base/request-path.ts';
import { type Outbound, outboundFrom } from '../../src/relay/outbound.ts';
import { withoutKeyQuery } from '../../src/relay/request-headers.ts';
import type { Destination } from '../../src/upstream/destination.ts';
import type { Lease } from '../../src/upstream/pick.ts';

const TIMEOUTS = { connectTimeoutMs: 1, firstByteTimeoutMs: 1, idleTimeoutMs: 1 };
const KEY = 'sk-master';
const ANYONE: Admission = { caller: { kind: 'anyone' }, spent: [], key: null };
const MASTER: Admission = {
  caller: { kind: 'master' },
  spent: [{ carrier: { kind: 'header', name: 'authorization' }, key: KEY }],
  key: KEY,
};

function queryKey(key: string, known: boolean): Admission {
  return {
    caller: { kind: known ? 'master' : 'anyone' },
    spent: [{ carrier: { kind: 'query' }, key }],
    key: known ? key : null,
  };
}

function outbound(destination: Destination, apiBase: string, target: string, admission = ANYONE): Outbound {
  const lease: Lease = {
    name: 'x',
    provider: null,
    apiBase,
    guarded: false,
    upstreamModel: null,
    servesVllm: false,
    headers: [],
    timeouts: TIMEOUTS,
    prices: {},
    release: () => {},
  };
  const path = parseRequestPath(target);
  return outboundFrom({
    ...{ destination, admission, lease, path },
    ...{ headers: [], framing: { kind: 'none' }, upgrade: false },
  });
}

function provider(apiBase: string, target: string): string {
  const endpoint = target.replace(/^\/vllm\/?/, '').replace(/\?.*/s, '');
  return outbound({ kind: 'provider', provider: 'vllm', endpoint }, apiBase, target).path;
}

function route(options: Partial<PathRoute> & { readonly url: string }, target: string): string {
  const { url } = options;
  const whole: PathRoute = {
    ...{ path: '/r', target: { kind: 'url', url }, includeSubpath: true, methods: ['GET'], headers: [] },
    ...{ forwardHeaders: false, auth: false, keyHeader: null, defaultQueryParams: {}, costPerRequest: null },
    ...{ timeouts: TIMEOUTS, guarded: false, line: 1 },
    ...options,
  };
  const subpath = parseRequestPath(target).raw.slice(whole.path === '/' ? 0 : whole.path.length);
  return outbound({ kind: 'route', route: whole, subpath }, url, target).path;
}

describe('the URL on a provider route', () => {
  test.each([
    ['http://h:8090', '/vllm/classify', '/classify'],
    ['http://h:8090/', '/vllm/classify', '/classify'],
    ['http://h/base', '/vllm/classify', '/base/classify'], // #11925
    ['http://h/base/', '/vllm/classify', '/base/classify'], // #8350
    ['http://h/base//', '/vllm//classify', '/base/classify'],
    ['http://h/a/b/c', '/vllm/d/e/', '/a/b/c/d/e/'],
    ['http://h', '/vllm', '/'],
    ['http://h', '/vllm/', '/'],
    ['http://h/base', '/vllm/', '/base'],
    ['http://h', '/vllm/v1/chat/completions', '/v1/chat/completions'],
    ['http://h/v1', '/vllm/v1/chat/completions', '/v1/chat/completions'],
    ['http://h/v1/', '/vllm/v1/chat/completions', '/v1/chat/completions'],
    ['http://h/v1', '/vllm/chat/completions', '/v1/chat/completions'],
    ['http://h/openai/v1', '/vllm/v1/models', '/openai/v1/models'],
    ['http://h/v1', '/vllm/v1', '/v1'],
    ['http://h/v1', '/vllm/v1beta/models', '/v1/v1beta/models'],
    ['http://h/v1', '/vllm/v10/models', '/v1/v10/models'],
    ['http://h/v1beta', '/vllm/v1/models', '/v1beta/v1/models'],
    ['http://h', '/vllm/a%2Fb', '/a%2Fb'],
    ['http://h', '/vllm/%E4%BD%A0%2f%41~!$()*,;:@', '/%E4%BD%A0%2f%41~!$()*,;:@'],
    ['http://h/a%2Fb', '/vllm/c', '/a%2Fb/c'],
    ['http://h/A%7eb', '/vllm/c', '/A%7eb/c'],
    ['http://h', '/vllm/a//b', '/a//b'],
    ['http://h', '/vllm/.well-known/x..y/...', '/.well-known/x..y/...'],
    ['http://h', '/vllm/m:generate?alt=sse', '/m:generate?alt=sse'],
  ])('%s + %s = %s', (base, target, expected) => {
    expect(provider(base, target)).toBe(expected);
  });

  test.each([
    ['http://h', '/vllm/x?', '/x?'],
    ['http://h', '/vllm/x?a=1&b=2&a=3&A=4', '/x?a=1&b=2&a=3&A=4'], // #13334
    ['http://h', '/vllm/x?q=a+b%20c%2B%26&e=&f&&=g', '/x?q=a+b%20c%2B%26&e=&f&&=g'], // #15087
    ['http://h', '/vllm/x?a=?b/c', '/x?a=?b/c'],
    ['http://h/?api-version=1', '/vllm/x?a=1', '/x?api-version=1&a=1'],
    ['http://h/base?api-version=1', '/vllm/x', '/base/x?api-version=1'],
  ])('keeps the query: %s + %s = %s', (base, target, expected) => {
    expect(provider(base, target)).toBe(expected);
  });

  test.each([
    ['http://h:80/x', 'http://h:80', 'h'],
    ['http://H.Example:8090', 'http://h.example:8090', 'h.example:8090'],
    ['https://h', 'https://h:443', 'h'],
    ['https://h:444', 'https://h:444', 'h:444'],
    ['http://[::1]:8090/v1', 'http://[::1]:8090', '[::1]:8090'],
  ])('%s is connected to as %s, with Host: %s', (base, key, host) => {
    const out = outbound({ kind: 'v1', endpoint: 'v1/x' }, base, '/v1/x');
    expect([out.origin.key, out.headers]).toEqual([key, ['Host', host]]);
    expect(out.origin.hostname).not.toContain('[');
  });
});

describe("the URL on an operator's route", () => {
  test.each([
    ['https://api.test/v1/rerank', '/r', '/v1/rerank'],
    ['https://api.test/v1/rerank/', '/r', '/v1/rerank/'],
    ['https://api.test', '/r', '/'],
    ['https://api.test', '/r/v1/x', '/v1/x'],
    ['https://api.test/', '/r/v1/x', '/v1/x'],
    ['https://api.test/base', '/r/v1/x', '/base/v1/x'],
    ['https://api.test/base/', '/r/v1/x/', '/base/v1/x/'],
    ['https://api.test/v1', '/r/v1/x', '/v1/v1/x'], // below a prefix, what is sent is what is meant
    ['https://api.test/base', '/r/', '/base/'],
    ['https://api.test/a%2Fb', '/r/c%2Fd', '/a%2Fb/c%2Fd'],
    ['https://api.test/x?own=1', '/r?b=2&a=%20', '/x?own=1&b=2&a=%20'],
  ])('%s + %s = %s', (url, target, expected) => {
    expect(route({ url }, target)).toBe(expected);
  });

  test('a route at / keeps the whole path', () => {
    expect(route({ url: 'https://api.test/base', path: '/' }, '/a/b?c')).toBe('/base/a/b?c');
  });

  test.each([
    ['https://t/x', '/r', '/x?a=1&b=two%20words'],
    ['https://t/x', '/r?a=2', '/x?a=2&b=two%20words'],
    ['https://t/x', '/r?b=&z', '/x?b=&z&a=1'],
    ['https://t/x', '/r?%61=2', '/x?%61=2&b=two%20words'],
    ['https://t/x?a=own', '/r?c=3', '/x?a=own&c=3&b=two%20words'],
  ])('%s + %s with default_query_params = %s', (url, target, expected) => {
    expect(route({ url, defaultQueryParams: { a: '1', b: 'two words' } }, target)).toBe(expected);
  });
});

describe('withoutKeyQuery', () => {
  test.each([
    ['key=sk-master', ''],
    ['a=1&key=sk-master&b=2', 'a=1&b=2'],
    ['key=sk-master&key=AIza&key=sk%2Dmaster', 'key=AIza'],
    ['a=%zz&b=+&x=Bearer%20sk-master&&c', 'a=%zz&b=+&&c'],
    ['sk-master=1&a=sk-masterful', ''],
    ['a=%73%6B-master', ''],
    ['a=sk-maste&b=r', 'a=sk-maste&b=r'],
    ['', ''],
  ])('of "%s" the master key\'s copies are taken out: "%s"', (query, expected) => {
    expect(withoutKeyQuery(query, MASTER)).toBe(expected);
    expect(withoutKeyQuery(query, queryKey(KEY, true))).toBe(expected);
  });

  test.each([
    ['a=1&key=sk-any&b=2', 'sk-any', 'a=1&b=2'],
    ['key=sk-&q=risk-free', 'sk-', 'q=risk-free'],
    ['key=sk-a+b&q=1', 'sk-a b', 'q=1'],
    ['key=sk-%C3%A9&q=1', 'sk-é', 'q=1'],
    ['k%65y=sk-x&monkey=1', 'sk-x', 'monkey=1'],
    ['key=AIza&key=sk-x&a', 'sk-x', 'key=AIza&a'],
  ])('of "%s" just the carrier of "bearer anything" is taken out', (query, key, expected) => {
    expect(withoutKeyQuery(query, queryKey(key, false))).toBe(expected);
  });

  test("a stranger's query is its own", () => {
    const query = 'key=sk-own&a=b';
    expect(withoutKeyQuery(query, { caller: { kind: 'stranger' }, spent: [], key: null })).toBe(query);
  });

  test('outboundFrom asks it', () => {
    const destination = { kind: 'v1', endpoint: 'v1/x' } as const;
    expect(outbound(destination, 'http://h', `/v1/x?key=${KEY}`, MASTER).path).toBe('/v1/x');
  });
});
