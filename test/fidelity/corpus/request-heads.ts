import type { Exchange } from '../exchange.ts';

const sent = (name: string, fields: readonly string[], why: string): Exchange => ({
  name,
  why,
  request: { path: '/v1/thing', fields },
});

const TOKEN_CHARACTERS = "!#$%&'*+-.^_`|~09azAZ";

/** Request header fields. */
export const REQUEST_HEADS: readonly Exchange[] = [
  sent('no header but Host', [], 'nothing is invented: no User-Agent, Accept, Via or X-Forwarded-For'),
  sent('names in odd case', ['x-lower: 1', 'X-UPPER: 2', 'x-MiXeD: 3'], 'names have no case, but bytes have'),
  sent('Host in odd case at the end', ['Accept: */*', 'hOsT: {host}'], 'it stays in its place'),
  sent(
    'one name three times',
    ['X-A: 1', 'X-A: 2', 'X-A: 1'],
    'joined by commas it would be another message',
  ),
  sent(
    'two names interleaved',
    ['X-A: 1', 'X-B: 2', 'x-a: 3', 'X-B: 4', 'X-A: 5'],
    'grouping loses the order',
  ),
  sent('several Cookie lines', ['Cookie: a=1', 'cookie: ', 'Cookie: b=2; c="x, y"'], 'joined only in HTTP/2'),
  sent('an empty value', ['X-Empty:', 'X-Blank:    ', 'Accept:'], 'empty is not absent'),
  sent(
    'white space around a value',
    ['X-A:1', 'X-B: \t 2 \t ', 'X-C:   3  4   '],
    'only what is around it goes',
  ),
  sent('a tab inside a value', ['X-A: a\tb'], 'the one control character that may stand there'),
  sent(
    'bytes beyond ASCII',
    ['X-A: gr\xfc\xdf dich', 'X-B: \xc3\xa4\xe2\x82\xac \x80\x9f\xff'],
    'obs-text, RFC 9110 §5.5',
  ),
  sent(
    'only bytes beyond ASCII',
    ['User-Agent: \xe6\x97\xa5\xe6\x9c\xac', 'Cookie: \xe4=\xf6'],
    'in headers that others read',
  ),
  sent('every character of a token in a name', [`${TOKEN_CHARACTERS}: 1`], 'RFC 9110 §5.6.2'),
  sent('names of numbers', ['2: b', '1: a', '0: c', '1: d'], 'as keys of an object they would be sorted'),
  sent(
    'names of an object',
    ['__proto__: 1', 'constructor: 2', 'hasOwnProperty: 3', 'toString: 4'],
    'as keys of an object',
  ),
  sent('a name of one letter', ['x: 1', 'y: 2'], 'shorter than any name that is looked for'),
  sent('a name of 200 letters', [`${'x-long-'.repeat(28)}end: 1`], 'longer than any name that is looked for'),
  sent('a value of 8 KB', [`X-Long: ${'0123456789abcdef'.repeat(512)}`], 'tokens grow'),
  sent(
    '100 headers',
    Array.from({ length: 100 }, (_, i) => `X-${i}: ${i % 7}`),
    'more than a parser likes',
  ),
  sent('delimiters in a value', ['X-A: a,b;c="d,\\"e",, ; :f=', 'X-B: ,', 'X-C: "'], 'nobody parses it'),
  sent(
    'what content coding the client takes',
    ['Accept-Encoding: gzip;q=0, br, zstd;q=0.5, *;q=0.1'],
    'the upstream must judge it itself',
  ),
  sent('identity asked for', ['accept-encoding: identity'], 'a client that adds gzip would compress'),
  sent('a range', ['Range: bytes=0-99,200-,-50', 'If-Range: W/"abc"'], 'parts are the upstream’s business'),
  sent(
    'conditions',
    ['If-None-Match: W/"a", "b", *', 'If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT'],
    'nothing here is a cache',
  ),
  sent(
    'what other proxies said',
    ['Via: 1.1 edge', 'X-Forwarded-For: 1.2.3.4', 'Forwarded: for=1.2.3.4', 'X-Real-IP: 1.2.3.4'],
    'neither added to nor taken away',
  ),
  sent(
    'what browsers send',
    [
      'Origin: null',
      'Referer: http://a/b',
      'Sec-Fetch-Mode: cors',
      'Upgrade-Insecure-Requests: 1',
      'DNT: 1',
      'Priority: u=1, i',
    ],
    'no CORS of our own on relayed paths',
  ),
  sent(
    'tracing',
    [
      'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      'tracestate: a=b',
      'X-Request-Id: abc',
    ],
    'the client’s trace goes on',
  ),
  sent(
    'a Date and an Age',
    ['Date: Tue, 15 Nov 1994 08:12:31 GMT', 'Age: 1', 'Max-Forwards: 0'],
    'no business of ours in a request',
  ),
  sent(
    'content headers without content',
    ['Content-Type: application/json', 'Content-Encoding: gzip', 'Content-Language: de'],
    'no body follows, and none is waited for',
  ),
  sent(
    'Content-Type twice',
    ['Content-Type: text/plain', 'Content-Type: text/html'],
    'which one counts is the upstream’s choice',
  ),
  sent('TE: trailers', ['TE: trailers'], 'the one TE that may go on'),
  sent(
    'TE with a coding',
    ['TE: deflate;q=0.5, trailers'],
    'the coding is ours to refuse, the trailers go on',
  ),
  sent(
    'a nominated header',
    ['X-Hop: 1', 'Connection: keep-alive, X-Hop', 'X-Stays: 2', 'x-hop: 3'],
    'RFC 9110 §7.6.1',
  ),
  sent(
    'a nominated Host',
    ['Connection: host, content-type', 'Content-Type: text/plain'],
    'a client can’t take away what says whom it is for (CVE-2024-45410)',
  ),
  sent(
    'old connection headers',
    ['Proxy-Connection: keep-alive', 'Keep-Alive: 300', 'Proxy-Authorization: Basic eDp5'],
    'meant for us',
  ),
  sent(
    'a wish for h2c',
    ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__'],
    'passed over, as RFC 9110 §7.8 allows',
  ),
  sent(
    'headers of a websocket without one',
    ['Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: x'],
    'without Upgrade they are headers like others',
  ),
  sent(
    'a header that looks like ours',
    ['X-Sluice-Request-Id: mine', 'X-Sluice-Other: 1'],
    'only x-sluice-model is addressed to us in a request',
  ),
  {
    ...sent(
      'a credential on an operator’s route',
      ['Authorization: Basic dTpw', 'X-Api-Key: theirs', 'api-key: too'],
      'an open route’s client speaks to the target',
    ),
    not: {
      provider: 'credentials there are addressed to Sluice',
      v1: 'credentials there are addressed to Sluice',
    },
  },
  {
    name: 'a request of HTTP/1.0',
    why: 'no Host needed, no chunked answer understood, closes by itself',
    request: { path: '/v1/thing', version: '1.0', fields: ['Host: {host}', 'X-A: 1'] },
  },
  {
    name: 'a request of HTTP/1.0 that wants to go on',
    why: 'keep-alive is between it and us',
    request: { path: '/v1/thing', version: '1.0', fields: ['Host: {host}', 'Connection: keep-alive'] },
  },
  {
    name: 'a head that arrives byte by byte',
    why: 'every parser must cope with every cut',
    request: { path: '/v1/thing?a=b', fields: ['X-A: \xfc', 'Accept: */*'], cut: 1 },
  },
];
