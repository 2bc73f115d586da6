import { once } from 'node:events';
import { status as grpc } from '@grpc/grpc-js';
import { describe, expect, test } from 'vitest';
import {
  OK,
  type ScriptedUpstream,
  startUpstream,
  type UpstreamExchange,
} from '../helpers/scripted-upstream.ts';
import { chunk, type ForwardFixture, head, LiveCall, rawForward, startForward } from './forward-fixture.ts';

const PROMPTLY_MS = 100;
const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
const JSON_TYPE = ['Content-Type', 'application/json'];

interface House extends ForwardFixture {
  readonly upstream: ScriptedUpstream;
}

async function house(options: { readonly endless?: true; readonly timeouts?: string } = {}): Promise<House> {
  const upstream = await startUpstream(() => {});
  const fixture = await startForward(
    `
model_list:
  - {model_name: m, litellm_params: {model: hosted_vllm/m, api_base: "${upstream.url}"${options.timeouts ?? ''}}}
general_settings:
  pass_through_endpoints: [{path: /r, target: "${upstream.url}"}]
`,
    options.endless === undefined ? {} : { endless: true },
  );
  return { ...fixture, upstream };
}

type Started = { readonly call: LiveCall; readonly seen: UpstreamExchange };

/** How far an exchange has come when its client goes. */
const STAGES: Readonly<Record<string, (house: House) => Promise<Started>>> = {
  async 'in the middle of the upload'({ upstream, ...fixture }) {
    const call = new LiveCall(fixture).send(
      head('POST', '/v1/x', ...JSON_TYPE),
      chunk('{"model":"m","x":"part'),
    );
    const seen = await upstream.next();
    await seen.until(() => seen.body.toString().endsWith('part'));
    return { call, seen };
  },
  async 'in the middle of an upload that the upstream does not take'({ upstream, ...fixture }) {
    const call = new LiveCall(fixture).send(head('POST', '/r'), chunk('part'));
    const seen = await upstream.next();
    await seen.until(() => seen.bodyBytes === 4);
    seen.socket.pause();
    const piece = chunk(Buffer.alloc(16 * 1024));
    for (let i = 0; i < 1_000; i++) call.send(piece);
    return { call, seen };
  },
  async 'before the answer'({ upstream, ...fixture }) {
    const call = new LiveCall(fixture)
      .send(head('POST', '/v1/x', ...JSON_TYPE), chunk('{"model":"m"}'))
      .halfClose();
    const seen = await upstream.next();
    await seen.until(() => seen.complete);
    return { call, seen };
  },
  async 'before the first byte of the body'(house) {
    const { call, seen } = await begin(house, CHUNKED);
    await call.until(({ status }) => status === 200);
    return { call, seen };
  },
  async 'in the middle of a stream'(house) {
    const { call, seen } = await begin(house, `${CHUNKED}9\r\ndata: 1\n\n\r\n`);
    await call.until(({ body }) => body.length === 9);
    return { call, seen };
  },
  async 'while it takes nothing'(house) {
    const { call, seen } = await begin(house, 'HTTP/1.1 200 OK\r\n\r\nfirst');
    await call.until(({ status }) => status === 200);
    call.pause();
    const { socket } = seen;
    const piece = Buffer.alloc(64 * 1024);
    // Until the gateway reads no more, or the kernel would take far more than any buffer of ours.
    for (let sent = 0; sent < 16 * 1024 * 1024 && socket.writableLength === 0; sent += piece.length) {
      await new Promise((resolve) => {
        socket.write(piece, resolve);
        setImmediate(resolve);
      });
    }
    return { call, seen };
  },
};

async function begin({ upstream, ...fixture }: House, answer: string): Promise<Started> {
  const call = new LiveCall(fixture).send(head('GET', '/r')).halfClose();
  const seen = await upstream.next();
  seen.send(answer);
  return { call, seen };
}

describe('a client that cancels a Forward call', () => {
  test.each(Object.entries(STAGES))('stops the upstream at once: %s', async (_, stage) => {
    const built = await house();
    const { call, seen } = await stage(built);
    const since = performance.now();
    call.cancel();
    seen.socket.resume();
    const { at } = await seen.closed();
    expect(at - since).toBeLessThan(PROMPTLY_MS);
    expect((await call.status()).code).toBe(grpc.CANCELLED);
    expect(await built.record(() => true)).toMatchObject({ outcome: 'client_left' });
    expect([...built.context.picker.outstanding().values()]).toEqual([0]);
  });

  test('stops the upstream when its connection breaks', async () => {
    const built = await house();
    const stream = rawForward(built, head('GET', '/r', 'Content-Length', '0'));
    const seen = await built.upstream.next();
    seen.send(CHUNKED);
    await once(stream, 'response');
    stream.session?.destroy();
    await seen.closed();
    expect(await built.record(() => true)).toMatchObject({ outcome: 'client_left' });
  });

  test('leaves nothing behind when it cancels before the head', async () => {
    const { upstream, ...fixture } = await house();
    const call = new LiveCall(fixture);
    call.cancel();
    expect((await call.status()).code).toBe(grpc.CANCELLED);
    expect(upstream.connections).toBe(0);
    expect(fixture.records).toEqual([]);
  });
});

