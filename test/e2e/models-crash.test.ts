import { Code } from '@connectrpc/connect';
import { describe, expect, test } from 'vitest';
import { ModelState } from '../../gen/sluice/v1/model_pb.ts';
import { isRunning, untilGone } from '../models/processes.ts';
import { rewrite, SIM_COMMAND, scriptedVllm } from '../models/vllm-managed/fixture.ts';
import { refusalOf, WIRES } from '../server/rpc-fixture.ts';
import { errorIn, eventsIn, gatedVllm, type ModelsGateway, startModels } from './models-fixture.ts';

const OUT_OF_MEMORY = 'torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.02 GiB.';
const FAILURE = new RegExp(
  `^vLLM exited with code 1 while it was loading; its log ends with:\n(?:.+\n)*.*Starting to load model.*\n${OUT_OF_MEMORY}$`,
);

describe('a process that ends while it is loading', () => {
  test('is told with its last log lines to each who waits, over every protocol', async () => {
    const vllm = gatedVllm('--sim-loading-ms 200 --sim-fail-loading');
    const gateway = await startModels({ command: vllm.command });
    const configId = await gateway.configure('m');
    const waiting = WIRES.map((wire) => refusalOf(gateway.client(wire).loadModel({ configId })));
    const rest = gateway.load(configId);
    await gateway.untilStatus('m', ({ state }) => state === 'MODEL_STATE_STARTING');
    const path = `/llm/load_model/${configId}/events`;
    const watching = gateway.rest('GET', path, { headers: { accept: 'text/event-stream' } });
    const rpcWatching = WIRES.map(async (wire) => {
      let last: { readonly state: ModelState; readonly failure: string } | undefined;
      for await (const { status } of gateway.client(wire).watchLoad({ configId })) last = status;
      return last;
    });
    await expect.poll(() => gateway.gateway.inFlight).toBe(2 * WIRES.length + 2);
    vllm.open();

    const refused = await rest;
    expect([refused.status, errorIn(refused)]).toEqual([
      503,
      { message: expect.stringMatching(FAILURE), type: 'api_error', param: null, code: 'load_failed' },
    ]);
    const { message } = errorIn(refused);
    for (const { code, rawMessage } of await Promise.all(waiting)) {
      expect([code, rawMessage]).toEqual([Code.Unavailable, message]);
    }
    const last = eventsIn((await watching).text).at(-1);
    expect(last).toMatchObject({
      state: 'MODEL_STATE_FAILED',
      failure: message,
      last_log_line: OUT_OF_MEMORY,
    });
    for (const status of await Promise.all(rpcWatching)) {
      expect(status).toMatchObject({ state: ModelState.FAILED, failure: message });
    }
    expect(await gateway.status('m')).toMatchObject({ state: 'MODEL_STATE_FAILED', failure: message });
    expect(vllm.starts()).toBe(1 + gateway.collisions());
    await untilGone(gateway.started());
    const logged = await gateway.line(({ msg }) => msg === `model m: ${message}`);
    expect(logged).toMatchObject({ why: 'load_failed' });
    expect(JSON.stringify(logged).split('CUDA out of memory')).toHaveLength(2);
    // The failure is for the administrator; who asks the model hears that it isn't there.
    const asked = await gateway.chat('m');
    const told = await asked.text();
    expect([asked.status, told]).toEqual([404, expect.stringContaining('is not loaded: load it first')]);
    expect(told).not.toContain('CUDA');
  });

  test('may be loaded again when what was wrong is mended', async () => {
    const vllm = scriptedVllm('echo no GPU; exit 3');
    const gateway = await startModels({ command: [vllm] });
    const configId = await gateway.configure('m');
    const refused = await gateway.load(configId);
    expect([refused.status, errorIn(refused).message]).toEqual([
      503,
      'vLLM exited with code 3 while it was loading; its log ends with:\nno GPU',
    ]);
    rewrite(vllm, `exec '${SIM_COMMAND.join("' '")}' "$@"`);
    expect((await gateway.load(configId)).status).toBe(200);
    expect(await gateway.status('m')).toMatchObject({ state: 'MODEL_STATE_READY', failure: '' });
  });

  test('without a program the error says what to install or set', async () => {
    const gateway = await startModels({ command: ['/nonesuch/vllm'] });
    const refused = await gateway.load(await gateway.configure('m'));
    expect([refused.status, errorIn(refused).message]).toEqual([
      503,
      'There is no program "/nonesuch/vllm" to run vLLM with: install vLLM, or set general_settings.vllm_command to where it is.',
    ]);
  });

  test('is forgotten when the model is unloaded or its configuration deleted', async () => {
    const gateway = await startModels({ command: [scriptedVllm('exit 1')] });
    const configId = await gateway.configure('m');
    await gateway.load(configId);
    expect((await gateway.rest('DELETE', `/llm/configuration/${configId}`)).json).toEqual({
      detail: 'Configuration deleted successfully',
    });
    expect((await gateway.rest('GET', '/llm/model_statuses')).json).toEqual([]);
  });
});

