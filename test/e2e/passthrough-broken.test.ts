import { describe, expect, test } from 'vitest';
import { type Answer, ask, errorOf, PROTOCOLS, type Protocol } from '../helpers/ask.ts';
import { startTestGateway, type TestGateway } from '../helpers/gateway.ts';
import { rawClient } from '../helpers/raw-client.ts';
import { startUpstream, type UpstreamExchange } from '../helpers/scripted-upstream.ts';

const BODY = 'data: {"x":1}\n\ndata: [DONE]\n\n';
const HEAD = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n';
const hex = (length: number): string => length.toString(16);
const RESPONSES: Readonly<Record<string, string>> = {
  chunked: `${HEAD}Transfer-Encoding: chunked\r\n\r\nf\r\n${BODY.slice(0, 15)}\r\n${hex(BODY.length - 15)}\r\n${BODY.slice(15)}\r\n0\r\nX-T: 1\r\n\r\n`,
  length: `${HEAD}Content-Length: ${BODY.length}\r\n\r\n${BODY}`,
};
/** No part of any message: neither a line end, nor a chunk's, nor a value. */
const GARBAGE = `\x00\xff${'garbage'.repeat(10)}\n\r\n`;

type Fault = 'end' | 'reset' | 'garbage' | 'stall';

/** Sends the first bytes of a response, as its query says, and then fails as it says. */
function fail(exchange: UpstreamExchange): void {
  const query = new URLSearchParams(exchange.target.split('?')[1]);
  const bytes = (RESPONSES[query.get('kind') ?? ''] ?? '').slice(0, Number(query.get('offset')));
  const fault = query.get('fault') as Fault;
  if (fault === 'end') exchange.end(bytes);
  else if (fault === 'garbage') exchange.send(bytes + GARBAGE);
  else if (fault === 'stall') exchange.send(bytes);
  else if (bytes === '') exchange.reset();
  // In two steps, as a reset takes away what has not been read.
  else exchange.socket.write(Buffer.from(bytes, 'latin1'), () => setImmediate(() => exchange.reset()));
}

async function house(timeouts = ''): Promise<TestGateway> {
  const upstream = await startUpstream(fail);
  return startTestGateway(
    `
model_list:
  - {model_name: m, litellm_params: {model: hosted_vllm/m, api_base: "${upstream.url}"${timeouts}}}
`,
  );
}

/** Asks for the response broken off at every offset, a few dozen at a time. */
async function atEveryOffset(
  protocol: Protocol,
  port: number,
  how: {
    readonly kind: string;
    readonly fault: Fault;
    readonly from?: number;
    readonly to: number;
    readonly atOnce: number;
  },
  judge: (answer: Answer, offset: number) => void,
): Promise<void> {
  const offsets = Array.from({ length: how.to - (how.from ?? 0) }, (_, i) => i + (how.from ?? 0));
  while (offsets.length > 0) {
    const batch = offsets.splice(0, how.atOnce);
    await Promise.all(
      batch.map(async (offset) => {
        const path = `/vllm/x?kind=${how.kind}&fault=${how.fault}&offset=${offset}`;
        judge(await ask(protocol, port, { path }), offset);
      }),
    );
  }
}

