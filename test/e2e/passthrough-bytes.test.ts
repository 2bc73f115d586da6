import { describe, expect, test } from 'vitest';
import { type Answer, ask, PROTOCOLS } from '../helpers/ask.ts';
import { startTestGateway } from '../helpers/gateway.ts';
import { startUpstream } from '../helpers/scripted-upstream.ts';

/** Where in a response a byte may stand. */
const PLACES: Readonly<Record<string, (byte: string) => string>> = {
  'the reason': (byte) => `HTTP/1.1 200 A${byte}B\r\nContent-Length: 2\r\n\r\nok`,
  'a header name': (byte) => `HTTP/1.1 200 OK\r\nX${byte}Y: 1\r\nContent-Length: 2\r\n\r\nok`,
  'a header value': (byte) => `HTTP/1.1 200 OK\r\nX-A: a${byte}b\r\nContent-Length: 2\r\n\r\nok`,
  'a header value of its own': (byte) => `HTTP/1.1 200 OK\r\nX-A: ${byte}\r\nContent-Length: 2\r\n\r\nok`,
  'a trailer name': (byte) =>
    `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX${byte}Y: 1\r\n\r\n`,
  'a trailer value': (byte) =>
    `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: a${byte}b\r\n\r\n`,
  'an early hint': (byte) =>
    `HTTP/1.1 103 E${byte}\r\nX${byte}: ${byte}\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok`,
};

/** Names that mean something to a protocol, sent as headers, trailers and hints alike. */
const NAMES = [
  ...[
    'connection',
    'keep-alive',
    'proxy-connection',
    'transfer-encodin',
    'http2-settings',
    'upgrade',
    'te',
    'trailer',
  ],
  ...[
    'host',
    'date',
    'set-cookie',
    'cookie',
    'status',
    'etag',
    'age',
    'location',
    'content-type',
    'retry-after',
  ],
  ...[
    'expect',
    'authorization',
    'x-sluice-request-id',
    '__proto__',
    'constructor',
    'access-control-allow-origin',
  ],
];

describe.each(PROTOCOLS)('over %s', (protocol) => {
  /** Asks once for every script, a few at a time. */
  async function answersTo(scripts: readonly string[]): Promise<readonly Answer[]> {
    const upstream = await startUpstream((exchange) => {
      exchange.end(scripts[Number(exchange.target.slice(1))] ?? '');
    });
    const { port } = await startTestGateway('general_settings: {}', {
      env: { HOSTED_VLLM_API_BASE: upstream.url },
    });
    const answers: Answer[] = [];
    for (let at = 0; at < scripts.length; at += 32) {
      const batch = scripts
        .slice(at, at + 32)
        .map((_, i) => ask(protocol, port, { path: `/vllm/${at + i}` }));
      answers.push(...(await Promise.all(batch)));
    }
    const good = await ask(protocol, port, { path: '/health' });
    expect(good.status).toBe(200);
    return answers;
  }

  test.each(Object.entries(PLACES))(
    'every byte in %s is passed on or refused, and the next request served',
    async (_, script) => {
      const bytes = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code));
      const answers = await answersTo(bytes.map(script));
      for (const [code, { status, body, whole }] of answers.entries()) {
        if (status === 200) expect([code, whole ? body.toString() : 'ok']).toEqual([code, 'ok']);
        else expect([code, status, whole]).toEqual([code, 502, true]);
      }
      const letter = answers[0x61];
      expect([letter?.status, letter?.body.toString(), letter?.whole]).toEqual([200, 'ok', true]);
    },
  );

  test.each([
    ['once', 1],
    ['twice', 2],
  ])('every name in a head, a trailer and a hint, %s', async (_, times) => {
    const lines = (name: string): string => `${name}: 1\r\n`.repeat(times);
    const scripts = NAMES.map(
      (name) =>
        `HTTP/1.1 103 Early Hints\r\n${lines(name)}\r\nHTTP/1.1 200 OK\r\n${lines(name)}Transfer-Encoding: chunked\r\n\r\n` +
        `2\r\nok\r\n0\r\n${lines(name)}\r\n`,
    );
    for (const [i, { status, body, whole }] of (await answersTo(scripts)).entries())
      expect([NAMES[i], status, body.toString(), whole]).toEqual([NAMES[i], 200, 'ok', true]);
  });

  test('every status is passed on or refused', async () => {
    const codes = Array.from({ length: 800 }, (_, i) => i + 200);
    const scripts = codes.map((code) => `HTTP/1.1 ${code} X\r\nContent-Length: 0\r\n\r\n`);
    for (const [i, { status, whole }] of (await answersTo(scripts)).entries()) {
      const code = codes[i] ?? 0;
      const expected = code > 599 && protocol === 'HTTP/2' ? 502 : code;
      expect([code, status, whole]).toEqual([code, expected, true]);
    }
  });
});
