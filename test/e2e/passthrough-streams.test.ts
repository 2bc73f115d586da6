import { describe, expect, test } from 'vitest';
import { open, PROTOCOLS } from '../helpers/ask.ts';
import { connectHttp2, openHttp2 } from '../helpers/ask-http2.ts';
import { startTestGateway, type TestGateway } from '../helpers/gateway.ts';
import { type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts';

const STREAM = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
const OCTETS = ['Content-Type', 'application/octet-stream'];

async function house(): Promise<TestGateway & { readonly upstream: ScriptedUpstream }> {
  const upstream = await startUpstream(() => {}, { runs: 'at the head' });
  const gateway = await startTestGateway(
    `general_settings: {pass_through_endpoints: [{path: /r, target: "${upstream.url}"}]}`,
    { env: { HOSTED_VLLM_API_BASE: upstream.url } },
  );
  return { ...gateway, upstream };
}

function chunk(text: string): string {
  return `${text.length.toString(16)}\r\n${text}\r\n`;
}

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test.each(['/vllm/x', '/v1/x', '/r/x'])('both directions of %s flow at once', async (path) => {
    const { port, upstream } = await house();
    const live = open(protocol, port, { method: 'POST', path, headers: OCTETS, body: ['0'] });
    const seen = await upstream.next();
    seen.send(STREAM);
    await live.head();
    for (let i = 1; i < 6; i++) {
      seen.send(chunk(String(i)));
      await live.received(i);
      live.write(String(i));
      await seen.until(() => seen.bodyBytes === i + 1);
    }
    live.end();
    await seen.until(() => seen.complete);
    seen.send('0\r\n\r\n');
    const answer = await live.answer();
    expect([answer.body.toString(), answer.whole, seen.body.toString()]).toEqual(['12345', true, '012345']);
  });

  test('a head is passed on before the first byte of its body', async () => {
    const { port, upstream } = await house();
    for (const framing of ['Transfer-Encoding: chunked', 'Content-Length: 5', 'X: until the end']) {
      const live = open(protocol, port, { path: '/vllm/x' });
      const seen = await upstream.next();
      seen.send(`HTTP/1.1 200 OK\r\n${framing}\r\n\r\n`);
      expect((await live.head()).status).toBe(200);
      live.vanish();
    }
  });

  test('bytes of one chunk reach the client though the chunk is not complete', async () => {
    const { port, upstream } = await house();
    const live = open(protocol, port, { path: '/vllm/x' });
    const seen = await upstream.next();
    seen.send(`${STREAM}ff\r\nbegin`);
    expect((await live.received(5)).toString()).toBe('begin');
    live.vanish();
  });
});

describe('several streams on one HTTP/2 connection', () => {
  test('one is broken, one is given up, and the others come to their end', async () => {
    const { port, upstream, line } = await house();
    const session = connectHttp2(port);
    const lives = [0, 1, 2, 3].map((i) => openHttp2(session, { path: `/vllm/${i}` }));
    await upstream.arrived(4);
    for (const seen of upstream.exchanges) seen.send(STREAM + chunk('a'));
    for (const live of lives) await live.received(1);
    const at = (i: number) => upstream.exchanges.find(({ target }) => target === `/${i}`);
    at(0)?.reset();
    expect((await lives[0]?.answer())?.whole).toBe(false);
    lives[1]?.vanish();
    await line(({ outcome }) => outcome === 'client_left');
    await at(1)?.closed();
    for (const i of [2, 3]) at(i)?.send(`${chunk('b')}0\r\n\r\n`);
    for (const i of [2, 3]) {
      const answer = await lives[i]?.answer();
      expect([answer?.body.toString(), answer?.whole]).toEqual(['ab', true]);
    }
  });

  test('one that is not read does not hold up the others', async () => {
    const { port, upstream } = await house();
    const session = connectHttp2(port);
    const slow = openHttp2(session, { path: '/vllm/slow' });
    const seen = await upstream.next();
    seen.send('HTTP/1.1 200 OK\r\n\r\n');
    await slow.head();
    slow.pause();
    seen.send(Buffer.alloc(5_000_000));
    for (let i = 0; i < 10; i++) {
      const quick = openHttp2(session, { path: '/vllm/quick' });
      const other = await upstream.next();
      other.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      expect((await quick.answer()).body.toString()).toBe('ok');
    }
    expect(slow.bodyBytes).toBeLessThan(5_000_000);
    slow.resume();
    seen.end();
    const answer = await slow.answer();
    expect([answer.body.length, answer.whole]).toEqual([5_000_000, true]);
  });

  test('a connection that ends takes the upstream requests of all its streams along', async () => {
    const { port, upstream } = await house();
    const session = connectHttp2(port);
    for (let i = 0; i < 5; i++) openHttp2(session, { path: '/vllm/x' });
    await upstream.arrived(5);
    session.destroy();
    for (const seen of upstream.exchanges) await seen.closed();
  });
});
