import type { Exchange } from '../exchange.ts';

const answered = (name: string, lines: readonly string[], why: string): Exchange => ({
  name,
  why,
  request: { path: '/v1/thing' },
  answer: [['HTTP/1.1 200 OK', ...lines, 'Content-Length: 4', '', 'body'].join('\r\n')],
});

const statusLine = (name: string, line: string, why: string): Exchange => ({
  name,
  why,
  request: { path: '/v1/thing' },
  answer: [`${line}\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Length: 4\r\n\r\nbody`],
});

/** Status lines and response header fields. */
export const RESPONSE_HEADS: readonly Exchange[] = [
  statusLine('a reason of one’s own', 'HTTP/1.1 200 Everything Is Fine', 'clients show it'),
  statusLine('an empty reason', 'HTTP/1.1 200 ', 'the usual phrase must not take its place'),
  statusLine('no reason at all', 'HTTP/1.1 404', 'not legal, but seen; the space is added'),
  statusLine('a reason with odd spaces', 'HTTP/1.1 200  two  and a tab\there ', 'nothing is trimmed'),
  statusLine('a reason beyond ASCII', 'HTTP/1.1 200 In Ordn\xfcng \xe2\x9c\x93', 'obs-text, RFC 9112 §4'),
  statusLine('a reason that belongs to another status', 'HTTP/1.1 503 OK', 'nobody checks'),
  answered('no header but the length', [], 'nothing is invented but what is in the table'),
  answered(
    'names in odd case',
    ['x-lower: 1', 'X-UPPER: 2', 'x-MiXeD: 3', 'CONTENT-TYPE: text/plain'],
    'case is kept',
  ),
  answered(
    'three cookies',
    [
      'Set-Cookie: a=1; Path=/',
      'set-cookie: b=2; Expires=Thu, 01 Jan 1970 00:00:00 GMT',
      'Set-Cookie: a=1; Path=/',
    ],
    'can’t be joined (RFC 6265 §3)',
  ),
  answered(
    'two names interleaved',
    ['X-A: 1', 'X-B: 2', 'x-a: 3', 'X-B: 4', 'X-A: 5'],
    'grouping loses the order',
  ),
  answered('an empty value', ['X-Empty:', 'X-Blank:   ', 'ETag:'], 'empty is not absent'),
  answered(
    'white space around a value',
    ['X-A:1', 'X-B: \t 2 \t ', 'X-C:   3  4   '],
    'only what is around it goes',
  ),
  answered(
    'bytes beyond ASCII',
    ['X-A: gr\xfc\xdf dich', 'Content-Disposition: attachment; filename="\xc3\xa4.txt"', 'X-B: \x80\x9f\xff'],
    'obs-text, RFC 9110 §5.5',
  ),
  answered('names of numbers', ['2: b', '1: a', '0: c', '1: d'], 'as keys of an object they would be sorted'),
  answered(
    'names of an object',
    ['__proto__: 1', 'constructor: 2', 'hasOwnProperty: 3', 'toString: 4'],
    'as keys of an object',
  ),
  answered('every character of a token in a name', ["!#$%&'*+-.^_`|~09azAZ: 1"], 'RFC 9110 §5.6.2'),
  answered(
    'a value of 30 KB',
    [`X-Long: ${'0123456789abcdef'.repeat(1_900)}`],
    'more than Node takes by itself',
  ),
  answered(
    '300 headers',
    Array.from({ length: 300 }, (_, i) => `X-${i}: ${i % 7}`),
    'more than a request may have',
  ),
  answered('delimiters in a value', ['X-A: a,b;c="d,\\"e",, ; :f=', 'X-B: ,', 'X-C: "'], 'nobody parses it'),
  answered('its own Date', ['Date: Thu, 01 Jan 1970 00:00:00 GMT'], 'a stored answer is old'),
  answered(
    'a Date in odd case, at its place',
    ['X-A: 1', 'dATE: yesterday', 'X-B: 2'],
    'no second one is added',
  ),
  answered(
    'two Dates',
    ['Date: Thu, 01 Jan 1970 00:00:00 GMT', 'Date: Fri, 02 Jan 1970 00:00:00 GMT'],
    'none is dropped',
  ),
  answered(
    'fields that have one value, twice',
    [
      'Content-Type: a/b',
      'Content-Type: c/d',
      'ETag: "1"',
      'ETag: "2"',
      'Location: /a',
      'Location: /b',
      'Server: x',
      'Server: y',
      'Retry-After: 1',
      'Retry-After: 2',
      'Age: 1',
      'Age: 2',
    ],
    'as an object the last would win, and HTTP/2 libraries throw',
  ),
  answered(
    'what an upstream says of itself',
    [
      'Server: uvicorn',
      'Via: 1.0 inner',
      'X-Powered-By: x',
      'openai-version: 2020-10-01',
      'x-ratelimit-remaining-requests: 99',
    ],
    'nothing is hidden',
  ),
  answered(
    'what caches read',
    [
      'ETag: W/"a"',
      'Cache-Control: private="x, y", no-store',
      'Vary: *',
      'Age: 1',
      'Warning: 110 - "x"',
      'Last-Modified: x',
    ],
    'nothing here is a cache',
  ),
  answered(
    'what browsers read',
    [
      'Access-Control-Allow-Origin: *',
      'Link: </a>; rel=preload, </b>',
      'Content-Security-Policy: default-src',
      'Strict-Transport-Security: max-age=1',
      'Alt-Svc: h3=":443"',
      'Clear-Site-Data: "*"',
    ],
    'no policy of our own on relayed paths',
  ),
  answered(
    'two challenges',
    ['WWW-Authenticate: Basic realm="a, b"', 'WWW-Authenticate: Bearer'],
    'commas within and between',
  ),
  answered(
    'a nominated header',
    ['X-Hop: 1', 'Connection: X-Hop', 'X-Stays: 2', 'x-hop: 3'],
    'RFC 9110 §7.6.1',
  ),
  answered(
    'headers of its own connection',
    ['Keep-Alive: timeout=5, max=100', 'Connection: keep-alive', 'Proxy-Authenticate: Basic', 'Upgrade: h2c'],
    'they end at us',
  ),
  answered(
    'a request id of its own',
    ['X-Sluice-Request-Id: theirs', 'X-Request-Id: theirs'],
    'only ours may carry that name',
  ),
  answered('Content-Encoding of a body that is not', ['Content-Encoding: x-unknown, gzip'], 'nobody decodes'),
  answered(
    'a Trailer without trailers',
    ['Trailer: X-Sum'],
    'goes with the connection, and Node’s own server throws at it without chunks',
  ),
  answered('Expect and TE in a response', ['Expect: 100-continue', 'X-A: 1'], 'they mean nothing there'),
  {
    name: 'a length with zeros before it',
    why: 'the same number, other bytes',
    request: { path: '/v1/thing' },
    answer: ['HTTP/1.1 200 OK\r\ncontent-LENGTH: 0004\r\nX-A: 1\r\n\r\nbody'],
  },
  {
    name: 'a head that arrives byte by byte',
    why: 'every parser must cope with every cut',
    request: { path: '/v1/thing' },
    answer: [...'HTTP/1.1 200 Fine\r\nX-A: \xfc\r\nContent-Length: 4\r\n\r\nbody'],
  },
  {
    name: 'a redirect',
    why: 'its Location is for the client, not for us to follow',
    request: { path: '/v1/thing' },
    answer: [
      'HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/elsewhere?a=%2F#b\r\nContent-Length: 0\r\n\r\n',
    ],
  },
  ...[301, 303, 307, 308].map(
    (status): Exchange => ({
      name: `a redirect with ${status}`,
      why: 'its Location is for the client, not for us to follow',
      request: { method: 'POST', path: '/v1/thing', body: 'x' },
      answer: [`HTTP/1.1 ${status} Go\r\nLocation: ../v1/other\r\nContent-Length: 2\r\n\r\nit`],
    }),
  ),
  {
    name: 'early hints before the answer',
    why: 'RFC 9110 §15.2: a proxy forwards 1xx that it did not ask for',
    request: { path: '/v1/thing' },
    answer: [
      'HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nX-A: 1\r\n\r\n',
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
    ],
  },
];