describe('a process that ends while it serves', () => {
  async function crashed(): Promise<{
    readonly gateway: ModelsGateway;
    readonly configId: string;
    readonly open: () => void;
    readonly pids: readonly number[];
  }> {
    const vllm = gatedVllm('--sim-workers 1');
    const gateway = await startModels({ command: vllm.command });
    const configId = await gateway.configure('m');
    vllm.open(1);
    await gateway.load(configId);
    const pids = gateway.said().flatMap((line) => /\bpid=(\d+)\)/.exec(line)?.[1] ?? []);
    process.kill(gateway.started()[0] ?? 0, 'SIGKILL');
    await gateway.line(({ msg }) => /^model m: ended and is started again/.test(String(msg)));
    return { gateway, configId, open: () => vllm.open(), pids: [...new Set(pids)].map(Number) };
  }

  test('is started again: requests meanwhile hear why, and are answered afterwards', async () => {
    const { gateway, configId, open, pids } = await crashed();
    expect(pids).toHaveLength(2);
    expect(pids.filter(isRunning)).toEqual([]);
    const refused = await gateway.chat('m');
    expect([refused.status, await refused.json()]).toEqual([
      503,
      {
        error: {
          message: 'The model "m" is being started and does not answer yet.',
          type: 'api_error',
          param: 'model',
          code: 'model_not_ready',
        },
      },
    ]);
    const inference = await gateway.rest('POST', '/llm/inference/', {
      body: { model_id: 'm', prompt: 'hi' },
    });
    expect([inference.status, errorIn(inference).code]).toEqual([503, 'model_not_ready']);
    expect((await gateway.rest('GET', '/llm/loaded_models/')).json).toEqual([]);
    const path = `/llm/load_model/${configId}/events`;
    const watching = gateway.rest('GET', path, { headers: { accept: 'text/event-stream' } });
    // Who loads it now waits for it to be back.
    const loading = gateway.load(configId);
    open();
    expect((await loading).status).toBe(200);
    const events = eventsIn((await watching).text);
    expect(events[0]?.stage).toMatch(/WAITING_TO_RESTART|STARTING_PROCESS/);
    expect(events.at(-1)).toMatchObject({ state: 'MODEL_STATE_READY', percent: 100 });
    expect((await gateway.chat('m')).status).toBe(200);
    expect(gateway.started()).toHaveLength(2 + gateway.collisions());
  });

  test('can be unloaded while it is started again, and leaves nothing', async () => {
    const { gateway } = await crashed();
    expect((await gateway.rest('POST', '/llm/unload_model/m')).status).toBe(200);
    expect((await gateway.status('m'))?.state).toBe('MODEL_STATE_STOPPED');
    expect((await gateway.chat('m')).status).toBe(404);
    await untilGone(gateway.started());
  });

  test('breaks the streams that it had', async () => {
    const gateway = await startModels();
    await gateway.load(await gateway.configure('m'));
    const streaming = await gateway.chat('m', {
      fields: { stream: true, ignore_eos: true, max_tokens: 100_000 },
    });
    const text = streaming.text().catch((error: Error) => error.message);
    process.kill(gateway.started()[0] ?? 0, 'SIGKILL');
    expect(await text).toBe('terminated');
  });
});
