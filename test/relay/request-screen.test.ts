import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SluiceError } from '../../src/base/errors.ts';
import { screenRequest, screenTrailers } from '../../src/relay/request-screen.ts';

type Row = readonly [why: string, head: Partial<Head>, expected: string | number];
interface Head {
  httpVersion: string;
  method: string;
  url: string;
  rawHeaders: string[];
}

const LIMITS = { maxHeaders: 8, maxHeaderBytes: 500 };

const HTTP1: Head = { httpVersion: '1.1', method: 'POST', url: '/v1/x', rawHeaders: ['Host', 'a'] };
const HTTP2: Head = {
  httpVersion: '2.0',
  method: 'POST',
  url: '/v1/x',
  rawHeaders: [':method', 'POST', ':authority', 'a', ':scheme', 'http', ':path', '/v1/x'],
};
const RPC: Head = { httpVersion: '2.0', method: 'POST', url: '/v1/x', rawHeaders: [] };

/** What the port hands on, or the status of its refusal. */
function screened(wire: 'http1' | 'http2' | 'rpc', head: Partial<Head>): string | number {
  const plain = { http1: HTTP1, http2: HTTP2, rpc: RPC }[wire];
  const verdict = screenRequest(wire, { ...plain, ...head }, LIMITS);
  return typeof verdict === 'string' ? verdict : verdict.status;
}

