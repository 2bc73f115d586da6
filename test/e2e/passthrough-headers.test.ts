import { describe, expect, test } from 'vitest';
import { type Answer, ask, PROTOCOLS, type Question } from '../helpers/ask.ts';
import { startTestGateway } from '../helpers/gateway.ts';
import { valuesOf } from '../helpers/http1-message.ts';
import { type Script, startUpstream, type UpstreamExchange } from '../helpers/scripted-upstream.ts';

const KEY = 'sk-master-0123456789';

/** What of a request reaches the upstream through `/open`, `/keyed`, `/vllm` and `/v1`, and what comes back. */
async function relayed(
  protocol: (typeof PROTOCOLS)[number],
  question: Question,
  options: { readonly masterKey?: string; readonly script?: Script } = {},
): Promise<{ answer: Answer; seen: UpstreamExchange }> {
  const upstream = await startUpstream(options.script);
  const { port } = await startTestGateway(
    `
general_settings:
  ${options.masterKey === undefined ? '' : `master_key: ${options.masterKey}`}
  pass_through_endpoints:
    - {path: /open, target: "${upstream.url}/t", forward_headers: true, include_subpath: true}
    - {path: /entity, target: "${upstream.url}/t", include_subpath: true, headers: {Authorization: bearer up, X-Real: "1"}}
    - path: /keyed
      target: ${upstream.url}/t
      include_subpath: true
      forward_headers: true
      auth: true
      headers: {litellm_user_api_key: X-Team-Key, X-Tenant: ours}
`,
    { env: { HOSTED_VLLM_API_BASE: upstream.url, HOSTED_VLLM_API_KEY: 'sk-upstream' } },
  );
  const answer = await ask(protocol, port, question);
  const [seen] = upstream.exchanges;
  if (seen === undefined) throw new Error(`nothing came to the upstream: ${answer.status} ${answer.body}`);
  return { answer, seen };
}

const CARRIERS: readonly (readonly [string, string])[] = [
  ['Authorization', `Bearer ${KEY}`],
  ['authorization', `bearer ${KEY}`],
  ['x-api-key', KEY],
  ['api-key', KEY],
  ['x-goog-api-key', KEY],
  ['X-Litellm-Api-Key', `Bearer ${KEY}`],
];

