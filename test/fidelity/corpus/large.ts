import type { Exchange } from '../exchange.ts';

const TEN_MB = 10 * 1024 * 1024;

/** Bytes without a pattern that a shifted or repeated piece could hide in; the same in every run. */
function noise(seed: number): Buffer {
  const bytes = Buffer.allocUnsafe(TEN_MB);
  let state = seed;
  for (let i = 0; i < bytes.length; i += 4) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    bytes.writeInt32LE(state, i);
  }
  return bytes;
}

const up = noise(1);
const down = noise(2);

const pieces = (bytes: Buffer, size: number): Buffer[] =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size));

const chunk = (bytes: Buffer): Buffer =>
  Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]);

const TYPE = 'Content-Type: application/octet-stream';

/** 10 MB each way. */
export const LARGE: readonly Exchange[] = [
  {
    name: '10 MB each way with lengths',
    why: 'far more than any buffer on the way',
    request: { path: '/v1/files', fields: [TYPE], body: up },
    answer: [`HTTP/1.1 200 OK\r\nContent-Length: ${TEN_MB}\r\n\r\n`, ...pieces(down, 300_000)],
  },
  {
    name: '10 MB each way in chunks',
    why: 'far more than any buffer on the way',
    request: { path: '/v1/files', fields: [TYPE], body: { chunks: pieces(up, 777_777) } },
    answer: [
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
      ...pieces(down, 999_999).map(chunk),
      '0\r\n\r\n',
    ],
  },
  {
    name: 'a model in front of 10 MB of JSON',
    why: 'once it is found the rest must flow, with the length corrected',
    request: {
      path: '/v1/chat/completions',
      fields: ['Content-Type: application/json'],
      body: `{"model":"{model}","audio":"${up.toString('base64').slice(0, 9_000_000)}"}`,
    },
  },
  {
    name: 'a model behind 10 MB of JSON',
    why: 'all of it is held until then',
    request: {
      path: '/v1/chat/completions',
      fields: ['Content-Type: application/json'],
      body: `{"audio":"${up.toString('base64').slice(0, 9_000_000)}","model":"{model}"}`,
    },
  },
];
