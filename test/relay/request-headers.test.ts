import { describe, expect, test } from 'vitest';
import type { Admission } from '../../src/access/admit.ts';
import type { Carrier } from '../../src/access/credentials.ts';
import {
  type UpstreamHeadersOptions,
  upstreamHeaders,
  upstreamTrailers,
} from '../../src/relay/request-headers.ts';

const KEY = 'sk-master';
const ANYONE: Admission = { caller: { kind: 'anyone' }, spent: [], key: null };

type Policy = UpstreamHeadersOptions['policy'];
const POLICIES: readonly Policy[] = ['all', 'forward', 'entity'];

/** The master, whose key came in these carriers. */
function master(...carriers: readonly Carrier[]): Admission {
  return { caller: { kind: 'master' }, spent: carriers.map((carrier) => ({ carrier, key: KEY })), key: KEY };
}

function header(name: string): Carrier {
  return { kind: 'header', name };
}

/** Header lines in and out, Host left out of both unless it is given. */
function sent(lines: readonly string[], options: Partial<UpstreamHeadersOptions> = {}): string[] {
  const client = lines.flatMap((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon), line.slice(colon + 1).trimStart()];
  });
  const pairs = upstreamHeaders({
    client,
    admission: ANYONE,
    host: 'upstream.test',
    inject: [],
    policy: 'all',
    keyHeader: null,
    framing: { kind: 'none' },
    upgrade: false,
    ...options,
  });
  const out: string[] = [];
  for (let i = 0; i < pairs.length; i += 2) out.push(`${pairs[i]}: ${pairs[i + 1]}`);
  return lines.some((line) => /^host:/i.test(line))
    ? out
    : out.filter((line) => line !== 'Host: upstream.test');
}

describe('hop-by-hop headers', () => {
  test.each([
    ['Connection: close'],
    ['Keep-Alive: timeout=5'],
    ['TE: gzip'],
    ['TE: trailers;q=0'],
    ['Trailer: X-Sum'],
    ['Transfer-Encoding: chunked'],
    ['Upgrade: h2c'],
    ['HTTP2-Settings: AAMAAABkAAQAAP__'],
    ['Proxy-Connection: keep-alive'],
    ['Proxy-Authorization: Basic Zm9v'],
    ['PROXY-AUTHENTICATE: Basic'],
    ['Expect: 100-continue'],
    ['x-sluice-model: other'],
  ])('%s stays behind under every policy', (line) => {
    for (const policy of POLICIES) expect(sent([line, 'Accept: */*'], { policy })).toEqual(['Accept: */*']);
  });

  test.each([
    ['TE: trailers', 'TE: trailers'],
    ['te: gzip, trailers', 'te: trailers'],
    ['TE: trailers, deflate;q=0.5', 'TE: trailers'],
  ])('of "%s" trailers go on', (line, expected) => {
    expect(sent([line])).toEqual([expected]);
  });

  test.each([
    [['Connection: x-hop', 'X-Hop: 1', 'X-Stays: 2']],
    [['X-Hop: 1', 'X-Stays: 2', 'Connection: close, X-HOP']],
    [['Connection: close', 'X-Hop: 1', 'connection: ,x-hop ,', 'x-hop: again', 'X-Stays: 2']],
  ])('what Connection nominates stays behind: %j', (lines) => {
    for (const policy of ['all', 'forward'] as const) expect(sent(lines, { policy })).toEqual(['X-Stays: 2']);
  });

  test('Connection can not nominate away what frames the message or says whom it is for', () => {
    const lines = ['Host: a', 'Content-Type: application/json', 'Content-Length: 2', 'TE: trailers'];
    const nominating = ['Connection: host, content-length, transfer-encoding, content-type, te', ...lines];
    expect(sent(nominating, { framing: { kind: 'length', length: 2 } })).toEqual([
      'Host: upstream.test',
      'Content-Type: application/json',
      'Content-Length: 2',
      'TE: trailers',
    ]);
  });

  test('a client can not nominate injected headers away (CVE-2024-45410)', () => {
    const inject = ['Authorization', 'Bearer up', 'X-Real', '1'];
    const lines = ['Connection: close, authorization, x-real', 'Authorization: Bearer own', 'X-Real: 2'];
    for (const policy of POLICIES)
      expect(sent(lines, { inject, policy })).toEqual(['Authorization: Bearer up', 'X-Real: 1']);
  });
});

