import { type AddressInfo, createServer } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Answer, ask, errorOf, open, PROTOCOLS } from '../helpers/ask.ts';
import { startTestGateway, type TestGateway } from '../helpers/gateway.ts';
import { rawClient } from '../helpers/raw-client.ts';
import { OK, type Script, type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts';

const KEY = 'sk-upstream-key';

/** One deployment `m` and one route `/r` with these settings. */
function gatewayFor(url: string, settings: string, general = ''): Promise<TestGateway> {
  return startTestGateway(`
model_list: [{model_name: m, litellm_params: {model: hosted_vllm/m, api_base: "${url}", api_key: ${KEY}, ${settings}}}]
general_settings:
  pass_through_endpoints: [{path: /r, target: "${url}/t", headers: {x-secret: ${KEY}}, ${settings}}]
  ${general}
`);
}

async function house(
  script: Script,
  settings: string,
): Promise<TestGateway & { upstream: ScriptedUpstream }> {
  const upstream = await startUpstream(script);
  return { ...(await gatewayFor(upstream.url, settings)), upstream };
}

/** Our own error, which names its target and tells nothing else of it. */
function expectEnvelope(answer: Answer, status: number, code: string, name: string): void {
  const error = errorOf(answer);
  expect([answer.status, error.type, error.code, error.param]).toEqual([status, 'api_error', code, null]);
  expect(answer.header('content-type')).toBe('application/json');
  expect(answer.header('x-sluice-request-id')).not.toBeNull();
  expect(answer.header('date')).not.toBeNull();
  expect(error.message).toContain(JSON.stringify(name));
  expect(answer.body.toString()).not.toMatch(/127\.0\.0\.1|localhost|http:|sk-up|ECONN|\d{4,}/);
}

/** A port on which nothing listens. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe.each(PROTOCOLS)('over %s', (protocol) => {
  describe.each([
    ['/vllm/x', 'm#0'],
    ['/v1/x', 'm#0'],
    ['/r', '/r'],
  ])('%s', (path, name) => {
    test('a refused connection is 502', async () => {
      const port = await closedPort();
      const gateway = await gatewayFor(`http://127.0.0.1:${port}`, 'connect_timeout: 5');
      expectEnvelope(await ask(protocol, gateway.port, { path }), 502, 'upstream_unreachable', name);
      const line = await gateway.line(({ msg }) => msg === 'request');
      expect(line).toMatchObject({ outcome: 'upstream_failed', why: 'connect', target: name, status: 502 });
      expect(line.cause).toContain(String(port)); // the operator is told all
    });

    test('a host that is not TLS is 502', async () => {
      const cleartext = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
      await new Promise<void>((resolve) => cleartext.listen(0, '127.0.0.1', resolve));
      onTestFinished(() => void cleartext.close());
      const { port } = cleartext.address() as AddressInfo;
      const gateway = await gatewayFor(`https://127.0.0.1:${port}`, 'connect_timeout: 5');
      expectEnvelope(await ask(protocol, gateway.port, { path }), 502, 'upstream_unreachable', name);
    });

    test('a name that nobody knows is 502', async () => {
      const gateway = await gatewayFor('http://no-such-host.invalid', 'connect_timeout: 5');
      const answer = await ask(protocol, gateway.port, { path });
      expectEnvelope(answer, 502, 'upstream_unreachable', name);
      expect(answer.body.toString()).not.toContain('no-such-host');
    });

    test('no answer in `timeout` is 504, and the upstream is stopped', async () => {
      const { port, upstream, gateway, line } = await house(() => {}, 'timeout: 0.1');
      expectEnvelope(await ask(protocol, port, { path }), 504, 'upstream_timeout', name);
      await upstream.exchanges[0]?.closed();
      expect(await line(({ msg }) => msg === 'request')).toMatchObject({ why: 'first_byte_timeout' });
      expect([...gateway.outstanding.values()]).toEqual([0]);
    });

    test('half a head in `stream_timeout` is 504', async () => {
      const { port, upstream } = await house('HTTP/1.1 200 OK\r\nX-A', 'stream_timeout: 0.1');
      expectEnvelope(await ask(protocol, port, { path }), 504, 'upstream_timeout', name);
      await upstream.exchanges[0]?.closed();
    });

    test('silence for `stream_timeout` in a body breaks the response', async () => {
      const script = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n';
      const { port, line, upstream } = await house(script, 'stream_timeout: 0.1');
      const answer = await ask(protocol, port, { path });
      expect([answer.status, answer.body.toString(), answer.whole]).toEqual([200, 'hi', false]);
      await upstream.exchanges[0]?.closed();
      expect(await line(({ msg }) => msg === 'request')).toMatchObject({
        ...{ status: 200, outcome: 'upstream_failed', why: 'idle_timeout' },
      });
    });
  });

  test('neither limits how long a stream may take', async () => {
    const { port, upstream } = await house(() => {}, 'timeout: 0.8, stream_timeout: 0.8');
    const live = open(protocol, port, { path: '/v1/x' });
    const seen = await upstream.next();
    seen.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
    const began = performance.now();
    const ticking = setInterval(() => seen.send('1\r\n.\r\n'), 80);
    onTestFinished(() => clearInterval(ticking));
    await live.received(15);
    expect(performance.now() - began).toBeGreaterThan(1_000);
    clearInterval(ticking);
    seen.send('0\r\n\r\n');
    expect((await live.answer()).whole).toBe(true);
  });

  test('a connection that is not made in `connect_timeout` is 504', async () => {
    // RFC 5737: nobody has this address; where the network says so at once it is 502.
    const gateway = await gatewayFor('http://192.0.2.1:9', 'connect_timeout: 0.1');
    const answer = await ask(protocol, gateway.port, { path: '/vllm/x' });
    expect([502, 504]).toContain(answer.status);
    expect(errorOf(answer).message).not.toContain('192.0.2.1');
  });

  test('pass_through_request_timeout is the timeout of routes and of targets without a model', async () => {
    const upstream = await startUpstream(() => {});
    const { port } = await startTestGateway(
      `
general_settings:
  pass_through_request_timeout: 0.1
  pass_through_endpoints: [{path: /r, target: "${upstream.url}/t"}]
`,
      { env: { HOSTED_VLLM_API_BASE: upstream.url } },
    );
    for (const path of ['/r', '/vllm/x']) expect((await ask(protocol, port, { path })).status).toBe(504);
  });

  test.each(['/vllm/x', '/v1/x', '/r'])(
    'a client that stops sending its body to %s is 408, and the upstream is stopped',
    async (path) => {
      const upstream = await startUpstream(() => {});
      const { port, line } = await gatewayFor(upstream.url, 'timeout: 5', 'body_timeout: 0.1');
      const headers = ['Content-Type', 'application/json'];
      const live = open(protocol, port, { method: 'POST', path, headers, body: ['{"model":"m","x":'] });
      const seen = await upstream.next();
      const answer = await live.answer();
      expect([answer.status, errorOf(answer).code]).toEqual([408, 'request_timeout']);
      await seen.closed();
      expect(await line(({ msg }) => msg === 'request')).toMatchObject({
        outcome: 'refused',
        why: 'request_timeout',
      });
    },
  );
});

test('a request body that never begins is 408 on a connection that is then closed', async () => {
  const upstream = await startUpstream();
  const { port } = await gatewayFor(upstream.url, 'timeout: 5', 'body_timeout: 0.1');
  const client = await rawClient(port);
  client.send('POST /vllm/x HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n');
  const { bytes } = await client.closed();
  expect(bytes.toString()).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\n/);
  expect(bytes.toString()).toMatch(/\r\nConnection: close\r\n/i);
  expect(upstream.connections).toBe(0);
});

test('a short body that comes late keeps its connection', async () => {
  const upstream = await startUpstream();
  const { port } = await gatewayFor(upstream.url, 'timeout: 5', 'body_timeout: 5');
  const client = await rawClient(port);
  client.send('POST /nope HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nx');
  await client.until('path_not_found');
  client.send('123456789GET /r HTTP/1.1\r\nHost: x\r\n\r\n');
  await client.until('\r\n\r\nok');
});

test.each(['/nope', '/r'])(
  'a body that never comes holds no HTTP/2 stream that has its answer: %s',
  async (path) => {
    const upstream = await startUpstream(OK, { runs: 'at the head' });
    const { port } = await gatewayFor(upstream.url, 'timeout: 5');
    const headers = ['Content-Length', '10'];
    const live = open('HTTP/2', port, { method: 'POST', path, headers, body: ['x'] });
    const answer = await live.answer();
    expect([answer.status, answer.whole]).toEqual([path === '/r' ? 200 : 404, true]);
  },
);