describe('a Forward call', () => {
  test('stops the upstream when its deadline has passed', async () => {
    const { upstream, ...fixture } = await house();
    const call = new LiveCall(fixture, { 'grpc-timeout': '50m' }).send(head('GET', '/r')).halfClose();
    const seen = await upstream.next();
    await seen.closed();
    expect((await call.status()).code).toBe(grpc.DEADLINE_EXCEEDED);
  });

  test('stops the upstream when a shutdown ends it, and says so', async () => {
    const built = await house({ endless: true });
    const { call, seen } = await begin(built, CHUNKED);
    await call.until(({ status }) => status === 200);
    built.shutdown();
    await seen.closed();
    expect(await call.status()).toMatchObject({ code: grpc.UNAVAILABLE, details: /shutting down/ });
  });

  test.each([
    ['resets the connection', (seen: UpstreamExchange) => seen.reset()],
    ['closes the connection', (seen: UpstreamExchange) => seen.end()],
    ['breaks the protocol', (seen: UpstreamExchange) => seen.send('no size\r\n')],
  ])('ends with UNAVAILABLE behind what came when the upstream %s', async (_, breakOff) => {
    const built = await house();
    const { call, seen } = await begin(built, `${CHUNKED}9\r\ndata: 1\n\n\r\n`);
    await call.until(({ body }) => body.length === 9);
    breakOff(seen);
    expect(await call.status()).toMatchObject({ code: grpc.UNAVAILABLE });
    expect(call.answer.body.toString()).toBe('data: 1\n\n');
    expect(call.answer.order).toEqual(['head', 'chunk']);
    expect(await built.record(() => true)).toMatchObject({ outcome: 'upstream_failed', status: 200 });
  });

  test('gives all that came before the upstream broke off to a client that was behind', async () => {
    const built = await house();
    const { call, seen } = await begin(built, 'HTTP/1.1 200 OK\r\nContent-Length: 500001\r\n\r\n');
    await call.until(({ status }) => status === 200);
    call.pause();
    seen.end(Buffer.alloc(500_000, 'x'));
    call.resume();
    expect((await call.status()).code).toBe(grpc.UNAVAILABLE);
    // The last read may have come with the end of the connection; what the gateway had read is there.
    expect(call.answer.body.length).toBe(500_000);
  });

  test('ends with UNAVAILABLE when the upstream stalls within its answer', async () => {
    const built = await house({ timeouts: ', stream_timeout: 0.2' });
    const { upstream, ...fixture } = built;
    const call = new LiveCall(fixture).send(head('GET', '/v1/x', 'x-sluice-model', 'm')).halfClose();
    (await upstream.next()).send(`${CHUNKED}1\r\nx\r\n`);
    expect((await call.status()).code).toBe(grpc.UNAVAILABLE);
    expect(call.answer.body.toString()).toBe('x');
  });

  test('gets an HTTP answer with the envelope when the upstream fails before its own', async () => {
    const { upstream, ...fixture } = await house();
    const call = new LiveCall(fixture).send(head('GET', '/r')).halfClose();
    (await upstream.next()).reset();
    expect((await call.status()).code).toBe(grpc.OK);
    expect(call.answer.status).toBe(502);
    expect(JSON.parse(call.answer.body.toString()).error.code).toBe('upstream_broken');
  });

  test('is not disturbed by another one that is cancelled', async () => {
    const built = await house();
    const [first, second] = [await begin(built, CHUNKED), await begin(built, CHUNKED)];
    await first.call.until(({ status }) => status === 200);
    await second.call.until(({ status }) => status === 200);
    first.call.cancel();
    await first.seen.closed();
    second.seen.send('2\r\nok\r\n0\r\n\r\n');
    expect((await second.call.status()).code).toBe(grpc.OK);
    const next = new LiveCall(built).send(head('GET', '/r')).halfClose();
    (await built.upstream.next()).send(OK);
    expect((await next.status()).code).toBe(grpc.OK);
  });
});