describe('a request of HTTP/1', () => {
  const rows: Row[] = [
    ['a plain request', {}, '/v1/x'],
    ['HTTP/1.0 may go without Host', { httpVersion: '1.0', rawHeaders: [] }, '/v1/x'],
    ['the query passes as it is', { url: '/x?a=%2F&a=|"[]{}^`\\' }, '/x?a=%2F&a=|"[]{}^`\\'],
    ['double slashes are the dispatcher’s', { url: '//evil/x' }, '//evil/x'],
    ['dot segments are the dispatcher’s', { url: '/a/%2e%2e/../b' }, '/a/%2e%2e/../b'],
    ['a body on GET is fine', { method: 'GET', rawHeaders: ['Host', 'a', 'Content-Length', '3'] }, '/v1/x'],
    ['chunked in any case', { rawHeaders: ['Host', 'a', 'Transfer-Encoding', 'Chunked'] }, '/v1/x'],
    ['Host with a port', { rawHeaders: ['HOST', 'example.com:8080'] }, '/v1/x'],
    ['Host is an IPv6 address', { rawHeaders: ['Host', '[::1]:4000'] }, '/v1/x'],
    ['underscores in other names', { rawHeaders: ['Host', 'a', 'x_request_id', '1'] }, '/v1/x'],
    ['as many headers as allowed', { rawHeaders: ['Host', 'a', ...pairs(7)] }, '/v1/x'],

    ['absolute-form to Host', { url: 'http://a/v1/x?y=1' }, '/v1/x?y=1'],
    [
      'absolute-form, case aside',
      { url: 'HTTP://EXAMPLE.com:80/x', rawHeaders: ['Host', 'example.COM:80'] },
      '/x',
    ],
    ['absolute-form without a path', { url: 'http://a' }, '/'],
    ['absolute-form with a query only', { url: 'https://a?x=1' }, '/?x=1'],
    ['absolute-form to somebody else', { url: 'http://b/x' }, 400],
    ['absolute-form with a port that Host lacks', { url: 'http://a:80/x' }, 400],
    ['absolute-form with user info', { url: 'http://a@b/x' }, 400],
    ['absolute-form, user info hides the host', { url: 'http://a:b@c/x' }, 400],
    ['absolute-form without Host', { url: 'http://a/x', httpVersion: '1.0', rawHeaders: [] }, 400],
    ['absolute-form of another scheme', { url: 'ftp://a/x' }, 400],
    ['absolute-form with a fragment', { url: 'http://a/x#y' }, 400],
    ['absolute-form, backslash before the path', { url: 'http://a\\@b/x' }, 400],

    ['no Host on 1.1', { rawHeaders: [] }, 400],
    ['two Hosts', { rawHeaders: ['Host', 'a', 'host', 'a'] }, 400],
    ['empty Host', { rawHeaders: ['Host', ''] }, 400],
    ['Host with a space', { rawHeaders: ['Host', 'a b'] }, 400],
    ['Host is an open bracket', { rawHeaders: ['Host', '['] }, 400],
    ['Host with a path', { rawHeaders: ['Host', 'a/b'] }, 400],
    ['Host with user info', { rawHeaders: ['Host', 'a@b'] }, 400],
    ['Host with a port too large', { rawHeaders: ['Host', 'a:65536'] }, 400],
    ['Host with a port of letters', { rawHeaders: ['Host', 'a:b'] }, 400],
    ['a list in Host', { rawHeaders: ['Host', 'a, b'] }, 400],

    ['no slash first', { url: 'v1/x' }, 400],
    ['empty target', { url: '' }, 400],
    ['asterisk of OPTIONS', { method: 'OPTIONS', url: '*' }, 400],
    ['a fragment', { url: '/x#y' }, 400],
    ['a space', { url: '/x y' }, 400],
    ['a tab', { url: '/x\ty' }, 400],
    ['a NUL', { url: '/x\0y' }, 400],
    ['DEL', { url: '/x\x7f' }, 400],
    ['obs-text', { url: '/x\xe9' }, 400],

    [
      'TE on HTTP/1.0',
      { httpVersion: '1.0', rawHeaders: ['Host', 'a', 'Transfer-Encoding', 'chunked'] },
      400,
    ],
    ['TE gzip, chunked', { rawHeaders: ['Host', 'a', 'Transfer-Encoding', 'gzip, chunked'] }, 400],
    ['TE identity', { rawHeaders: ['Host', 'a', 'transfer-encoding', 'identity'] }, 400],
    ['TE twice', { rawHeaders: ['Host', 'a', ...te(), ...te()] }, 400],
    ['TE and CL', { rawHeaders: ['Host', 'a', ...te(), 'Content-Length', '3'] }, 400],
    ['CL and TE', { rawHeaders: ['Host', 'a', 'Content-Length', '3', ...te()] }, 400],
    ['CL twice', { rawHeaders: ['Host', 'a', 'Content-Length', '3', 'content-length', '3'] }, 400],
    ['CL with a sign', { rawHeaders: ['Host', 'a', 'Content-Length', '+3'] }, 400],
    ['CL in hex', { rawHeaders: ['Host', 'a', 'Content-Length', '0x3'] }, 400],
    ['CL empty', { rawHeaders: ['Host', 'a', 'Content-Length', ''] }, 400],
    ['a shadow of CL', { rawHeaders: ['Host', 'a', 'Content_Length', '3'] }, 400],
    ['a shadow of TE', { rawHeaders: ['Host', 'a', 'TRANSFER_ENCODING', 'chunked'] }, 400],

    ['DEL in a value', { rawHeaders: ['Host', 'a', 'X', 'a\x7f'] }, 400],
    ['CR in a value', { rawHeaders: ['Host', 'a', 'X', 'a\rb'] }, 400],
    ['LF in a value', { rawHeaders: ['Host', 'a', 'X', 'a\nb'] }, 400],
    ['NUL in a value', { rawHeaders: ['Host', 'a', 'X', 'a\0b'] }, 400],
    ['one header too many', { rawHeaders: ['Host', 'a', ...pairs(8)] }, 431],

    ['TRACE', { method: 'TRACE' }, 405],
    ['CONNECT', { method: 'CONNECT', url: 'a:443' }, 405],
    ['HTTP/0.9', { httpVersion: '0.9' }, 400],
    ['HTTP/2.0 in a request line', { httpVersion: '2.0' }, 400],
  ];
  test.each(rows)('%s', (_why, head, expected) => {
    expect(screened('http1', head)).toBe(expected);
  });
});

