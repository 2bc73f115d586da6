import { Code } from '@connectrpc/connect';
import { describe, expect, test } from 'vitest';
import { ask, errorOf, open, PROTOCOLS } from '../helpers/ask.ts';
import { frame, Opcode, openWebSocket } from '../helpers/websocket.ts';
import { untilGone } from '../models/processes.ts';
import { scriptedVllm } from '../models/vllm-managed/fixture.ts';
import { refusalOf } from '../server/rpc-fixture.ts';
import { errorIn, gatedVllm, type ModelsGateway, startModels } from './models-fixture.ts';

const SLEEPER = { load_on_request: true };
const JSON_BODY = ['Content-Type', 'application/json'];

/** A gateway with a sleeping model, which wakes at the test's word. */
async function sleeping(kwargs: Readonly<Record<string, unknown>> = {}) {
  const vllm = gatedVllm();
  const gateway = await startModels({ command: vllm.command });
  const configId = await gateway.configure('m', { ...SLEEPER, ...kwargs });
  return { gateway, vllm, configId };
}

const isStarting = ({ state }: { readonly state: string }): boolean => state === 'MODEL_STATE_STARTING';

async function untilInFlight({ gateway }: ModelsGateway, count: number): Promise<void> {
  await expect.poll(() => gateway.inFlight, { timeout: 10_000, interval: 5 }).toBe(count);
}

/** What the simulator's echo has seen. */
function echoed(body: Buffer): { readonly body: Buffer; readonly rawHeaders: readonly string[] } {
  const { body: base64, rawHeaders } = JSON.parse(body.toString()) as {
    readonly body: string;
    readonly rawHeaders: readonly string[];
  };
  return { body: Buffer.from(base64, 'base64'), rawHeaders };
}

describe.each(PROTOCOLS)('over %s a request for a sleeping model', (protocol) => {
  test('wakes it, waits, and passes on byte for byte', async () => {
    const { gateway, vllm } = await sleeping();
    const listed = (await gateway.rest('GET', '/v1/models')).json.data as { readonly id: string }[];
    expect(listed.map(({ id }) => id)).toEqual(['m']);
    const body = '{ "model" : "m",\n\t"n": 1.00, "s": "\\u00e9é", "x" : [ ] }\r\n';
    const live = open(protocol, gateway.port, {
      method: 'POST',
      path: '/vllm/sim/echo',
      headers: JSON_BODY,
      body,
    });
    await gateway.untilStatus('m', isStarting);
    expect(live.bodyBytes).toBe(0);
    vllm.open();
    const answer = await live.answer();
    expect([answer.status, echoed(answer.body).body.toString()]).toEqual([200, body]);
    expect((await gateway.status('m'))?.state).toBe('MODEL_STATE_READY');
  });

  test('streams its upload, more of it than is held, and gets it through whole', async () => {
    const { gateway, vllm } = await sleeping();
    // 3 MiB, and after the model's name nothing that is JSON.
    const chunks = [
      '{"model":"m","data":"',
      ...Array.from({ length: 48 }, (_, i) => String(i % 10).repeat(65_536)),
    ];
    const live = open(protocol, gateway.port, {
      method: 'POST',
      path: '/vllm/sim/echo',
      headers: JSON_BODY,
      body: chunks,
    });
    await gateway.untilStatus('m', isStarting);
    // It isn't taken in whole: the client is held back. (Over HTTP/1.1 the kernel's buffers take what is left.)
    if (protocol === 'HTTP/2') expect(live.unsentBytes).toBeGreaterThan(0);
    vllm.open();
    live.write('"}');
    live.end();
    const answer = await live.answer();
    expect(answer.status).toBe(200);
    expect(echoed(answer.body).body.equals(Buffer.from(`${chunks.join('')}"}`))).toBe(true);
  });

  test('gives way when its client leaves, and the load goes on', async () => {
    const { gateway, vllm } = await sleeping();
    const live = open(protocol, gateway.port, {
      method: 'POST',
      path: '/vllm/sim/echo',
      headers: JSON_BODY,
      body: '{"model":"m"}',
    });
    await gateway.untilStatus('m', isStarting);
    live.vanish();
    const line = await gateway.line(({ path }) => path === '/vllm/sim/echo');
    expect(line).toMatchObject({ status: 499, outcome: 'client_left', model: 'm' });
    vllm.open();
    await gateway.untilStatus('m', ({ state }) => state === 'MODEL_STATE_READY');
  });

  test('may be a websocket', async () => {
    const { gateway, vllm } = await sleeping();
    const path = '/vllm/sim/ws?model=m';
    const asking = openWebSocket(protocol, gateway.port, { path });
    await gateway.untilStatus('m', isStarting);
    vllm.open();
    const { end, status } = await asking;
    expect(status).toBe(protocol === 'HTTP/1.1' ? 101 : 200);
    end?.send(frame(Opcode.text, 'hello', { masked: true }));
    expect((await end?.frame(0))?.payload.toString()).toBe('hello');
    end?.stream.destroy();
  });

  test('hears of a load that fails, as do all others, without its details', async () => {
    const vllm = gatedVllm('--sim-fail-loading');
    const gateway = await startModels({ command: vllm.command });
    await gateway.configure('m', SLEEPER);
    const question = { method: 'POST', path: '/vllm/sim/echo', headers: JSON_BODY, body: '{"model":"m"}' };
    const asking = Array.from({ length: 10 }, () => ask(protocol, gateway.port, question));
    const socket = openWebSocket(protocol, gateway.port, { path: '/vllm/sim/ws?model=m' });
    await untilInFlight(gateway, 11);
    vllm.open();
    const refusal = {
      message: 'The model "m" could not be loaded.',
      type: 'api_error',
      param: null,
      code: 'load_failed',
    };
    for (const answer of await Promise.all(asking)) {
      expect([answer.status, answer.whole, errorOf(answer)]).toEqual([503, true, refusal]);
    }
    const declined = await socket;
    expect([declined.status, JSON.parse((await declined.declined()).body)]).toEqual([
      503,
      { error: refusal },
    ]);
    // Each try may take minutes of a GPU: the next request doesn't begin another at once.
    expect((await ask(protocol, gateway.port, question)).status).toBe(503);
    expect(vllm.starts()).toBe(1 + gateway.collisions());
    expect((await gateway.status('m'))?.failure).toContain('CUDA out of memory');
  });
});

