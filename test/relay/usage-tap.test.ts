import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import type { Usage } from '../../src/relay/usage.ts';
import { createUsageTap } from '../../src/relay/usage-tap.ts';

function read(headers: readonly string[], pieces: readonly Buffer[]): Promise<Usage | null> {
  const tap = createUsageTap(headers, () => 400);
  if (tap === null) throw new Error('nothing is read of this');
  for (const piece of pieces) tap.scan(piece);
  return new Promise((resolve) => tap.end(resolve));
}

const JSON_TYPE = ['Content-Type', 'application/json; charset=utf-8'];
const SSE_TYPE = ['content-type', 'text/event-stream'];
const TOLD = { cachedTokens: 0, cacheWrittenTokens: 0, told: true };

const ANSWER = Buffer.from(
  '{"choices":[{"text":"usage"}],"usage":{"prompt_tokens":3,"completion_tokens":4}}',
);
const ANSWER_USAGE = { ...TOLD, promptTokens: 3, completionTokens: 4 };

const STREAM = Buffer.from(
  [
    'data: {"choices":[{"delta":{"content":"Hé"}}],"usage":null}',
    '',
    ': a comment',
    'data: {"choices":[{"delta":{"content":"data: {\\"usage\\":{\\"total_tokens\\":99}}"}}]}',
    '',
    'event: last',
    'data:{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}',
    '',
    'data: [DONE]',
    '',
    '',
  ].join('\n'),
);

describe('reads tokens', () => {
  test('of a JSON answer, wherever it is cut', async () => {
    for (let cut = 0; cut <= ANSWER.length; cut++) {
      expect(await read(JSON_TYPE, [ANSWER.subarray(0, cut), ANSWER.subarray(cut)])).toEqual(ANSWER_USAGE);
    }
  });

  test('of a stream, wherever it is cut', async () => {
    for (let cut = 0; cut <= STREAM.length; cut++) {
      expect(await read(SSE_TYPE, [STREAM.subarray(0, cut), STREAM.subarray(cut)])).toEqual(ANSWER_USAGE);
    }
  });

  test.each(['\r\n', '\r'])('of a stream whose lines end in %j', async (end) => {
    const stream = Buffer.from(STREAM.toString().replaceAll('\n', end));
    expect(await read(SSE_TYPE, [stream])).toEqual(ANSWER_USAGE);
  });

  test('of a stream whose last line has no end', async () => {
    expect(await read(SSE_TYPE, [STREAM.subarray(0, STREAM.indexOf('\n\ndata: [DONE]'))])).toEqual(
      ANSWER_USAGE,
    );
  });

  test.each([
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
    ['zstd', zstdCompressSync],
  ] as const)('of an answer in %s', async (encoding, compress) => {
    const bytes = compress(ANSWER);
    const pieces = Array.from(bytes, (_, i) => bytes.subarray(i, i + 1));
    expect(await read([...JSON_TYPE, 'Content-Encoding', encoding], pieces)).toEqual(ANSWER_USAGE);
  });

  test('of a compressed stream that breaks off, as far as it came', async () => {
    const bytes = gzipSync(STREAM);
    const headers = [...SSE_TYPE, 'content-encoding', 'gzip'];
    expect(await read(headers, [bytes.subarray(0, bytes.length - 9)])).toEqual(ANSWER_USAGE);
    expect(await read(headers, [Buffer.from('no gzip at all')])).toBeNull();
  });
});

describe('guesses', () => {
  test('an event a token, and four bytes of the request', async () => {
    const events = 'data: {"choices":[{"delta":{"content":"x"}}]}\n\n'.repeat(7);
    expect(await read(SSE_TYPE, [Buffer.from(`${events}data: [DONE]\n\n`)])).toEqual({
      promptTokens: 100,
      completionTokens: 7,
      cachedTokens: 0,
      cacheWrittenTokens: 0,
      told: false,
    });
  });

  test('nothing of a stream without events, nor of JSON without usage', async () => {
    expect(await read(SSE_TYPE, [Buffer.from(': ping\n\n')])).toBeNull();
    expect(await read(JSON_TYPE, [Buffer.from('{"data":[]}')])).toBeNull();
  });
});

test.each([[['content-type', 'audio/mpeg']], [[]], [[...JSON_TYPE, 'content-encoding', 'a-new-one']]])(
  'reads nothing of %j',
  (headers) => {
    expect(createUsageTap(headers, () => 0)).toBeNull();
  },
);

test('is linear in lines, however they end', () => {
  const startedAt = process.cpuUsage();
  const tap = createUsageTap(SSE_TYPE, () => 0);
  tap?.scan(Buffer.alloc(4_000_000, '\r'));
  tap?.scan(Buffer.alloc(4_000_000, '\n'));
  const { user } = process.cpuUsage(startedAt);
  expect(user / 1000).toBeLessThan(2_000);
});
