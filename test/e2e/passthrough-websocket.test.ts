import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { PROTOCOLS, type Protocol } from '../helpers/ask.ts';
import { startTestGateway, type TestGateway } from '../helpers/gateway.ts';
import { rawClient } from '../helpers/raw-client.ts';
import { type ScriptedUpstream, startUpstream, type UpstreamExchange } from '../helpers/scripted-upstream.ts';
import {
  acceptWebSocket,
  closeFrame,
  frame,
  type Handshake,
  type HandshakeOptions,
  Opcode,
  openWebSocket,
  type WebSocketEnd,
} from '../helpers/websocket.ts';

const KEY = 'sk-master';

interface House extends TestGateway {
  readonly upstream: ScriptedUpstream;
}

async function house(general = ''): Promise<House> {
  const upstream = await startUpstream(() => {});
  const gateway = await startTestGateway(`
model_list:
  - {model_name: m, litellm_params: {model: hosted_vllm/org/m, api_base: "${upstream.url}/v1", api_key: sk-up}}
general_settings:
  pass_through_endpoints: [{path: /r, target: "${upstream.url}/base", include_subpath: true, headers: {X-Own: "1"}}]
  ${general}
`);
  return { ...gateway, upstream };
}

interface Pair {
  readonly client: WebSocketEnd;
  readonly server: WebSocketEnd;
  readonly handshake: Handshake;
  readonly seen: UpstreamExchange;
}

/** A websocket all the way through. */
async function connected(
  protocol: Protocol,
  { port, upstream }: House,
  options: HandshakeOptions & { readonly answer?: string; readonly first?: Buffer },
): Promise<Pair> {
  const asking = openWebSocket(protocol, port, options);
  const seen = await upstream.next();
  const server = acceptWebSocket(seen, options.answer, options.first);
  const handshake = await asking;
  if (handshake.end === null) throw new Error(`declined with ${handshake.status}`);
  return { client: handshake.end, server, handshake, seen };
}

const PATHS = ['/vllm/v1/realtime', '/v1/realtime', '/r/v1/realtime'];