describe('a request of HTTP/2', () => {
  const rows: Row[] = [
    ['a plain request', {}, '/v1/x'],
    ['Host that agrees', { rawHeaders: [...HTTP2.rawHeaders, 'host', 'A'] }, '/v1/x'],
    ['Host instead of :authority', { rawHeaders: [':path', '/', 'host', 'a'] }, '/v1/x'],
    ['te: trailers', { rawHeaders: [...HTTP2.rawHeaders, 'te', 'trailers'] }, '/v1/x'],
    ['any token as method', { method: 'QUERY' }, '/v1/x'],
    ['pseudo-headers are not counted', { rawHeaders: [...HTTP2.rawHeaders, ...pairs(8)] }, '/v1/x'],
    [
      'a websocket',
      { method: 'CONNECT', rawHeaders: [':authority', 'a', ':protocol', 'websocket'] },
      '/v1/x',
    ],

    ['Host that differs', { rawHeaders: [...HTTP2.rawHeaders, 'host', 'b'] }, 400],
    ['two Hosts', { rawHeaders: [...HTTP2.rawHeaders, 'host', 'a', 'host', 'a'] }, 400],
    ['neither', { rawHeaders: [] }, 400],
    ['malformed :authority', { rawHeaders: [':authority', 'a b'] }, 400],
    ['absolute-form', { url: 'http://a/v1/x' }, 400],
    ['asterisk', { method: 'OPTIONS', url: '*' }, 400],
    ['a method with a space', { method: 'GET /admin' }, 400],
    ['a method with CRLF', { method: 'GET / HTTP/1.1\r\nx' }, 400],
    ['CRLF in the path', { url: '/ HTTP/1.1\r\nX: y' }, 400],
    ['an upper-case name', { rawHeaders: [...HTTP2.rawHeaders, 'X', '1'] }, 400],
    ['a colon in a name', { rawHeaders: [...HTTP2.rawHeaders, 'x:y', '1'] }, 400],
    ['CRLF in a name', { rawHeaders: [...HTTP2.rawHeaders, 'x\r\ny', '1'] }, 400],
    ['an empty name', { rawHeaders: [...HTTP2.rawHeaders, '', '1'] }, 400],
    ['CRLF in a value', { rawHeaders: [...HTTP2.rawHeaders, 'x', 'a\r\nb: c'] }, 400],
    ['NUL in :authority', { rawHeaders: [':authority', 'a\0'] }, 400],
    ['connection', { rawHeaders: [...HTTP2.rawHeaders, 'connection', 'close'] }, 400],
    ['keep-alive', { rawHeaders: [...HTTP2.rawHeaders, 'keep-alive', '1'] }, 400],
    ['proxy-connection', { rawHeaders: [...HTTP2.rawHeaders, 'proxy-connection', 'close'] }, 400],
    ['transfer-encoding', { rawHeaders: [...HTTP2.rawHeaders, 'transfer-encoding', 'chunked'] }, 400],
    ['upgrade', { rawHeaders: [...HTTP2.rawHeaders, 'upgrade', 'h2c'] }, 400],
    ['te: gzip', { rawHeaders: [...HTTP2.rawHeaders, 'te', 'gzip'] }, 400],
    ['CL twice', { rawHeaders: [...HTTP2.rawHeaders, 'content-length', '1', 'content-length', '1'] }, 400],
    ['a shadow of CL', { rawHeaders: [...HTTP2.rawHeaders, 'content_length', '1'] }, 400],
    ['one header too many', { rawHeaders: [...HTTP2.rawHeaders, ...pairs(9)] }, 431],
    ['too many bytes of headers', { rawHeaders: [...HTTP2.rawHeaders, 'x', 'y'.repeat(320)] }, 431],
    ['TRACE', { method: 'TRACE' }, 405],
    ['plain CONNECT', { method: 'CONNECT' }, 405],
    [
      'CONNECT to another protocol',
      { method: 'CONNECT', rawHeaders: [':authority', 'a', ':protocol', 'x'] },
      501,
    ],
    [':protocol without CONNECT', { rawHeaders: [...HTTP2.rawHeaders, ':protocol', 'websocket'] }, 400],
  ];
  test.each(rows)('%s', (_why, head, expected) => {
    expect(screened('http2', head)).toBe(expected);
  });
});

