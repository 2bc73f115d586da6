import { Code } from '@connectrpc/connect';
import { describe, expect, test } from 'vitest';
import { isRunning, untilGone } from '../models/processes.ts';
import { refusalOf, WIRES } from '../server/rpc-fixture.ts';
import { errorIn, gatedVllm, startModels } from './models-fixture.ts';

const LOADED = 'Model loaded successfully';

/** Resolves when so many requests and calls are under way. */
async function untilInFlight(gateway: { readonly inFlight: number }, count: number): Promise<void> {
  await expect.poll(() => gateway.inFlight, { timeout: 10_000, interval: 5 }).toBe(count);
}

describe('loading', () => {
  test('fifty times at once, over every protocol, starts one process and answers all', async () => {
    const vllm = gatedVllm();
    const gateway = await startModels({ command: vllm.command });
    const configId = await gateway.configure('m');
    const clients = WIRES.map((wire) => gateway.client(wire));
    const calls = Array.from({ length: 50 }, async (_, index) => {
      const client = clients[index % (clients.length + 1)];
      if (client !== undefined) return (await client.loadModel({ configId })).message;
      const { status, json } = await gateway.load(configId);
      return status === 200 ? json.message : status;
    });
    await untilInFlight(gateway.gateway, 50);
    vllm.open();
    expect(await Promise.all(calls)).toEqual(Array(50).fill(LOADED));
    expect(vllm.starts()).toBe(1 + gateway.collisions());
    // What is loaded is loaded: the same answer, and no other process.
    expect((await gateway.load(configId)).json).toEqual({ message: LOADED });
    expect(vllm.starts()).toBe(1 + gateway.collisions());
  });

  test('goes on when callers leave, over every protocol', async () => {
    const vllm = gatedVllm();
    const gateway = await startModels({ command: vllm.command });
    const configId = await gateway.configure('m');
    const leaving = new AbortController();
    const { signal } = leaving;
    const left = [
      gateway
        .rest('POST', `/llm/load_model/${configId}`, { signal })
        .then(() => 'answered')
        .catch((error: Error) => error.name),
      ...WIRES.map(async (wire) => {
        const { code } = await refusalOf(gateway.client(wire).loadModel({ configId }, { signal }));
        return Code[code];
      }),
    ];
    await untilInFlight(gateway.gateway, left.length);
    leaving.abort();
    expect(await Promise.all(left)).toEqual(['AbortError', ...WIRES.map(() => 'Canceled')]);
    await untilInFlight(gateway.gateway, 0);
    expect((await gateway.status('m'))?.state).toBe('MODEL_STATE_STARTING');
    vllm.open();
    await gateway.untilStatus('m', ({ state }) => state === 'MODEL_STATE_READY');
    expect(vllm.starts()).toBe(1 + gateway.collisions());
  });

  test('gives up the load when the model is unloaded meanwhile, and tells its callers', async () => {
    const vllm = gatedVllm();
    const gateway = await startModels({ command: vllm.command });
    const configId = await gateway.configure('m');
    const loading = gateway.load(configId);
    await untilInFlight(gateway.gateway, 1);
    await gateway.untilStarted();
    await gateway.untilStatus('m', ({ state }) => state === 'MODEL_STATE_STARTING');
    expect((await gateway.rest('POST', '/llm/unload_model/m')).json).toEqual({
      message: 'Model unloaded successfully',
    });
    const refused = await loading;
    expect([refused.status, errorIn(refused).message]).toEqual([
      503,
      'The model "m" was unloaded before it was ready.',
    ]);
    await untilGone(gateway.started());
  });

  test('is refused for a second configuration of a loaded model, which says what to do', async () => {
    const gateway = await startModels();
    const [first, second] = [await gateway.configure('m'), await gateway.configure('m')];
    await gateway.load(first);
    const refused = await gateway.load(second);
    expect([refused.status, errorIn(refused)]).toEqual([
      400,
      {
        message: `The model "m" is loaded with another configuration, ${first}: unload it first (POST /llm/unload_model/m).`,
        type: 'invalid_request_error',
        param: null,
        code: 'failed_precondition',
      },
    ]);
    const kept = await gateway.rest('DELETE', `/llm/configuration/${first}`);
    expect([kept.status, errorIn(kept).message]).toEqual([
      400,
      `The configuration ${first} is in use: unload its model first (POST /llm/unload_model/m).`,
    ]);
    await gateway.rest('POST', '/llm/unload_model/m');
    expect((await gateway.load(second)).status).toBe(200);
  });
});

