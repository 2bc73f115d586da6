import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { ask, errorOf, open, PROTOCOLS } from '../helpers/ask.ts';
import { startTestGateway } from '../helpers/gateway.ts';
import { rawClient } from '../helpers/raw-client.ts';
import { startUpstream, type UpstreamExchange } from '../helpers/scripted-upstream.ts';

const JSON_TYPE = ['Content-Type', 'application/json'];

/** Sends the request's body back, chunk by chunk. */
function echo(exchange: UpstreamExchange): void {
  exchange.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
  const { body } = exchange;
  for (let at = 0; at < body.length; at += 5_003) {
    const piece = body.subarray(at, at + 5_003);
    exchange.send(
      Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')]),
    );
  }
  exchange.send('0\r\n\r\n');
}

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test('a redirect is passed to the client, never followed', async () => {
    const elsewhere = await startUpstream();
    const upstream = await startUpstream(
      `HTTP/1.1 307 Temporary Redirect\r\nLocation: ${elsewhere.url}/x\r\nContent-Length: 0\r\n\r\n`,
    );
    const { port } = await startTestGateway('general_settings: {}', {
      env: { HOSTED_VLLM_API_BASE: upstream.url },
    });
    const answer = await ask(protocol, port, { path: '/vllm/sleep' });
    expect([answer.status, answer.header('location')]).toEqual([307, `${elsewhere.url}/x`]);
    expect(elsewhere.connections).toBe(0);
  });

  test('no body can say where a request goes, with which key (CVE-2024-6587)', async () => {
    const evil = await startUpstream();
    const upstream = await startUpstream();
    const env = { HOSTED_VLLM_API_BASE: upstream.url, HOSTED_VLLM_API_KEY: 'sk-up' };
    const { port } = await startTestGateway('general_settings: {}', { env });
    const body = `{"model":"m","api_base":"${evil.url}","base_url":"${evil.url}","custom_llm_provider":"openai"}`;
    const headers = [...JSON_TYPE, 'x-api-base', evil.url, 'Host', new URL(evil.url).host];
    for (const path of [
      '/v1/x',
      `/vllm/x?api_base=${evil.url}`,
      `/vllm/${evil.url}/x`,
      `/vllm//${new URL(evil.url).host}/x`,
    ])
      expect((await ask(protocol, port, { method: 'POST', path, headers, body })).status).toBe(200);
    expect([upstream.exchanges.length, evil.connections]).toEqual([4, 0]);
    expect(upstream.exchanges[0]?.body.toString()).toBe(body);
  });

  test.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty'])(
    '%s is a name like any other',
    async (name) => {
      const upstream = await startUpstream(`HTTP/1.1 200 OK\r\n${name}: 1\r\nContent-Length: 2\r\n\r\nok`);
      const list = `model_list: [{model_name: m, litellm_params: {model: hosted_vllm/m, api_base: "${upstream.url}"}}]`;
      const { port } = await startTestGateway(list);
      const unknown = await ask(protocol, port, {
        method: 'POST',
        path: '/v1/x',
        headers: JSON_TYPE,
        body: `{"model":"${name}"}`,
      });
      expect([unknown.status, errorOf(unknown).code]).toEqual([404, 'model_not_found']);
      for (const path of [`/${name}/x`, `/${name}`])
        expect((await ask(protocol, port, { path })).status).toBe(404);
      const body = `{"${name}":{"model":1},"model":"m"}`;
      const headers = [...JSON_TYPE, name, 'x', 'Cookie', `${name}=1`];
      const answer = await ask(protocol, port, { method: 'POST', path: `/v1/x?${name}=1`, headers, body });
      expect([answer.status, answer.header(name.toLowerCase())]).toEqual([200, '1']);
      const [seen] = upstream.exchanges;
      expect([seen?.header(name.toLowerCase()), seen?.target]).toEqual(['x', `/v1/x?${name}=1`]);
      expect(seen?.body.toString()).toBe(body);
    },
  );

  test('no two exchanges ever share a byte', async () => {
    const upstream = await startUpstream(echo);
    const { port } = await startTestGateway('general_settings: {}', {
      env: { HOSTED_VLLM_API_BASE: upstream.url },
    });
    const bodies = Array.from({ length: 60 }, (_, i) => randomBytes(1 + ((i * 7919) % 100_000)));
    const headers = ['Content-Type', 'application/octet-stream'];
    const answers = await Promise.all(
      bodies.map((body) => ask(protocol, port, { method: 'POST', path: '/vllm/x', headers, body })),
    );
    for (const [i, answer] of answers.entries())
      expect([i, answer.whole, answer.body.equals(bodies[i] as Buffer)]).toEqual([i, true, true]);
  });

  test('an upstream that answers and hangs up in the middle of an upload is heard', async () => {
    const upstream = await startUpstream(
      (exchange) => exchange.end('HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno'),
      {
        runs: 'at the head',
      },
    );
    const { port } = await startTestGateway('general_settings: {}', {
      env: { HOSTED_VLLM_API_BASE: upstream.url },
    });
    const headers = ['Content-Type', 'application/octet-stream'];
    const live = open(protocol, port, { method: 'POST', path: '/vllm/x', headers, body: ['x'] });
    const answer = await live.answer();
    expect([answer.status, answer.body.toString(), answer.whole]).toEqual([401, 'no', true]);
  });

  test('a failure of one exchange leaves the gateway serving', async () => {
    const upstream = await startUpstream((exchange) => {
      if (exchange.target === '/good') exchange.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      else exchange.end(Buffer.concat([Buffer.from('HTTP/1.1 200 OK\r\nA: '), randomBytes(300)]));
    });
    const { port } = await startTestGateway('general_settings: {}', {
      env: { HOSTED_VLLM_API_BASE: upstream.url },
    });
    for (let i = 0; i < 20; i++) {
      expect((await ask(protocol, port, { path: '/vllm/bad' })).status).toBe(502);
      expect((await ask(protocol, port, { path: '/vllm/good' })).status).toBe(200);
    }
  });
});

test('a request is never answered with what another one was meant to get', async () => {
  const upstream = await startUpstream((exchange) => {
    const body = exchange.body.toString();
    exchange.send(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  });
  const { port } = await startTestGateway('general_settings: {}', {
    env: { HOSTED_VLLM_API_BASE: upstream.url },
  });
  const client = await rawClient(port);
  const smuggled = 'GET /vllm/smuggled HTTP/1.1\r\nHost: x\r\n\r\n';
  for (let i = 0; i < 5; i++) {
    const body = `${i}${smuggled}`;
    client.send(`POST /vllm/x HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    await client.until(`\r\n\r\n${body}`);
  }
  expect(upstream.exchanges.map(({ target }) => target)).toEqual(['/x', '/x', '/x', '/x', '/x']);
});