describe.each(PROTOCOLS)('over %s', (protocol) => {
  describe.each(['/open/x', '/keyed/x', '/entity/x', '/vllm/x', '/v1/x'])('%s', (path) => {
    test.each(CARRIERS)(
      "never sends the caller's key upstream, whichever carrier brought it (#32202, #38114, #12090): %s",
      async (name, value) => {
        const headers = [
          name,
          value,
          'Cookie',
          `a=b; k=${KEY}`,
          'X-Copy',
          `Bearer ${KEY}`,
          'x-pass-copy',
          KEY,
        ];
        const question = { path: `${path}?a=1&copy=${KEY}&b=2`, headers };
        const { seen } = await relayed(protocol, question, { masterKey: KEY });
        expect(seen.bytes.toString('latin1')).not.toContain(KEY);
        expect(seen.target).toMatch(/x\?a=1&b=2$/);
      },
    );
  });

  test("never sends the caller's key upstream from the query or a route's own header", async () => {
    const inQuery = await relayed(protocol, { path: `/keyed/x?a=%20&key=${KEY}&b` }, { masterKey: KEY });
    expect(inQuery.seen.target).toBe('/t/x?a=%20&b');
    const headers = ['x-team-key', KEY];
    const inHeader = await relayed(protocol, { path: '/keyed/x', headers }, { masterKey: KEY });
    expect(inHeader.seen.bytes.toString()).not.toContain(KEY);
  });

  test("never sends the caller's key upstream in a trailer", async () => {
    const question = {
      method: 'POST',
      path: '/vllm/x',
      headers: ['Authorization', `Bearer ${KEY}`],
      body: ['{"a":1}'],
      trailers: ['X-Sum', '1', 'X-Copy', KEY, 'Authorization', `Bearer ${KEY}`],
    };
    const { seen } = await relayed(protocol, question, { masterKey: KEY });
    expect(seen.trailers.map((each) => each.toLowerCase())).toEqual(['x-sum', '1']);
  });

  test('"bearer anything" goes no further than to us', async () => {
    const headers = ['Authorization', 'Bearer anything', 'x-api-key', 'anything', 'api-key', 'anything'];
    const { seen } = await relayed(protocol, { path: '/vllm/x?key=sk-anything', headers });
    expect(seen.bytes.toString()).not.toContain('anything');
    expect(seen.header('authorization')).toBe('Bearer sk-upstream');
  });

  test("a client's own credentials reach an open route's target, where forward_headers says so", async () => {
    const headers = ['Authorization', 'Bearer own', 'x-api-key', 'own'];
    const { seen } = await relayed(protocol, { path: '/open/x?key=sk-own', headers }, { masterKey: KEY });
    expect([seen.header('authorization'), seen.header('x-api-key')]).toEqual(['Bearer own', 'own']);
    expect(seen.target).toBe('/t/x?key=sk-own');
    const { seen: entity } = await relayed(protocol, { path: '/entity/x', headers }, { masterKey: KEY });
    expect([entity.header('authorization'), entity.header('x-api-key')]).toEqual(['bearer up', null]);
  });

  test('a client can not nominate injected headers away (CVE-2024-45410)', async () => {
    const headers = ['Connection', 'close, authorization, x-tenant, x-own', 'X-Own', '1', 'x-team-key', KEY];
    const { seen } = await relayed(protocol, { path: '/keyed/x', headers }, { masterKey: KEY });
    expect(seen.header('x-tenant')).toBe('ours');
    if (protocol === 'HTTP/1.1') expect(seen.header('x-own')).toBeNull();
    const vllm = await relayed(protocol, { path: '/vllm/x', headers });
    expect(vllm.seen.header('authorization')).toBe('Bearer sk-upstream');
    expect(vllm.seen.header('connection')).toBeNull();
  });

  test('Host decides nothing but reaches nobody: the target is told its own (CVE-2026-49468, CVE-2026-48710)', async () => {
    const { seen } = await relayed(protocol, {
      path: '/vllm/x',
      headers: ['Host', 'evil.test', 'X-Forwarded-Host', 'evil.test'],
    });
    expect(seen.header('host')).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(seen.target).toBe('/x');
  });

  test('several Set-Cookie stay several, other duplicates too, and in order', async () => {
    const script =
      'HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/\r\nX-A: 1\r\nset-cookie: b=2, c\r\nX-A: 2\r\nWWW-Authenticate: Basic\r\n' +
      'WWW-Authenticate: Bearer\r\nContent-Type: a/b\r\nContent-Type: c/d\r\nETag: "1"\r\nETag: "2"\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n';
    const { answer } = await relayed(protocol, { path: '/vllm/x' }, { script });
    expect(answer.status).toBe(200);
    expect(valuesOf(answer.headers, 'set-cookie')).toEqual(['a=1; Path=/', 'b=2, c']);
    expect(valuesOf(answer.headers, 'x-a')).toEqual(['1', '2']);
    expect(valuesOf(answer.headers, 'www-authenticate')).toEqual(['Basic', 'Bearer']);
    expect(valuesOf(answer.headers, 'content-type')).toEqual(['a/b', 'c/d']);
    expect(valuesOf(answer.headers, 'etag')).toEqual(['"1"', '"2"']);
    expect(answer.whole).toBe(true);
  });

  test('a client may send duplicates too', async () => {
    const headers = [
      'X-A',
      '1',
      'Accept',
      'a/b',
      'x-a',
      '2',
      'Accept',
      'c/d',
      'User-Agent',
      'x',
      'User-Agent',
      'y',
    ];
    const { seen } = await relayed(protocol, { path: '/vllm/x', headers });
    expect(valuesOf(seen.headers, 'x-a')).toEqual(['1', '2']);
    expect(valuesOf(seen.headers, 'accept')).toEqual(['a/b', 'c/d']);
    expect(valuesOf(seen.headers, 'user-agent')).toEqual(['x', 'y']);
  });

  test('Date is added where there is none, and left alone where there is one', async () => {
    const without = await relayed(protocol, { path: '/vllm/x' });
    expect(Date.parse(without.answer.header('date') ?? '')).toBeGreaterThan(0);
    const script = 'HTTP/1.1 200 OK\r\ndate: yesterday\r\nContent-Length: 0\r\n\r\n';
    const { answer } = await relayed(protocol, { path: '/vllm/x' }, { script });
    expect(valuesOf(answer.headers, 'date')).toEqual(['yesterday']);
  });

  test("the upstream's hop-by-hop headers stay on its connection, and its request id doesn't pass for ours", async () => {
    const script =
      'HTTP/1.1 200 OK\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=1\r\nProxy-Authenticate: x\r\n' +
      'Upgrade: h2c\r\nX-Sluice-Request-Id: theirs\r\nX-Request-Id: theirs\r\nContent-Length: 2\r\n\r\nok';
    const { answer } = await relayed(protocol, { path: '/vllm/x' }, { script });
    expect(answer.body.toString()).toBe('ok');
    for (const name of ['x-hop', 'proxy-authenticate', 'upgrade']) expect(answer.header(name)).toBeNull();
    expect(answer.header('x-sluice-request-id')).not.toContain('theirs');
    expect(answer.header('x-request-id')).toBe('theirs');
  });

  test.each([
    ['200', 'Fine, thanks'],
    ['299', ''],
    ['418', "I'm a teapot"],
    ['429', 'Slow down'],
    ['500', 'caf\xe9'],
    ['599', 'Odd'],
  ])('passes status %s and reason "%s" with the body of an error as they are', async (status, reason) => {
    const script = `HTTP/1.1 ${status} ${reason}\r\nContent-Type: text/weird\r\nX-L: caf\xe9\r\nContent-Length: 4\r\n\r\noops`;
    const { answer } = await relayed(protocol, { path: '/vllm/x' }, { script });
    expect([answer.status, answer.body.toString(), answer.whole]).toEqual([Number(status), 'oops', true]);
    expect(answer.header('content-type')).toBe('text/weird');
    expect(answer.header('x-l')).toBe('caf\xe9');
    if (protocol === 'HTTP/1.1') expect(answer.reason).toBe(reason);
  });

  test('a status beyond 599 is answered, one way or the other, and the next request is served', async () => {
    const script = 'HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\nok';
    const { answer } = await relayed(protocol, { path: '/vllm/x' }, { script });
    expect(answer.status).toBe(protocol === 'HTTP/1.1' ? 999 : 502);
  });
});