describe.each(PROTOCOLS)('over %s', (protocol) => {
  const status = protocol === 'HTTP/1.1' ? 101 : 200;

  test.each(PATHS)('relays frames on %s, both ways, byte for byte', async (path) => {
    const own = await house();
    const { client, server, handshake } = await connected(protocol, own, { path });
    expect([handshake.status, handshake.header('x-sluice-request-id') !== null]).toEqual([status, true]);
    const fromClient = [
      frame(Opcode.text, 'hé', { masked: true }),
      frame(Opcode.binary, Buffer.from([0, 255, 13, 10]), { masked: true }),
      frame(Opcode.text, 'frag', { masked: true, fin: false }),
      frame(Opcode.ping, 'in between', { masked: true }),
      frame(Opcode.continuation, 'ment', { masked: true }),
      frame(Opcode.text, '', { masked: true }),
    ];
    for (const each of fromClient) client.send(each);
    await server.frame(fromClient.length - 1);
    expect(server.bytes).toEqual(Buffer.concat(fromClient));
    const fromServer = [
      frame(Opcode.pong, 'in between', { masked: false }),
      frame(Opcode.text, 'x'.repeat(126), { masked: false }),
      frame(Opcode.binary, Buffer.alloc(70_000, 1), { masked: false, fin: false }),
      frame(Opcode.continuation, '', { masked: false }),
    ];
    for (const each of fromServer) server.send(each);
    await client.frame(fromServer.length - 1);
    expect(client.bytes).toEqual(Buffer.concat(fromServer));
  });

  test('carries messages of 1 MB', async () => {
    const { client, server } = await connected(protocol, await house(), { path: '/v1/realtime' });
    const payload = Buffer.alloc(1024 * 1024, 'abcdefg');
    client.send(frame(Opcode.binary, payload, { masked: true }));
    expect((await server.frame(0))?.payload.equals(payload)).toBe(true);
    server.send(frame(Opcode.binary, payload, { masked: false }));
    expect((await client.frame(0))?.payload.equals(payload)).toBe(true);
  });

  test('bytes that come with the handshake are not lost', async () => {
    const first = frame(Opcode.text, 'session.created', { masked: false });
    const early = frame(Opcode.text, 'early', { masked: true });
    const own = await house();
    const { client, server } = await connected(protocol, own, { path: '/v1/realtime', first, early });
    expect((await client.frame(0))?.payload.toString()).toBe('session.created');
    if (protocol === 'HTTP/1.1') expect((await server.frame(0))?.payload.toString()).toBe('early');
  });

  test('relays close codes both ways, whoever begins', async () => {
    for (const starts of ['client', 'server'] as const) {
      const own = await house();
      const pair = await connected(protocol, own, { path: '/v1/realtime' });
      const [first, second] = starts === 'client' ? [pair.client, pair.server] : [pair.server, pair.client];
      first.send(closeFrame(4001, 'enough', starts === 'client'));
      expect((await second.frame(0))?.payload).toEqual(Buffer.from('\x0f\xa1enough', 'latin1'));
      second.send(closeFrame(4002, 'agreed', starts !== 'client'));
      expect((await first.frame(0))?.payload.subarray(2).toString()).toBe('agreed');
      pair.server.stream.end();
      await pair.client.over();
      pair.handshake.leave();
      const line = await own.line(({ msg }) => msg === 'request');
      expect(line).toMatchObject({ status: 101, outcome: 'complete' });
      expect([...own.gateway.outstanding.values()]).toEqual([0]);
    }
  });

  test.each(['vanish', 'leave'] as const)(
    'a client that goes without a word (%s) does not leave the upstream without one (vllm #34532)',
    async (way) => {
      const own = await house();
      const { client, server, handshake } = await connected(protocol, own, { path: '/v1/realtime' });
      client.send(frame(Opcode.text, 'hello', { masked: true }));
      await server.frame(0);
      handshake[way]();
      const goodbye = await server.frame(1);
      expect([goodbye?.opcode, goodbye?.payload.readUInt16BE(0)]).toEqual([Opcode.close, 1001]);
      await server.over();
      server.stream.end();
      expect(await own.line(({ msg }) => msg === 'request')).toMatchObject({ outcome: 'client_left' });
      expect([...own.gateway.outstanding.values()]).toEqual([0]);
    },
  );

  test('nothing is put into the middle of a frame', async () => {
    const { client, server, handshake } = await connected(protocol, await house(), { path: '/v1/realtime' });
    const half = frame(Opcode.text, 'hello', { masked: true }).subarray(0, 8);
    client.send(half);
    await server.until(() => server.receivedBytes === 8);
    handshake.vanish();
    await server.over();
    expect(server.bytes).toEqual(half);
  });

  test.each(['reset', 'end'] as const)('an upstream that dies (%s) is seen by the client', async (way) => {
    const own = await house();
    const { client, server, seen } = await connected(protocol, own, { path: '/v1/realtime' });
    server.send(frame(Opcode.text, 'last words', { masked: false }));
    await client.frame(0);
    if (way === 'reset') seen.reset();
    else server.stream.end();
    await client.over();
    expect(client.frames).toHaveLength(1); // no close frame: the client sees 1006
    expect(await own.line(({ msg }) => msg === 'request')).toMatchObject({ outcome: 'upstream_failed' });
  });

  test('a refusal of the upstream is relayed as it is', async () => {
    const own = await house();
    const asking = openWebSocket(protocol, own.port, { path: '/v1/realtime' });
    const seen = await own.upstream.next();
    seen.send(
      'HTTP/1.1 403 Forbidden\r\nContent-Type: text/x\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 2\r\n\r\nno',
    );
    const handshake = await asking;
    expect([handshake.status, handshake.header('content-type')]).toEqual([403, 'text/x']);
    expect(handshake.header('set-cookie')).toBe('a, b');
    expect(handshake.header('x-sluice-request-id')).not.toBeNull();
    expect(handshake.header('date')).not.toBeNull();
    expect(await handshake.declined()).toEqual({ body: 'no', whole: true });
    expect(await own.line(({ msg }) => msg === 'request')).toMatchObject({
      status: 403,
      outcome: 'complete',
    });
  });

  test.each([
    ['chunked', 'Transfer-Encoding: chunked\r\n\r\n2\r\nno\r\n'],
    ['with a length', 'Content-Length: 9\r\n\r\nno'],
    ['until the end', '\r\nno'],
  ])('a refusal that breaks off is no whole answer: %s', async (_, rest) => {
    const own = await house();
    const asking = openWebSocket(protocol, own.port, { path: '/v1/realtime' });
    const seen = await own.upstream.next();
    seen.send(`HTTP/1.1 403 Forbidden\r\n${rest}`);
    const handshake = await asking;
    seen.reset();
    const declined = await handshake.declined();
    expect([handshake.status, declined.whole]).toEqual([403, false]);
    expect(await own.line(({ msg }) => msg === 'request')).toMatchObject({ outcome: 'upstream_failed' });
  });

  test('the key in a subprotocol is taken out, and the chosen one comes back', async () => {
    const own = await house(`master_key: ${KEY}`);
    const headers = ['Sec-WebSocket-Protocol', `realtime, openai-insecure-api-key.${KEY}, openai-beta.v1`];
    const answer = 'Sec-WebSocket-Protocol: realtime\r\n';
    const { seen, handshake } = await connected(protocol, own, { path: '/v1/realtime', headers, answer });
    expect(seen.header('sec-websocket-protocol')).toBe('realtime, openai-beta.v1');
    expect(seen.bytes.toString()).not.toContain(KEY);
    expect(seen.header('authorization')).toBe('Bearer sk-up');
    expect(handshake.header('sec-websocket-protocol')).toBe('realtime');
  });

  test('without the key the door stays shut, and the upstream hears nothing', async () => {
    const own = await house(`master_key: ${KEY}`);
    const handshake = await openWebSocket(protocol, own.port, { path: '/v1/realtime' });
    expect([handshake.status, handshake.end]).toEqual([401, null]);
    const { body, whole } = await handshake.declined();
    expect([JSON.parse(body).error.code, whole]).toEqual(['missing_key', true]);
    expect(own.upstream.connections).toBe(0);
  });

  test.each([
    ['/v1/realtime?x=1&model=m&y=%20', '/v1/realtime?x=1&model=org%2Fm&y=%20'],
    ['/v1/realtime?mod%65l=m', '/v1/realtime?model=org%2Fm'],
    ['/vllm/v1/realtime?model=%6D', '/v1/realtime?model=org%2Fm'],
    ['/v1/realtime?a=model=m', '/v1/realtime?a=model=m'],
    ['/r/x?model=m', '/base/x?model=m'],
  ])('the model in the query picks, and gets its upstream name: %s', async (path, target) => {
    const { seen } = await connected(protocol, await house(), { path });
    expect(seen.target).toBe(target);
  });

  test.each([
    ['/v1/realtime?model=nope', 404, 'model_not_found'],
    ['/v1/realtime?model=m&model=other', 400, 'duplicate_model'],
    ['/nowhere/realtime', 404, 'path_not_found'],
    ['/vllm/%2e%2e/realtime', 400, 'forbidden_path'],
  ])('%s is refused', async (path, expected, code) => {
    const handshake = await openWebSocket(protocol, (await house()).port, { path });
    expect(handshake.status).toBe(expected);
    expect(JSON.parse((await handshake.declined()).body).error.code).toBe(code);
  });

  test('an upstream that is not there is 502', async () => {
    const { port } = await startTestGateway('general_settings: {}', {
      env: { HOSTED_VLLM_API_BASE: 'http://127.0.0.1:1' },
    });
    const handshake = await openWebSocket(protocol, port, { path: '/v1/realtime' });
    expect([handshake.status, JSON.parse((await handshake.declined()).body).error.code]).toEqual([
      502,
      'upstream_unreachable',
    ]);
  });

  test('a client that leaves before the answer stops the handshake', async () => {
    const own = await house();
    const asking = openWebSocket(protocol, own.port, { path: '/v1/realtime' });
    const seen = await own.upstream.next();
    seen.send('HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\nbegin');
    (await asking).vanish();
    await seen.closed();
    expect(await own.line(({ msg }) => msg === 'request')).toMatchObject({ outcome: 'client_left' });
  });

  test('a slow reader makes the other side wait, loses nothing, and hears the end', async () => {
    const own = await house();
    const { client, server } = await connected(protocol, own, { path: '/v1/realtime' });
    client.stream.pause();
    const total = 700;
    const message = frame(Opcode.binary, Buffer.alloc(64 * 1024), { masked: false });
    let written = 0;
    const pour = (): void => {
      while (written < total) {
        written++;
        if (!server.stream.write(message)) return;
      }
      server.stream.end(closeFrame(1000, '', false));
    };
    server.stream.on('drain', pour);
    pour();
    for (let i = 0; i < 20; i++) await openWebSocket(protocol, own.port, { path: '/nowhere' });
    expect(written).toBeLessThan(400);
    client.stream.resume();
    const last = await client.frame(total);
    expect([last?.opcode, client.frames.length]).toEqual([Opcode.close, total + 1]);
    await client.over();
  });
});