describe('what is kept', () => {
  test("names, case, order, duplicates and empty values are the client's", () => {
    const lines = [
      'uSER-agent: curl',
      'X-A: 1',
      'Cookie: a=b; c=d',
      'X-B: ',
      'x-a: 2',
      'Cookie: e=f',
      'X-A: 1',
    ];
    for (const policy of ['all', 'forward'] as const) expect(sent(lines, { policy })).toEqual(lines);
  });

  test("Host keeps its place and spelling, and is the target's", () => {
    expect(sent(['X-A: 1', 'hOST: gateway.test', 'X-B: 2'])).toEqual([
      'X-A: 1',
      'hOST: upstream.test',
      'X-B: 2',
    ]);
  });

  test('a request without Host gets one, in front', () => {
    expect(sent(['X-A: 1', 'host: never sent'].slice(0, 1), { host: 'h:1' })).toEqual([
      'Host: h:1',
      'X-A: 1',
    ]);
  });

  test.each([
    [
      'length in place of length',
      'cONTENT-length: 9',
      { kind: 'length', length: 12 },
      ['A: 1', 'cONTENT-length: 12', 'B: 2'],
    ],
    [
      'chunked in place of chunked',
      'transfer-ENCODING: Chunked',
      { kind: 'chunked' },
      ['A: 1', 'transfer-ENCODING: chunked', 'B: 2'],
    ],
    [
      'length in place of chunked',
      'Transfer-Encoding: chunked',
      { kind: 'length', length: 12 },
      ['A: 1', 'Content-Length: 12', 'B: 2'],
    ],
    [
      'chunked in place of length',
      'Content-Length: 9',
      { kind: 'chunked' },
      ['A: 1', 'Transfer-Encoding: chunked', 'B: 2'],
    ],
    ['nothing in place of length', 'Content-Length: 0', { kind: 'none' }, ['A: 1', 'B: 2']],
  ] as const)('framing: %s', (_, line, framing, expected) => {
    for (const policy of POLICIES) {
      const lines = ['A: 1', line, 'B: 2'];
      const kept = policy === 'entity' ? expected.filter((each) => !/^[AB]:/.test(each)) : expected;
      expect(sent(lines, { framing, policy })).toEqual(kept);
    }
  });

  test('framing that the client had no header for (HTTP/2) comes last', () => {
    expect(sent(['a: 1'], { framing: { kind: 'chunked' }, inject: ['X', '2'] })).toEqual([
      'a: 1',
      'X: 2',
      'Transfer-Encoding: chunked',
    ]);
  });

  test("configured headers win over the client's of the same name, whatever its case", () => {
    const lines = ['X-TENANT: theirs', 'x-tenant: again', 'Accept: a', 'X-Pass-X-Tenant: sly'];
    const inject = ['x-Tenant', 'ours', 'ACCEPT', 'b'];
    expect(sent(lines, { inject, policy: 'forward' })).toEqual([
      'X-Pass-X-Tenant: sly',
      'x-Tenant: ours',
      'ACCEPT: b',
    ]);
    expect(sent(lines, { inject, policy: 'entity' })).toEqual(['x-Tenant: ours', 'ACCEPT: b']);
  });
});

describe('forward_headers: false', () => {
  test('sends entity headers, x-pass-* without its prefix, and nothing else', () => {
    const lines = [
      'Content-Type: text/plain',
      'content-encoding: gzip',
      'Accept: */*',
      'Accept-Encoding: br',
      'User-Agent: curl',
      'Cookie: a=b',
      'Authorization: Bearer own',
      'x-api-key: own',
      'Sec-WebSocket-Key: abc',
      'Sec-WebSocket-Protocol: chat',
      'X-Pass-Anthropic-Beta: one',
      'x-pass-anthropic-beta: two',
      'x-pass-Cookie: c=d',
      'x-pass-x-pass-x: nested',
      'x-pass-: nothing',
    ];
    expect(sent(lines, { policy: 'entity' })).toEqual([
      'Content-Type: text/plain',
      'content-encoding: gzip',
      'Accept: */*',
      'Accept-Encoding: br',
      'Anthropic-Beta: one',
      'anthropic-beta: two',
      'Cookie: c=d',
      'x-pass-x: nested',
    ]);
  });

  test.each([
    ...['authorization', 'Api-Key', 'X-API-KEY', 'x-goog-api-key', 'host', 'Content-Length'],
    ...['transfer-encoding', 'connection', 'te', 'trailer', 'upgrade', 'proxy-authorization', 'expect'],
    ...['x-litellm-api-key', 'x-sluice-model'],
  ])('x-pass-%s becomes nothing', (name) => {
    expect(sent([`x-pass-${name}: x`], { policy: 'entity' })).toEqual([]);
    expect(sent([`x-pass-${name}: x`], { policy: 'forward' })).toEqual([`x-pass-${name}: x`]);
  });

  test('with forward_headers: true a header comes as it is and without its prefix', () => {
    expect(sent(['X-Pass-A: 1'], { policy: 'forward' })).toEqual(['A: 1', 'X-Pass-A: 1']);
  });

  test('on a provider route x-pass-* means nothing', () => {
    expect(sent(['X-Pass-A: 1'], { policy: 'all' })).toEqual(['X-Pass-A: 1']);
  });
});