describe('a loaded model', () => {
  test('is on the data plane at once, and off it at once', async () => {
    const gateway = await startModels();
    const configId = await gateway.configure('my model/ü');
    const list = async () => (await gateway.rest('GET', '/v1/models')).json.data as { readonly id: string }[];
    expect(await list()).toEqual([]);
    await gateway.load(configId);
    expect((await list()).map(({ id }) => id)).toEqual(['my model/ü']);
    expect((await gateway.rest('GET', '/llm/loaded_models/')).json).toEqual(['my model/ü']);
    for (const prefix of ['/v1', '/vllm/v1', '/vllm']) {
      const answer = await gateway.chat('my model/ü', { prefix });
      const body = (await answer.json()) as { readonly model: string };
      expect([answer.status, body.model]).toEqual([200, 'my model/ü']);
    }
    const [pid = 0] = gateway.started();
    const unloaded = await gateway.rest('POST', `/llm/unload_model/${encodeURIComponent('my model/ü')}/`);
    expect([unloaded.status, unloaded.json]).toEqual([200, { message: 'Model unloaded successfully' }]);
    expect(isRunning(pid)).toBe(false);
    const absent = await gateway.chat('my model/ü');
    expect([absent.status, await absent.json()]).toMatchObject([
      404,
      {
        error: {
          message:
            'The model "my model/ü" is not loaded: load it first, with `sluice models load` or POST /llm/load_model/{config_id}.',
          code: 'model_not_found',
        },
      },
    ]);
    expect([await list(), (await gateway.rest('GET', '/llm/loaded_models')).json]).toEqual([[], []]);
  });

  test('streams, and is unloaded when its streams are over, while new requests are 404', async () => {
    const gateway = await startModels();
    const configId = await gateway.configure('m', { sim_interval_ms: 10 });
    await gateway.load(configId);
    const fields = { stream: true, ignore_eos: true, max_tokens: 60 };
    const streaming = await gateway.chat('m', { fields });
    const text = streaming.text();
    const unloading = gateway.rest('POST', '/llm/unload_model/m');
    await gateway.untilStatus('m', ({ state }) => state === 'MODEL_STATE_STOPPING');
    const refused = await gateway.chat('m');
    expect(refused.status).toBe(404);
    // A second order to unload joins the first.
    const again = gateway.rest('POST', '/llm/unload_model/m');
    const whole = await text;
    expect(whole.split('\n\n').filter((event) => event.startsWith('data: {')).length).toBeGreaterThan(59);
    expect(whole).toMatch(/data: \[DONE\]\n\n$/);
    expect([(await unloading).status, (await again).status]).toEqual([200, 200]);
    expect((await gateway.status('m'))?.state).toBe('MODEL_STATE_STOPPED');
    await untilGone(gateway.started());
  });

  test('is cut off from a stream that outlasts the drain timeout', async () => {
    const gateway = await startModels({ settings: 'drain_timeout: 0.2' });
    await gateway.load(await gateway.configure('m'));
    const streaming = await gateway.chat('m', {
      fields: { stream: true, ignore_eos: true, max_tokens: 100_000 },
    });
    const text = streaming.text().catch((error: Error) => error.message);
    expect((await gateway.rest('POST', '/llm/unload_model/m')).status).toBe(200);
    expect(await text).toBe('terminated');
    await untilGone(gateway.started());
    expect(gateway.lines.map(({ msg }) => msg)).toContain(
      'model m: 1 requests were still under way at the end of the drain timeout',
    );
  });

  test('is loaded anew by a load that comes while it is being unloaded', async () => {
    const gateway = await startModels();
    const configId = await gateway.configure('m', { sim_interval_ms: 10 });
    await gateway.load(configId);
    const streaming = await gateway.chat('m', { fields: { stream: true, ignore_eos: true, max_tokens: 40 } });
    const unloading = gateway.rest('POST', '/llm/unload_model/m');
    await gateway.untilStatus('m', ({ state }) => state === 'MODEL_STATE_STOPPING');
    const loading = gateway.load(configId);
    expect(await streaming.text()).toMatch(/data: \[DONE\]\n\n$/);
    expect([(await unloading).status, (await loading).status]).toEqual([200, 200]);
    expect((await gateway.chat('m')).status).toBe(200);
    expect(gateway.started()).toHaveLength(2 + gateway.collisions());
  });
});