describe('a sleeping model', () => {
  test('is woken once by ten requests at once, of every kind', async () => {
    const { gateway, vllm, configId } = await sleeping();
    const chats = Array.from({ length: 7 }, () => gateway.chat('m'));
    const inference = gateway.rest('POST', '/llm/inference/', {
      body: { model_id: 'm', prompt: 'What is the capital of France?' },
    });
    const rpc = gateway.client({ protocol: 'grpc', httpVersion: '2' }).infer({ modelId: 'm', prompt: 'hi' });
    const called = rpc.then(({ response }) => response);
    const loading = gateway.load(configId);
    await untilInFlight(gateway, 10);
    vllm.open();
    for (const chat of chats) expect((await chat).status).toBe(200);
    expect((await inference).json).toEqual({ response: 'The capital of France is Paris.' });
    expect(await called).toMatch(/./);
    expect((await loading).status).toBe(200);
    expect(vllm.starts()).toBe(1 + gateway.collisions());
  });

  test('is not woken by who may not use it', async () => {
    const vllm = gatedVllm();
    const gateway = await startModels({ command: vllm.command, masterKey: 'sk-master' });
    await gateway.configure('m', SLEEPER);
    const question = {
      method: 'POST',
      path: '/v1/chat/completions',
      headers: JSON_BODY,
      body: '{"model":"m"}',
    };
    expect((await ask('HTTP/1.1', gateway.port, question)).status).toBe(401);
    expect(vllm.starts()).toBe(0);
    expect((await gateway.status('m'))?.state).toBe('MODEL_STATE_STOPPED');
  });

  test('that can’t be woken since the gateway stops is refused with 503', async () => {
    const { gateway } = await sleeping();
    const asking = ask('HTTP/1.1', gateway.port, {
      method: 'POST',
      path: '/v1/chat/completions',
      headers: JSON_BODY,
      body: '{"model":"m"}',
    });
    const calling = refusalOf(
      gateway.client({ protocol: 'grpc', httpVersion: '2' }).infer({ modelId: 'm', prompt: 'hi' }),
    );
    await untilInFlight(gateway, 2);
    await gateway.untilStarted();
    await gateway.untilStatus('m', isStarting);
    const drained = gateway.gateway.drain();
    const answer = await asking;
    expect([answer.status, errorOf(answer).code]).toEqual([503, 'shutting_down']);
    expect((await calling).code).toBe(Code.Unavailable);
    expect(await drained).toMatchObject({ broken: 0 });
    await untilGone(gateway.started());
  });

  test('without a program to run it is refused, and its administrator told why', async () => {
    const gateway = await startModels({ command: [scriptedVllm('echo no GPU; exit 1')] });
    const configId = await gateway.configure('m', SLEEPER);
    expect((await gateway.chat('m')).status).toBe(503);
    const told = await gateway.load(configId);
    expect([told.status, errorIn(told).message]).toEqual([503, expect.stringContaining('no GPU')]);
  });
});
