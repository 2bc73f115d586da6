import { gzipSync } from 'node:zlib';
import type { BodySpec, Exchange } from '../exchange.ts';

const JSON_TYPE = 'Content-Type: application/json';
const BINARY_TYPE = 'Content-Type: application/octet-stream';

const sent = (
  name: string,
  body: BodySpec,
  why: string,
  fields: readonly string[] = [JSON_TYPE],
): Exchange => ({
  name,
  why,
  request: { path: '/v1/chat/completions', fields, body },
});

const CHAT =
  '{"model":"{model}","messages":[{"role":"user","content":"gr\u00fc\u00df \u{1f600} dich"}],"stream":true}';

/** Every byte there is, a few times over. */
export const ALL_BYTES = Buffer.from(Array.from({ length: 1024 }, (_, i) => i % 256));

const BOUNDARY = '----b0undary';
const FORM = [
  `--${BOUNDARY}`,
  'Content-Disposition: form-data; name="file"; filename="a\u00e4.wav"',
  'Content-Type: audio/wav',
  '',
  'RIFF\u0000\u0001 --not-the-boundary',
  `--${BOUNDARY}`,
  'content-disposition: form-data; name="model"',
  '',
  '{model}',
  `--${BOUNDARY}`,
  'Content-Disposition: form-data; name="language"',
  '',
  'de',
  `--${BOUNDARY}--`,
  'an epilogue',
].join('\r\n');
const FORM_TYPE = `Content-Type: multipart/form-data; boundary=${BOUNDARY}`;

const sized = (length: number): Exchange =>
  sent(
    `a body of ${length} bytes`,
    Buffer.alloc(length, 'abcdefghij'),
    'around the sizes of buffers and writes',
    [BINARY_TYPE],
  );

