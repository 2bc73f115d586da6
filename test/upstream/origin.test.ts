import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { joinPath, joinQuery, targetFrom } from '../../src/upstream/origin.ts';

describe('a base URL taken apart', () => {
  test.each([
    ['http://h', { key: 'http://h:80', tls: false, hostname: 'h', port: 80, host: 'h' }],
    ['http://h:80', { key: 'http://h:80', tls: false, hostname: 'h', port: 80, host: 'h' }],
    ['http://h:8090/v1', { key: 'http://h:8090', tls: false, hostname: 'h', port: 8090, host: 'h:8090' }],
    ['https://h', { key: 'https://h:443', tls: true, hostname: 'h', port: 443, host: 'h' }],
    ['https://h:443/x', { key: 'https://h:443', tls: true, hostname: 'h', port: 443, host: 'h' }],
    ['http://h:443', { key: 'http://h:443', tls: false, hostname: 'h', port: 443, host: 'h:443' }],
    ['HTTPS://API.Example.COM', { key: 'https://api.example.com:443', hostname: 'api.example.com' }],
    ['http://[::1]:8090', { key: 'http://[::1]:8090', hostname: '::1', port: 8090, host: '[::1]:8090' }],
    ['http://127.0.0.1:1?x', { key: 'http://127.0.0.1:1', hostname: '127.0.0.1', port: 1 }],
  ])('%s: where to connect, and what Host says', (url, origin) => {
    expect(targetFrom(url).origin).toMatchObject(origin);
  });

  test.each([
    ['http://h', { path: '', exactPath: '/', query: '' }],
    ['http://h/', { path: '', exactPath: '/', query: '' }],
    ['http://h/v1', { path: '/v1', exactPath: '/v1', query: '' }],
    ['http://h/v1///', { path: '/v1', exactPath: '/v1///', query: '' }],
    ['http://h/a%2Fb/%7e/', { path: '/a%2Fb/%7e', exactPath: '/a%2Fb/%7e/', query: '' }],
    ['http://h/a//b', { path: '/a//b', exactPath: '/a//b', query: '' }],
    ["http://h/p?x='1'&y=%2f&&x", { path: '/p', exactPath: '/p', query: "x='1'&y=%2f&&x" }],
    ['http://h?x=1', { path: '', exactPath: '/', query: 'x=1' }],
    ['http://h/p?', { path: '/p', exactPath: '/p', query: '' }],
    ['http://h/p?a=/b?c', { path: '/p', exactPath: '/p', query: 'a=/b?c' }],
    ['http://h/p?a=1#frag?ment', { path: '/p', exactPath: '/p', query: 'a=1' }],
    ['http://h#frag?ment', { path: '', exactPath: '/', query: '' }],
  ])('%s: path and query as they were written', (url, target) => {
    expect(targetFrom(url)).toMatchObject(target);
  });

  test('is taken apart once', () => {
    expect(targetFrom('http://once.example/v1')).toBe(targetFrom('http://once.example/v1'));
  });

  test('stays right however many there are', () => {
    for (let i = 0; i < 5_000; i++)
      expect(targetFrom(`http://h${i}.example`).origin.hostname).toBe(`h${i}.example`);
    expect(targetFrom('http://h1.example').origin.key).toBe('http://h1.example:80');
  });

  test('that is none is a TypeError', () => {
    expect(() => targetFrom('api.cohere.com')).toThrow(TypeError);
  });
});

describe('base and endpoint', () => {
  test.each([
    ['', 'v1/chat/completions', '/v1/chat/completions'],
    ['', '/v1/chat/completions', '/v1/chat/completions'],
    ['', '', '/'],
    ['', '/', '/'],
    ['/base', '', '/base'],
    ['/base', 'x', '/base/x'],
    ['/base', '/x/', '/base/x/'],
    ['/v1', 'v1/models', '/v1/models'],
    ['/v1', '/v1/models', '/v1/models'],
    ['/v1', 'v1', '/v1'],
    ['/v1', 'v1/', '/v1'],
    ['/v1', 'chat/completions', '/v1/chat/completions'],
    ['/v1', 'v1beta/models', '/v1/v1beta/models'],
    ['/v1', 'v2/rerank', '/v1/v2/rerank'],
    ['/api/v1', 'v1/models', '/api/v1/models'],
    ['/apiv1', 'v1/models', '/apiv1/v1/models'],
    ['/v1', 'v1/v1/x', '/v1/v1/x'],
    ['/a%2Fb', 'c%2Fd/%7Ee', '/a%2Fb/c%2Fd/%7Ee'],
    ['', 'audio;v=1/$x,y', '/audio;v=1/$x,y'],
  ])('%j and %j are %j', (base, endpoint, path) => {
    expect(joinPath(base, endpoint)).toBe(path);
  });

  test('no double slash where they meet, nor a byte of the endpoint changed (LiteLLM #8350, #11925)', () => {
    const segment = fc.stringMatching(/^[A-Za-z0-9%._~;,=-]{1,8}$/);
    const base = fc.array(segment, { maxLength: 3 }).map((parts) => parts.map((part) => `/${part}`).join(''));
    const endpoint = fc.array(segment, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
    fc.assert(
      fc.property(base, endpoint, fc.boolean(), (path, rest, slash) => {
        fc.pre(!path.endsWith('/v1'));
        expect(joinPath(path, slash ? `/${rest}` : rest)).toBe(`${path}/${rest}`);
      }),
    );
  });
});

describe('the query that goes on', () => {
  test.each([
    ['', '', null, ''],
    ['', 'a=1&a=2&b&&c=%20+', null, 'a=1&a=2&b&&c=%20+'],
    ['own=1', '', null, 'own=1'],
    ['own=1', 'a=2&own=3', null, 'own=1&a=2&own=3'],
    ['', '', { v: '2' }, 'v=2'],
    ['', 'v=1', { v: '2' }, 'v=1'],
    ['', 'v', { v: '2' }, 'v'],
    ['v=1', '', { v: '2' }, 'v=1'],
    ['', '%76=1', { v: '2' }, '%76=1'],
    ['', 'V=1', { v: '2' }, 'V=1&v=2'],
    ['o=1', 'c=2', { v: 'a b&c', 'k=': 'é' }, 'o=1&c=2&v=a%20b%26c&k%3D=%C3%A9'],
    ['', 'x=%zz&y=%', { v: '1' }, 'x=%zz&y=%&v=1'],
  ] as const)("target's %j, client's %j and defaults %j are %j", (own, client, defaults, query) => {
    expect(joinQuery(own, client, defaults)).toBe(query);
  });
});