test('over HTTP/1.1 names, case, order and the place of Host and Content-Length are kept, byte for byte', async () => {
  const headers = [
    'x-First',
    '1',
    'HOST',
    'gateway.test',
    'X-second',
    ' two  words ',
    'content-LENGTH',
    '2',
    'x-THIRD',
    '',
  ];
  const { seen } = await relayed('HTTP/1.1', { method: 'POST', path: '/vllm/x', headers, body: '[]' });
  const host = seen.header('host');
  expect(seen.bytes.toString('latin1')).toBe(
    `POST /x HTTP/1.1\r\nx-First: 1\r\nHOST: ${host}\r\nX-second: two  words\r\ncontent-LENGTH: 2\r\nx-THIRD: \r\n` +
      'authorization: Bearer sk-upstream\r\n\r\n[]',
  );
});

test('over HTTP/1.1 the names of response headers keep their case and order', async () => {
  const script = 'HTTP/1.1 200 OK\r\nsERVER: x\r\nContent-LENGTH: 2\r\nX-b: 1\r\nx-A: 2\r\ndAte: d\r\n\r\nok';
  const { answer } = await relayed('HTTP/1.1', { path: '/vllm/x' }, { script });
  const expected = ['sERVER', 'x', 'Content-LENGTH', '2', 'X-b', '1', 'x-A', '2', 'dAte', 'd'];
  expect(answer.headers.slice(0, expected.length)).toEqual(expected);
});
