import { brotliCompressSync, gzipSync, zstdCompressSync } from 'node:zlib';
import type { Exchange } from '../exchange.ts';
import { ALL_BYTES } from './request-bodies.ts';

type Piece = string | Buffer;

const answered = (
  name: string,
  answer: readonly Piece[],
  why: string,
  more: Partial<Exchange> = {},
): Exchange => ({
  name,
  why,
  request: { path: '/v1/thing' },
  answer,
  ...more,
});

const CLOSES = { closes: true };
const chunkedHead = (...lines: string[]): string =>
  ['HTTP/1.1 200 OK', ...lines, 'Transfer-Encoding: chunked', '', ''].join('\r\n');
const sizedHead = (length: number, ...lines: string[]): string =>
  ['HTTP/1.1 200 OK', ...lines, `Content-Length: ${length}`, '', ''].join('\r\n');
const chunk = (data: Piece, extension = ''): Buffer => {
  const bytes = typeof data === 'string' ? Buffer.from(data) : data;
  return Buffer.concat([
    Buffer.from(`${bytes.length.toString(16)}${extension}\r\n`, 'latin1'),
    bytes,
    Buffer.from('\r\n'),
  ]);
};
const END = '0\r\n\r\n';
const coded = (name: string, coding: string, bytes: Buffer): Exchange =>
  answered(
    name,
    [sizedHead(bytes.length, `Content-Encoding: ${coding}`, 'Content-Type: application/json'), bytes],
    'neither decoded nor decoded and sent as it was (#25624, #37058)',
  );

const sse = (name: string, why: string, pieces: readonly Piece[]): Exchange =>
  answered(
    name,
    [
      chunkedHead('Content-Type: text/event-stream; charset=utf-8', 'Cache-Control: no-cache'),
      ...pieces.map((piece) => chunk(piece)),
      END,
    ],
    why,
  );

const EURO = Buffer.from('data: {"content":"\u20ac\u{1f600}"}\n\n');

const sized = (length: number): Exchange => {
  const body = Buffer.alloc(length, 'abcdefghij');
  return answered(
    `a body of ${length} bytes`,
    [Buffer.concat([Buffer.from(sizedHead(length)), body])],
    'around the sizes of buffers and writes',
  );
};

