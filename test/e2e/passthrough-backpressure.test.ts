import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { ask, errorOf, open, PROTOCOLS, type Protocol } from '../helpers/ask.ts';
import { startTestGateway, type TestGateway } from '../helpers/gateway.ts';
import { type ScriptedUpstream, startUpstream, type UpstreamExchange } from '../helpers/scripted-upstream.ts';

const TOTAL = 48 * 1024 * 1024;
/** Kernel buffers of both hops (tcp_rmem and tcp_wmem grow to 6 and 4 MiB), and what the gateway may hold. */
const HELD_AT_MOST = 24 * 1024 * 1024;
const PIECE = Buffer.alloc(64 * 1024, 'abcdefgh');

/** Writes as fast as it is taken; returns how much has been written so far. */
function pour(exchange: UpstreamExchange): () => number {
  const { socket } = exchange;
  let written = 0;
  const more = (): void => {
    while (written < TOTAL) {
      written += PIECE.length;
      if (!socket.write(PIECE)) return;
    }
  };
  socket.on('drain', more);
  more();
  return () => written - socket.writableLength;
}

/** Lets the house do what it does: so many exchanges, one after the other, on the same loop. */
async function pass(protocol: Protocol, port: number, exchanges = 40): Promise<void> {
  for (let i = 0; i < exchanges; i++) await ask(protocol, port, { path: '/other/x' });
}

async function house(timeouts = ''): Promise<TestGateway & { readonly upstream: ScriptedUpstream }> {
  const [upstream, other] = await Promise.all([
    startUpstream(() => {}, { runs: 'at the head' }),
    startUpstream(),
  ]);
  const gateway = await startTestGateway(`
model_list: [{model_name: m, litellm_params: {model: hosted_vllm/m, api_base: "${upstream.url}"${timeouts}}}]
general_settings: {pass_through_endpoints: [{path: /other, target: "${other.url}"}]}
`);
  return { ...gateway, upstream };
}

function sha(bytes: Buffer): string {
  return createHash('sha1').update(bytes).digest('hex');
}

const WHOLE = sha(Buffer.alloc(TOTAL, 'abcdefgh'));

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test.each([
    ['with a length', `Content-Length: ${TOTAL}\r\n`],
    ['until the connection closes', ''],
  ])('a slow reader makes the upstream wait, and gets every byte: %s', async (_, framing) => {
    const { port, upstream } = await house();
    const live = open(protocol, port, { path: '/vllm/x' });
    const seen = await upstream.next();
    seen.send(`HTTP/1.1 200 OK\r\n${framing}\r\n`);
    await live.head();
    live.pause();
    const written = pour(seen);
    await pass(protocol, port);
    expect(written()).toBeLessThan(HELD_AT_MOST);
    expect(live.bodyBytes).toBeLessThan(TOTAL);
    live.resume();
    await live.received(TOTAL);
    if (framing === '') seen.end();
    const answer = await live.answer();
    expect([answer.whole, sha(answer.body)]).toEqual([true, WHOLE]);
  });

  test('a slow upstream makes the client wait, and gets every byte', async () => {
    const { port, upstream } = await house();
    const headers = ['Content-Type', 'application/octet-stream'];
    const live = open(protocol, port, { method: 'POST', path: '/vllm/x', headers, body: ['start'] });
    const seen = await upstream.next();
    await seen.until(() => seen.bodyBytes === 5);
    seen.socket.pause();
    for (let sent = 0; sent < TOTAL; sent += PIECE.length) live.write(PIECE);
    live.end();
    await pass(protocol, port);
    expect(TOTAL - live.unsentBytes).toBeLessThan(HELD_AT_MOST);
    seen.socket.resume();
    await seen.until(() => seen.complete);
    expect(sha(seen.body.subarray(5))).toBe(WHOLE);
    seen.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    expect((await live.answer()).status).toBe(200);
  });

  test('a client that leaves while it does not read stops the upstream', async () => {
    const { port, upstream } = await house();
    const live = open(protocol, port, { path: '/vllm/x' });
    const seen = await upstream.next();
    seen.send('HTTP/1.1 200 OK\r\n\r\n');
    await live.head();
    live.pause();
    pour(seen);
    await pass(protocol, port, 10);
    live.vanish();
    await seen.closed();
  });

  test('an upstream that stops reading is given up in time, though the client would go on', async () => {
    const { port, upstream, line, gateway } = await house(', timeout: 0.2, stream_timeout: 0.2');
    const headers = ['Content-Type', 'application/octet-stream', 'x-sluice-model', 'm'];
    const live = open(protocol, port, { method: 'POST', path: '/vllm/x', headers, body: ['start'] });
    const seen = await upstream.next();
    seen.socket.pause();
    for (let sent = 0; sent < TOTAL; sent += PIECE.length) live.write(PIECE);
    const answer = await live.answer();
    expect([answer.status, errorOf(answer).code]).toEqual([504, 'upstream_timeout']);
    expect(await line(({ status }) => status === 504)).toMatchObject({ outcome: 'upstream_failed' });
    expect([...gateway.outstanding.values()]).toEqual([0]);
    seen.socket.resume();
    await seen.closed();
    expect(seen.complete).toBe(false);
  });
});

// Over HTTP/1.1 a client's leaving stands behind the bytes that are not read; a stream's reset doesn't.
test('over HTTP/2 a client that leaves while the upstream does not read stops the upstream', async () => {
  const { port, upstream, line } = await house();
  const headers = ['Content-Type', 'application/octet-stream', 'x-sluice-model', 'm'];
  const live = open('HTTP/2', port, { method: 'POST', path: '/vllm/x', headers, body: ['start'] });
  const seen = await upstream.next();
  seen.socket.pause();
  for (let sent = 0; sent < TOTAL; sent += PIECE.length) live.write(PIECE);
  await pass('HTTP/2', port, 10);
  live.vanish();
  await line(({ outcome }) => outcome === 'client_left');
  seen.socket.resume();
  await seen.closed();
  expect(seen.complete).toBe(false);
});