describe.each(PROTOCOLS)('over %s', (protocol) => {
  describe.each(Object.entries(RESPONSES))(
    'a broken upstream is a broken response, never a clean end nor an invented [DONE] (Portkey #1797, Bifrost #5546): %s',
    (kind, response) => {
      const headEnd = response.indexOf('\r\n\r\n') + 4;

      const isBroken = (answer: Answer, offset: number, codes: readonly string[]): void => {
        if (answer.status === 200) {
          expect([offset, answer.whole]).toEqual([offset, false]);
          expect(offset).toBeGreaterThanOrEqual(headEnd);
          expect(BODY.startsWith(answer.body.toString())).toBe(true);
        } else {
          expect([offset, answer.whole, answer.status >= 502]).toEqual([offset, true, true]);
          expect(codes).toContain(errorOf(answer).code);
        }
      };

      test.each(['end', 'reset'] as const)('%s at every byte', async (fault) => {
        const { port, gateway } = await house();
        await atEveryOffset(
          protocol,
          port,
          { kind, fault, to: response.length, atOnce: 20 },
          (answer, offset) => isBroken(answer, offset, ['upstream_broken']),
        );
        expect([...gateway.outstanding.values()]).toEqual([0]);
      });

      test('garbage at every byte', async () => {
        const { port, gateway } = await house();
        // Behind the head of a response with a length garbage is its body.
        const to = kind === 'length' ? headEnd : response.length;
        await atEveryOffset(protocol, port, { kind, fault: 'garbage', to, atOnce: 20 }, (answer, offset) => {
          if (answer.status === 200) expect([offset, answer.whole]).toEqual([offset, false]);
          else expect([offset, errorOf(answer).code]).toEqual([offset, 'upstream_broken']);
        });
        expect([...gateway.outstanding.values()]).toEqual([0]);
      });

      test('a stall at every byte', async () => {
        const { port, gateway } = await house(', timeout: 0.1, stream_timeout: 0.1');
        const how = { kind, fault: 'stall', to: response.length, atOnce: response.length } as const;
        await atEveryOffset(protocol, port, how, (answer, offset) =>
          isBroken(answer, offset, ['upstream_timeout']),
        );
        expect([...gateway.outstanding.values()]).toEqual([0]);
      });

      test('and whole at its last byte', async () => {
        const { port } = await house();
        const path = `/vllm/x?kind=${kind}&fault=stall&offset=${response.length}`;
        const answer = await ask(protocol, port, { path });
        expect([answer.status, answer.whole, answer.body.toString()]).toEqual([200, true, BODY]);
      });
    },
  );

  test.each([
    [
      'bytes behind the response',
      `HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nnever`,
    ],
    ['two responses in one', `HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 500 No\r\n\r\n`],
  ])('%s never answer another request', async (_, script) => {
    const upstream = await startUpstream(script);
    const { port } = await startTestGateway('general_settings: {}', {
      env: { HOSTED_VLLM_API_BASE: upstream.url },
    });
    for (let i = 0; i < 3; i++) {
      const answer = await ask(protocol, port, { path: '/vllm/x' });
      expect([answer.status, answer.body.toString()]).toEqual([200, 'ok']);
    }
  });

  test.each([
    ['two lengths', 'Content-Length: 2\r\nContent-Length: 3\r\n\r\nokk'],
    [
      'a length beside chunked',
      'Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
    ],
    ['another coding', 'Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n'],
    ['a bare line feed', 'X: 1\nContent-Length: 2\r\n\r\nok'],
    ['a header without a colon', 'X\r\nContent-Length: 2\r\n\r\nok'],
    ['a folded header', 'X: 1\r\n Y: 2\r\nContent-Length: 2\r\n\r\nok'],
    ['a space before the colon', 'X : 1\r\nContent-Length: 2\r\n\r\nok'],
  ])(
    'a response with %s is 502, whose envelope names the target and neither URL nor key',
    async (_, rest) => {
      const upstream = await startUpstream(`HTTP/1.1 200 OK\r\n${rest}`);
      const env = { HOSTED_VLLM_API_BASE: upstream.url, HOSTED_VLLM_API_KEY: 'sk-upstream-key' };
      const { port } = await startTestGateway('general_settings: {}', { env });
      const answer = await ask(protocol, port, { path: '/vllm/x' });
      expect([answer.status, errorOf(answer).code, errorOf(answer).type]).toEqual([
        502,
        'upstream_broken',
        'api_error',
      ]);
      expect(errorOf(answer).message).toContain('"vllm"');
      expect(answer.body.toString()).not.toMatch(/127\.0\.0\.1|localhost|sk-upstream-key|http:/);
      expect(answer.body.toString()).not.toContain(String(upstream.port));
    },
  );
});

describe('a client of HTTP/1.0', () => {
  test.each([
    ['chunked', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n'],
    ['without a length', 'HTTP/1.1 200 OK\r\n\r\nok'],
  ])(
    'sees a broken response by a reset, as the end of the connection would be its end: %s',
    async (_, bytes) => {
      const upstream = await startUpstream(() => {});
      const { port } = await startTestGateway('general_settings: {}', {
        env: { HOSTED_VLLM_API_BASE: upstream.url },
      });
      const client = await rawClient(port);
      client.send('GET /vllm/x HTTP/1.0\r\nHost: x\r\n\r\n');
      const seen = await upstream.next();
      seen.send(bytes);
      await client.until('ok');
      seen.reset();
      expect((await client.closed()).error).toBe('ECONNRESET');
    },
  );

  test('gets a body without a length until the connection ends', async () => {
    const upstream = await startUpstream(
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
    );
    const { port } = await startTestGateway('general_settings: {}', {
      env: { HOSTED_VLLM_API_BASE: upstream.url },
    });
    const client = await rawClient(port);
    client.send('GET /vllm/x HTTP/1.0\r\nHost: x\r\n\r\n');
    const { bytes, error } = await client.closed();
    expect(bytes.toString()).toMatch(/\r\n\r\nok$/);
    expect([bytes.toString().toLowerCase().includes('transfer-encoding'), error]).toEqual([false, null]);
  });
});

test('over HTTP/1.1 what has come before the break reaches the client, and then the connection closes', async () => {
  const upstream = await startUpstream(() => {});
  const { port } = await startTestGateway('general_settings: {}', {
    env: { HOSTED_VLLM_API_BASE: upstream.url },
  });
  for (const framing of ['Transfer-Encoding: chunked\r\n\r\n186a0\r\n', 'Content-Length: 100000\r\n\r\n']) {
    const client = await rawClient(port);
    client.socket.pause();
    client.send('GET /vllm/x HTTP/1.1\r\nHost: x\r\n\r\n');
    const seen = await upstream.next();
    seen.end(`HTTP/1.1 200 OK\r\n${framing}${'~'.repeat(99_999)}`);
    await seen.closed();
    client.socket.resume();
    const { bytes } = await client.closed();
    expect(bytes.toString().match(/~/g)).toHaveLength(99_999);
    expect(bytes.toString()).not.toContain('\r\n0\r\n\r\n');
  }
});