describe('a request in a message', () => {
  const rows: Row[] = [
    ['a plain request', {}, '/v1/x'],
    ['Host', { rawHeaders: ['hOST', 'example.com:8080'] }, '/v1/x'],
    ['names in any case', { rawHeaders: ['X-aB', '1', 'x-Ab', '2'] }, '/v1/x'],
    ['obs-text in a value', { rawHeaders: ['x', 'caf\xe9'] }, '/v1/x'],
    ['a tab inside a value', { rawHeaders: ['x', 'a\tb'] }, '/v1/x'],
    ['an empty value', { rawHeaders: ['x', ''] }, '/v1/x'],
    ['TE: trailers', { rawHeaders: ['TE', 'trailers'] }, '/v1/x'],
    ['any token as method', { method: 'QUERY' }, '/v1/x'],
    ['double slashes are the dispatcher’s', { url: '//evil/x' }, '//evil/x'],

    ['a character beyond U+00FF', { rawHeaders: ['x', 'ā'] }, 400],
    ['half of a surrogate pair', { rawHeaders: ['x', '\ud800'] }, 400],
    ['CR in a value', { rawHeaders: ['x', 'a\rb'] }, 400],
    ['LF in a value', { rawHeaders: ['x', 'a\nb: c'] }, 400],
    ['NUL in a value', { rawHeaders: ['x', 'a\0b'] }, 400],
    ['a space before a value', { rawHeaders: ['x', ' a'] }, 400],
    ['a tab behind a value', { rawHeaders: ['x', 'a\t'] }, 400],
    ['an empty name', { rawHeaders: ['', '1'] }, 400],
    ['a pseudo-header', { rawHeaders: [':authority', 'a'] }, 400],
    ['a colon in a name', { rawHeaders: ['x:y', '1'] }, 400],
    ['a space behind a name', { rawHeaders: ['x ', '1'] }, 400],
    ['CRLF in a name', { rawHeaders: ['x\r\ny', '1'] }, 400],
    ['a name beyond ASCII', { rawHeaders: ['é', '1'] }, 400],
    ['Transfer-Encoding', { rawHeaders: te() }, 400],
    ['Transfer-Encoding beside Content-Length', { rawHeaders: [...te(), 'Content-Length', '3'] }, 400],
    ['Connection', { rawHeaders: ['Connection', 'x'] }, 400],
    ['Keep-Alive', { rawHeaders: ['KEEP-ALIVE', '1'] }, 400],
    ['Proxy-Connection', { rawHeaders: ['Proxy-Connection', 'close'] }, 400],
    ['Upgrade', { rawHeaders: ['Upgrade', 'websocket'] }, 400],
    ['TE: gzip', { rawHeaders: ['TE', 'gzip'] }, 400],
    ['two Hosts', { rawHeaders: ['host', 'a', 'Host', 'a'] }, 400],
    ['malformed Host', { rawHeaders: ['Host', 'a/b'] }, 400],
    ['CL twice', { rawHeaders: ['Content-Length', '3', 'content-length', '3'] }, 400],
    ['CL with a sign', { rawHeaders: ['Content-Length', '+3'] }, 400],
    ['CL beyond what can be counted', { rawHeaders: ['Content-Length', '9007199254740993'] }, 400],
    ['a shadow of CL', { rawHeaders: ['Content_Length', '3'] }, 400],
    ['one header too many', { rawHeaders: pairs(9) }, 431],
    ['too many bytes of headers', { rawHeaders: ['x', 'y'.repeat(500)] }, 431],

    ['no slash first', { url: 'v1/x' }, 400],
    ['empty target', { url: '' }, 400],
    ['absolute-form', { url: 'http://a/v1/x', rawHeaders: ['Host', 'a'] }, 400],
    ['CRLF in the path', { url: '/ HTTP/1.1\r\nX: y' }, 400],
    ['a fragment', { url: '/x#y' }, 400],
    ['a path beyond ASCII', { url: '/ü' }, 400],
    ['no method', { method: '' }, 400],
    ['a method with CRLF', { method: 'GET / HTTP/1.1\r\nx' }, 400],
    ['TRACE', { method: 'TRACE' }, 405],
    ['CONNECT', { method: 'CONNECT' }, 405],
  ];
  test.each(rows)('%s', (_why, head, expected) => {
    expect(screened('rpc', head)).toBe(expected);
  });

  test('is refused with the name of the header at fault', () => {
    for (const header of ['Transfer-Encoding', 'Connection', 'Upgrade', 'x y', 'TE', 'Content_Length']) {
      const refusal = screenRequest('rpc', { ...RPC, rawHeaders: [header, 'x'] }, LIMITS);
      expect((refusal as SluiceError).message).toContain(header);
    }
  });
});