test.each(['closes', 'resets'])(
  'a client that %s before the upstream has answered stops the handshake',
  async (way) => {
    const own = await house();
    const client = await rawClient(own.port);
    client.send(
      'GET /v1/realtime HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    );
    const seen = await own.upstream.next();
    if (way === 'closes') client.socket.end();
    else client.socket.resetAndDestroy();
    await seen.closed();
    expect(await own.line(({ msg }) => msg === 'request')).toMatchObject({
      status: 499,
      outcome: 'client_left',
    });
  },
);

test('an upstream that keeps its side open when the client has gone is not waited for', async () => {
  const own = await house();
  const { client, seen } = await connected('HTTP/1.1', own, { path: '/v1/realtime' });
  // What goes on behind the client's end: nothing, for ever.
  seen.socket.allowHalfOpen = true;
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  client.stream.end();
  await seen.closed();
  expect(own.gateway.outstanding.get('m#0')).toBe(1);
  // The grace may begin a moment after the upstream has seen the end.
  await expect
    .poll(() => {
      vi.advanceTimersByTime(5_000);
      return own.gateway.outstanding.get('m#0');
    })
    .toBe(0);
});

test('over HTTP/2 a handshake that the upstream answers with a wrong accept is 502', async () => {
  const own = await house();
  const asking = openWebSocket('HTTP/2', own.port, { path: '/v1/realtime' });
  const seen = await own.upstream.next();
  seen.takeOver();
  seen.send(
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: no\r\n\r\n',
  );
  expect((await asking).status).toBe(502);
  await seen.closed();
});

test('over HTTP/1.1 the handshake goes on as the client sent it, but for host and credentials', async () => {
  const own = await house();
  const headers = [
    'sec-websocket-extensions',
    'permessage-deflate',
    'Authorization',
    'Bearer any',
    'Origin',
    'https://a.test',
  ];
  const { seen } = await connected('HTTP/1.1', own, { path: '/v1/realtime', headers });
  expect(seen.bytes.toString()).toBe(
    `GET /v1/realtime HTTP/1.1\r\nHost: 127.0.0.1:${own.upstream.port}\r\nSec-WebSocket-Version: 13\r\n` +
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-extensions: permessage-deflate\r\nOrigin: https://a.test\r\n' +
      'Connection: Upgrade\r\nUpgrade: websocket\r\nauthorization: Bearer sk-up\r\n\r\n',
  );
});