describe('credentials', () => {
  const CARRIERS = ['Authorization', 'x-api-key', 'api-key', 'x-goog-api-key', 'X-Litellm-Api-Key'];

  test.each(CARRIERS)('%s never goes on from a provider route, known or "bearer anything"', (name) => {
    for (const admission of [ANYONE, master(header('authorization'))])
      expect(sent([`${name}: Bearer anything`, `${name.toUpperCase()}: x`], { admission })).toEqual([]);
  });

  test.each(CARRIERS)(
    '%s with a Sluice key never goes on from a route with forward_headers: true',
    (name) => {
      const admission = master(header(name.toLowerCase()));
      expect(sent([`${name}: Bearer ${KEY}`], { admission, policy: 'forward' })).toEqual([]);
    },
  );

  test("a client's own credential is its own on a route with forward_headers: true", () => {
    const lines = ['Authorization: Bearer own', 'x-api-key: own'];
    expect(sent(lines, { policy: 'forward' })).toEqual(lines);
    expect(
      sent([...lines, `api-key: ${KEY}`], { policy: 'forward', admission: master(header('api-key')) }),
    ).toEqual(lines);
  });

  test("the route's own key header never goes on", () => {
    for (const policy of POLICIES)
      expect(sent(['X-Team-Key: anything', 'Accept: a'], { policy, keyHeader: 'x-team-key' })).toEqual([
        'Accept: a',
      ]);
  });

  test.each([
    ['Authorization: Basic sk-master'],
    ['Authorization: sk-master'],
    ['x-api-key: Token sk-master'],
    ['X-Forwarded-Authorization: Bearer sk-master'],
    ['x-pass-foo: sk-master'],
    ['Referer: https://gateway.test/?key=sk-master'],
    ['Referer: https://gateway.test/?key=sk%2Dmaster'],
    ['Accept: text/plain;k=sk-master'],
    ['Cookie: session=sk-master'],
    ['Sec-WebSocket-Protocol: sk-master'],
  ])('a copy of the key is taken out: %s', (line) => {
    const admission = master(header('x-litellm-api-key'));
    for (const policy of POLICIES)
      expect(decodeURIComponent(sent([line], { admission, policy, upgrade: true }).join())).not.toContain(
        KEY,
      );
  });

  test('of a cookie header only the pair with the key is taken out', () => {
    const lines = [`Cookie: a=1; key=${KEY}; b=2`, 'Cookie: c=%73k-master', 'cookie: c=%zz; d=sk%2Dmaster'];
    expect(sent(lines, { admission: master(header('authorization')) })).toEqual([
      'Cookie: a=1; b=2',
      'cookie: c=%zz',
    ]);
  });
});

describe('websocket upgrade', () => {
  const HANDSHAKE = [
    'Sec-WebSocket-Key: abc',
    'Sec-WebSocket-Version: 13',
    'sec-websocket-extensions: permessage-deflate',
  ];

  test.each(POLICIES)('%s: the handshake goes on, Connection and Upgrade are made anew', (policy) => {
    const lines = ['Connection: keep-alive, Upgrade', 'Upgrade: WebSocket', ...HANDSHAKE];
    expect(sent(lines, { policy, upgrade: true })).toEqual([
      ...HANDSHAKE,
      'Connection: Upgrade',
      'Upgrade: websocket',
    ]);
  });

  test.each([
    ['openai-insecure-api-key.sk-x', null],
    ['realtime, openai-insecure-api-key.sk-x, openai-beta.v1', 'realtime, openai-beta.v1'],
    ['openai-insecure-api-key.sk-x,realtime', 'realtime'],
    ['realtime,other', 'realtime,other'],
  ])('the key is taken out of the subprotocols "%s"', (value, expected) => {
    for (const policy of ['all', 'entity'] as const)
      expect(sent([`Sec-WebSocket-Protocol: ${value}`], { policy, upgrade: true }).slice(0, -2)).toEqual(
        expected === null ? [] : [`Sec-WebSocket-Protocol: ${expected}`],
      );
  });

  test("a subprotocol with the client's own key is its own on a route with forward_headers: true", () => {
    const line = 'Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.sk-own';
    const options = { policy: 'forward', upgrade: true } as const;
    expect(sent([line], options).slice(0, -2)).toEqual([line]);
    const ours = `Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.${KEY}`;
    expect(sent([ours], { ...options, admission: master({ kind: 'subprotocol' }) }).slice(0, -2)).toEqual([
      'Sec-WebSocket-Protocol: realtime',
    ]);
  });
});

describe('upstreamTrailers', () => {
  test('passes what a client may say behind a body', () => {
    expect(upstreamTrailers(['X-Sum', 'abc', 'x-sum', 'd'], ANYONE)).toEqual(['X-Sum', 'abc', 'x-sum', 'd']);
  });

  test.each([
    ...[
      'Authorization',
      'X-Api-Key',
      'api-key',
      'X-Goog-Api-Key',
      'X-Litellm-Api-Key',
      'Cookie',
      'x-sluice-model',
    ],
    ...['Content-Length', 'Transfer-Encoding', 'Connection', 'Host', 'TE'],
  ])('%s has no place there (RFC 9110 §6.5.1) and stays behind', (name) => {
    expect(upstreamTrailers(['A', '1', name, 'x'], ANYONE)).toEqual(['A', '1']);
  });

  test('a copy of the key stays behind', () => {
    expect(upstreamTrailers(['X-Sum', KEY, 'A', '1'], master(header('authorization')))).toEqual(['A', '1']);
  });
});