/** Request bodies and their framing. */
export const REQUEST_BODIES: readonly Exchange[] = [
  sent('JSON with a model', CHAT, 'the usual request'),
  sent(
    'JSON with the model at the end',
    '{"input":["a","b"],"n":1,"model":"{model}"}',
    'all of it is held until then',
  ),
  sent(
    'JSON with white space everywhere',
    ' \r\n\t{ "a" : [ 1 , 2 ] ,\n\n "model"\t:\r\n "{model}" , "b" : { } }\n\n',
    're-encoding would lose it',
  ),
  sent(
    'JSON with models that aren’t the request’s',
    '{"x":{"model":"a"},"y":["model"],"s":"\\"model\\":\\"b\\"","model":"{model}","z":{"model":"c"}}',
    'only the top level counts',
  ),
  sent(
    'JSON whose numbers no double holds',
    '{"model":"{model}","seed":12345678901234567890,"t":1e400,"u":1.10,"v":-0}',
    'parsing and printing would change them',
  ),
  sent(
    'JSON with escapes',
    '{"m\\u006fdel":"{model}","a":"\\u00e4\\/\\ud83d\\ude00 \\ud800","\\u0061":1}',
    'the same text has many spellings',
  ),
  sent(
    'JSON with one name twice',
    '{"a":1,"model":"{model}","a":2}',
    'which one counts is the upstream’s choice',
  ),
  sent('JSON with a trailing comma', '{"model":"{model}",\n}', 'the documents’ own curl sends one'),
  sent('JSON behind a byte order mark', '\ufeff{"model":"{model}"}', 'some editors write one'),
  sent('JSON without a model', '{"input":"x"}', 'goes where a request without a body would'),
  sent('JSON that is an array', '[{"model":"x"},1,null]', 'has no top level to look at'),
  sent('JSON that is a string', '"model"', 'has no top level to look at'),
  sent('JSON that is none', 'model=x&y', 'the upstream judges it, not we'),
  sent('JSON cut short', '{"input":"x', 'the upstream judges it, not we'),
  sent(
    'JSON of another media type',
    CHAT.replace('{model}', 'left-alone'),
    'nothing is looked for in a text',
    ['Content-Type: text/plain'],
  ),
  sent('JSON with parameters in its type', CHAT, 'charset and case', [
    'content-type: Application/JSON; charset="utf-8"',
  ]),
  sent('JSON of a vendor’s type', CHAT.replace('{model}', 'qwen2.5-7b-instruct'), 'ends in +json', [
    'Content-Type: application/vnd.api+json',
  ]),
  sent('JSON whose length header stands elsewhere', CHAT, 'it stays in its place and case', [
    'content-LENGTH: {length}',
    JSON_TYPE,
    'X-After: 1',
  ]),
  sent(
    'chunked JSON',
    { chunks: ['{"mod', 'el":"{model}","a":', '1}'] },
    'the length is unknown and stays so',
  ),
  sent(
    'chunked JSON in chunks of one byte',
    { chunks: ['{', '"', 'm', 'o', 'd', 'e', 'l', '"', ':', '"{model}"', '}'] },
    'the name is cut everywhere',
  ),
  sent(
    'chunked JSON with odd framing headers',
    { chunks: ['{"model":"{model}"}'] },
    'their case and place stay',
    ['TRANSFER-encoding: chunked', JSON_TYPE, 'X-After: 1'],
  ),
  sent(
    'chunk extensions',
    { chunks: ['{"model":"{model}"}', ' '], extension: ';a=b;c="d e"' },
    'RFC 9112 §7.1.1: of the connection, ignored',
  ),
  sent(
    'trailers',
    { chunks: ['{"model":"{model}"}'], trailers: ['X-Sum: 1', 'x-sum: 2', 'X-Empty:', 'X-L: \xfc'] },
    'behind the body, in order',
    ['Trailer: X-Sum', JSON_TYPE],
  ),
  sent(
    'trailers that have no place there',
    { chunks: ['x'], trailers: ['Host: evil', 'X-A: 1', 'Connection: X-A'] },
    'RFC 9110 §6.5.1',
    [BINARY_TYPE],
  ),
  sent('an empty chunked body', { chunks: [] }, 'is not the same as no body'),
  sent(
    'an empty chunked body with trailers',
    { chunks: [], trailers: ['X-A: 1'] },
    'the trailers must not be lost',
    [BINARY_TYPE],
  ),
  sent('a chunked binary body', { chunks: [ALL_BYTES, ALL_BYTES.subarray(0, 1), ALL_BYTES] }, 'no text', [
    BINARY_TYPE,
  ]),
  sent('an empty body with a length', '', 'POST with Content-Length: 0 (LiteLLM #29926)'),
  {
    name: 'a POST without a body',
    why: 'no Content-Length is invented',
    request: { method: 'POST', path: '/v1/sleep-like' },
  },
  {
    name: 'a GET with a body',
    why: 'rare and legal',
    request: {
      method: 'GET',
      path: '/v1/search',
      fields: [JSON_TYPE],
      body: '{"model":"{model}","query":"x"}',
    },
  },
  {
    name: 'a DELETE with a body',
    why: 'rare and legal',
    request: { method: 'DELETE', path: '/v1/things', fields: [JSON_TYPE], body: '["a","b"]' },
  },
  {
    name: 'an OPTIONS with a body',
    why: 'rare and legal',
    request: { method: 'OPTIONS', path: '/v1/things', fields: [BINARY_TYPE], body: ALL_BYTES },
  },
  {
    name: 'a HEAD with a body',
    why: 'rare and legal',
    request: { method: 'HEAD', path: '/v1/things', fields: [BINARY_TYPE], body: 'x' },
    answer: ['HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n'],
  },
  sent('every byte there is', ALL_BYTES, 'no text', [BINARY_TYPE]),
  sent('every byte there is, without a type', ALL_BYTES, 'no type is guessed', []),
  sent(
    'what claims to be UTF-8 and isn’t',
    Buffer.from('{"model":"qwen2.5-7b-instruct","x":"\xff\xfe\xc3"}', 'latin1'),
    'decoding would put U+FFFD in',
    ['Content-Type: text/plain; charset=utf-8'],
  ),
  sent(
    'invalid UTF-8 in JSON',
    Buffer.from('{"x":"\xff\xfe\xc3","y":1}', 'latin1'),
    'decoding would put U+FFFD in',
  ),
  sent('a compressed body', gzipSync(ALL_BYTES), 'stays compressed', [BINARY_TYPE, 'Content-Encoding: gzip']),
  {
    ...sent('compressed JSON', gzipSync(CHAT), 'an operator’s route looks into no body', [
      JSON_TYPE,
      'Content-Encoding: gzip',
    ]),
    not: { provider: '415: the model can’t be found in it', v1: '415: the model can’t be found in it' },
  },
  sent('a multipart form', FORM, 'the model is one of its fields', [FORM_TYPE]),
  sent(
    'a chunked multipart form',
    { chunks: [FORM.slice(0, 250), FORM.slice(250, 260), FORM.slice(260)] },
    'cut in the middle of a boundary',
    [FORM_TYPE],
  ),
  sent('a multipart form with a quoted boundary', FORM.replaceAll(BOUNDARY, "a b:c'd"), 'RFC 2046 §5.1.1', [
    `Content-Type: multipart/form-data; boundary="a b:c'd"; charset=utf-8`,
  ]),
  sent(
    'a multipart form without a model',
    FORM.replace('"model"', '"other"').replace('{model}', 'x'),
    'goes where a request without a body would',
    [FORM_TYPE],
  ),
  sent(
    'a multipart body that is no form',
    FORM.replace('{model}', 'left-alone'),
    'only form-data has fields',
    [`Content-Type: multipart/mixed; boundary=${BOUNDARY}`],
  ),
  sent('a form of the old kind', 'model=a&b=%2F+&&=', 'nothing is looked for in it', [
    'Content-Type: application/x-www-form-urlencoded',
  ]),
  sent('NDJSON', '{"model":"a"}\n{"model":"b"}\n\n', 'many values, none of them the request’s', [
    'Content-Type: application/x-ndjson',
  ]),
  ...[1, 16_383, 16_384, 16_385, 65_535, 65_536, 65_537, 262_145].map(sized),
  {
    name: 'a body that arrives byte by byte',
    why: 'the model’s name is cut everywhere',
    request: { path: '/v1/chat/completions', fields: [JSON_TYPE], body: CHAT, cut: 1 },
  },
  {
    name: 'a chunked body that arrives in sevens',
    why: 'chunk sizes are cut everywhere',
    request: {
      path: '/v1/chat/completions',
      fields: [JSON_TYPE],
      body: { chunks: [CHAT, ' ', '\n'], trailers: ['X-A: 1'] },
      cut: 7,
    },
  },
  {
    name: 'a client that waits for 100 Continue',
    why: 'curl does with large bodies',
    request: { path: '/v1/chat/completions', fields: [JSON_TYPE, 'Expect: 100-continue'], body: CHAT },
  },
  {
    name: 'an expectation that nobody knows',
    why: 'RFC 9110 §10.1.1 lets it pass; nothing of it goes on',
    request: { path: '/v1/files', fields: ['Expect: 200-maybe', BINARY_TYPE], body: 'x' },
  },
  {
    name: 'a chunked upload that waits for 100 Continue',
    why: 'curl -T - does',
    request: {
      method: 'PUT',
      path: '/v1/files',
      fields: ['expect: 100-Continue', BINARY_TYPE],
      body: { chunks: [ALL_BYTES, 'x'] },
    },
  },
];