/** Response bodies and their framing. */
export const RESPONSE_BODIES: readonly Exchange[] = [
  answered('a body with a length', [sizedHead(5), 'hello'], 'head and body in two pieces'),
  answered('a body with a length, byte by byte', [sizedHead(5), ...'hello'], 'nothing waits for the rest'),
  answered('an empty body with a length', [sizedHead(0)], 'Content-Length: 0 stays'),
  answered('an empty chunked body', [chunkedHead(), END], 'no length is made of it'),
  answered(
    'chunks of one byte',
    [chunkedHead('Content-Type: text/plain'), ...[...'one by one'].map((letter) => chunk(letter)), END],
    'as tokens come',
  ),
  answered(
    'chunks of one byte in one packet',
    [
      Buffer.concat([
        Buffer.from(chunkedHead()),
        ...[...'all at once'].map((letter) => chunk(letter)),
        Buffer.from(END),
      ]),
    ],
    'as tokens come',
  ),
  answered(
    'one chunk of 1 MB',
    [chunkedHead(), chunk(Buffer.alloc(1 << 20, 'x')), END],
    'larger than any read',
  ),
  answered(
    'chunk sizes with zeros and capitals',
    [chunkedHead(), '00000A\r\n0123456789\r\n', '0b\r\n0123456789a\r\n', '000\r\n\r\n'],
    'RFC 9112 §7.1: 1*HEXDIG',
  ),
  answered(
    'chunk extensions',
    [chunkedHead(), chunk('abc', ';a=b;c="d e"'), chunk('d', ' ;x'), '0;last\r\n\r\n'],
    'RFC 9112 §7.1.1: of the connection, ignored',
  ),
  answered(
    'trailers',
    [
      chunkedHead('Trailer: X-Sum'),
      chunk('abc'),
      '0\r\nX-Sum: 1\r\nx-sum: 2\r\nX-Empty:\r\nX-L: \xfc\xdf\r\n\r\n',
    ],
    'behind the body, in order',
  ),
  answered(
    'trailers that nobody announced',
    [Buffer.from(`${chunkedHead()}3\r\nabc\r\n0\r\nGrpc-Status: 0\r\n\r\n`)],
    'announcing them is only asked for',
  ),
  answered(
    'trailers behind nothing',
    [chunkedHead(), '0\r\nX-Sum: 0\r\n\r\n'],
    'the body is empty, the trailers are not',
  ),
  answered(
    'trailers that have no place there',
    [chunkedHead(), chunk('x'), '0\r\nContent-Length: 7\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\n\r\n'],
    'RFC 9110 §6.5.1',
  ),
  answered(
    'a body that ends with its connection',
    ['HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto the ', 'end'],
    'no framing at all',
    CLOSES,
  ),
  answered(
    'a body of HTTP/1.0',
    ['HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nold ', 'times'],
    'ends with its connection',
    CLOSES,
  ),
  answered(
    'an empty body of HTTP/1.0',
    ['HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n'],
    'ends with its connection',
    CLOSES,
  ),
  answered(
    'a body of HTTP/1.0 with a length',
    ['HTTP/1.0 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nold'],
    'can be kept alive',
  ),
  answered(
    'a body with a length and a close',
    ['HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nend'],
    'the close is the upstream connection’s',
    CLOSES,
  ),
  answered('204', ['HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n'], 'has no body and no length'),
  answered('204 to a POST', ['HTTP/1.1 204 No Content\r\n\r\n'], 'has no body and no length', {
    request: { path: '/v1/thing', body: 'x' },
  }),
  answered('205', ['HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n'], 'has no body, but a length'),
  answered('304', ['HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n'], 'has no body', {
    request: { path: '/v1/thing', fields: ['If-None-Match: "x"'] },
  }),
  answered(
    '304 with the length of what did not change',
    ['HTTP/1.1 304 Not Modified\r\nETag: "x"\r\nContent-Length: 12345\r\n\r\n'],
    'announces a body that never comes',
  ),
  answered(
    'HEAD',
    ['HTTP/1.1 200 OK\r\nContent-Length: 12345\r\nContent-Type: a/b\r\n\r\n'],
    'announces a body that never comes',
    { request: { method: 'HEAD', path: '/v1/thing' } },
  ),
  answered('HEAD of a chunked body', [chunkedHead('X-A: 1')], 'announces a body that never comes', {
    request: { method: 'HEAD', path: '/v1/thing' },
  }),
  answered('HEAD without a length', ['HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\n'], 'no length is invented', {
    request: { method: 'HEAD', path: '/v1/thing' },
  }),
  answered('HEAD of nothing', [sizedHead(0)], 'Content-Length: 0 stays', {
    request: { method: 'HEAD', path: '/v1/thing' },
  }),
  answered('HEAD of an error', ['HTTP/1.1 404 Not Found\r\nContent-Length: 22\r\n\r\n'], 'errors too', {
    request: { method: 'HEAD', path: '/v1/thing' },
  }),
  answered(
    'a part of a body',
    ['HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 2-3/10\r\nContent-Length: 2\r\n\r\ncd'],
    'parts are the upstream’s business',
    { request: { path: '/v1/thing', fields: ['Range: bytes=2-3'] } },
  ),
  answered(
    'several parts of a body',
    [
      'HTTP/1.1 206 Partial Content\r\nContent-Type: multipart/byteranges; boundary=x\r\nContent-Length: 49\r\n\r\n--x\r\nContent-Range: bytes 0-0/2\r\n\r\na\r\n--x--\r\n\r\n\r\n',
    ],
    'looks like headers inside',
  ),
  answered(
    'a range that can’t be had',
    ['HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */10\r\nContent-Length: 0\r\n\r\n'],
    'parts are the upstream’s business',
  ),
  answered(
    'a body like a response',
    [sizedHead(38), 'HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n'],
    'must not be read as one',
  ),
  answered('every byte there is', [sizedHead(1024), ALL_BYTES], 'no text'),
  answered(
    'every byte there is, chunked',
    [chunkedHead(), chunk(ALL_BYTES), chunk(ALL_BYTES.subarray(128)), END],
    'no text',
  ),
  coded('gzip', 'gzip', gzipSync('{"a":1}')),
  coded('brotli', 'br', brotliCompressSync('{"a":1}')),
  coded('zstd', 'zstd', zstdCompressSync('{"a":1}')),
  coded('two codings', 'gzip, br', brotliCompressSync(gzipSync('{"a":1}'))),
  coded('a coding nobody knows', 'x-rot13', Buffer.from('{"n":1}')),
  coded('what claims to be gzip and isn’t', 'gzip', Buffer.from('{"a":1}')),
  coded('identity', 'identity', Buffer.from('{"a":1}')),
  answered(
    'a gzip stream',
    [
      chunkedHead('Content-Encoding: gzip', 'Content-Type: text/event-stream'),
      ...[...gzipSync('data: x\n\n'.repeat(20))].map((byte) => chunk(Buffer.from([byte]))),
      END,
    ],
    'can’t be cut into events without decoding',
  ),
  answered(
    'an error of vLLM',
    [
      sizedHead(134, 'content-type: application/json', 'server: uvicorn'),
      '{"error":{"message":"This model\'s maximum context length is 10 tokens.","type":"BadRequestError","param":"input_tokens","code":400}}  ',
    ],
    'errors pass as they are',
  ),
  answered(
    'an error that is no JSON',
    [
      'HTTP/1.1 502 Bad Gateway\r\nServer: nginx\r\nContent-Type: text/html\r\nContent-Length: 17\r\n\r\n<html>502</html>\n',
    ],
    'it is not put into our envelope',
  ),
  answered(
    'an error without a body',
    ['HTTP/1.1 503 Service Unavailable\r\nserver: uvicorn\r\ncontent-length: 0\r\n\r\n'],
    'how vLLM’s /health says that its engine is dead',
  ),
  answered(
    'a refusal of the upstream’s own',
    [
      'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Length: 24\r\n\r\n{"error":"Unauthorized"}',
    ],
    'is not taken for ours',
  ),
  answered(
    'a limit of the upstream’s own',
    [
      'HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nx-ratelimit-reset-tokens: 6m0s\r\nContent-Length: 2\r\n\r\n{}',
    ],
    'is not retried and not reworded',
  ),
  answered(
    'NDJSON',
    [
      chunkedHead('Content-Type: application/x-ndjson'),
      chunk('{"a":1}\n'),
      chunk('{"a"'),
      chunk(':2}\n\n{"a":3}'),
      END,
    ],
    'lines cut anywhere',
  ),
  sse('server-sent events', 'the usual stream', ['data: {"a":1}\n\n', 'data: [DONE]\n\n']),
  sse('events with comments and all fields', 'parsers drop what they do not know', [
    ': keep-alive\n\n',
    'event: x\nid: 7\nretry: 10\ndata: a\n\n',
    ':\n',
    'unknown: field\n\n',
  ]),
  sse('events with CRLF and CR', 'three ways to end a line', [
    'data: a\r\n\r\n',
    'data: b\r\r',
    'data: c\n\r\n',
  ]),
  sse('an event of several data lines', 'joined they would be another event', [
    'data: {"a":\ndata: 1}\ndata:\ndata\n\n',
  ]),
  sse('a stream without a final newline', 'the last event is incomplete and passes nevertheless', [
    'data: a\n\n',
    'data: b',
  ]),
  sse('a stream without [DONE]', 'none is invented', ['data: a\n\n']),
  sse('bytes behind [DONE]', 'nobody reads the stream', ['data: [DONE]\n\n', 'data: more\n\n']),
  sse('a stream that begins with a byte order mark', 'parsers drop it', ['\ufeffdata: a\n\n']),
  sse(
    'characters cut across chunks',
    'decoding the pieces would break them',
    [...EURO].map((byte) => Buffer.from([byte])),
  ),
  sse('events that are no UTF-8', 'decoding would put U+FFFD in', [
    Buffer.from('data: \xff\xfe\xc3\n\n', 'latin1'),
  ]),
  sse('an error in the middle of a stream', 'how vLLM reports one behind a 200', [
    'data: {"a":1}\n\n',
    'data: {"error":{"message":"x","code":500}}\n\n',
    'data: [DONE]\n\n',
  ]),
  ...[1, 16_383, 16_384, 16_385, 65_536, 262_143, 262_144, 262_145, 1_000_000].map(sized),
];