describe('trailers in a message', () => {
  test.each([
    ['none', [], null],
    ['some, in any case', ['X-Sum', 'a', 'x-sum', 'b\xff'], null],
    ['CRLF in a value', ['x', 'a\r\nb: c'], 400],
    ['a character beyond U+00FF', ['x', 'ā'], 400],
    ['CRLF in a name', ['x\r\ny', '1'], 400],
    ['Transfer-Encoding', te(), 400],
    ['too many', pairs(9), 431],
    ['too large', ['x', 'y'.repeat(500)], 431],
  ] as const)('%s', (_why, trailers, expected) => {
    expect(screenTrailers(trailers, LIMITS)?.status ?? null).toBe(expected);
  });
});

test('says which methods there are when it refuses one', () => {
  const refusal = screenRequest('http1', { ...HTTP1, method: 'TRACE' }, LIMITS);
  expect(refusal).toBeInstanceOf(SluiceError);
  expect((refusal as SluiceError).headers).toEqual(['allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS']);
});

test('hands on nothing but a path in visible ASCII, whatever comes', () => {
  const text = fc.string({ unit: 'binary-ascii', maxLength: 12 });
  const field = fc.oneof(
    fc.constantFrom('Host', 'a', 'chunked', 'Transfer-Encoding', 'Content-Length', ':authority'),
    text,
  );
  const head = fc.record({
    httpVersion: fc.constantFrom('1.0', '1.1', '2.0', '0.9'),
    method: fc.oneof(fc.constantFrom('GET', 'CONNECT', 'OPTIONS'), text),
    url: fc.oneof(
      text,
      text.map((rest) => `/${rest}`),
      text.map((rest) => `http://a${rest}`),
    ),
    rawHeaders: fc
      .array(fc.tuple(field, field), { maxLength: 6 })
      .map((list) => ['Host', 'a', ...list.flat()]),
  });
  fc.assert(
    fc.property(fc.constantFrom('http1', 'http2', 'rpc'), head, (wire, value) => {
      const verdict = screenRequest(wire, value, LIMITS);
      if (typeof verdict === 'string') expect(verdict).toMatch(/^\/[\x21-\x7e]*$/);
      else expect([400, 405, 431, 501]).toContain(verdict.status);
    }),
    { seed: 20_260_101, numRuns: 2_000 },
  );
});

function pairs(count: number): string[] {
  return Array.from({ length: count }, (_, index) => [`x-${index}`, '1']).flat();
}

function te(): string[] {
  return ['Transfer-Encoding', 'chunked'];
}
