import { describe, expect, test } from 'vitest';
import { configFile, type Serving, startServing, temporaryFolder } from '../helpers/program.ts';
import { isRunning, pidsIn, untilGone } from '../models/processes.ts';
import { SIM_COMMAND } from '../models/vllm-managed/fixture.ts';
import { type ControlPlane, controlPlaneAt, errorIn } from './models-fixture.ts';

interface Scene extends ControlPlane {
  readonly program: Serving;
  /** Processes that a model, or all of them, have told of so far. */
  pids(modelId?: string): readonly number[];
}

/** A gateway as a program, that keeps its state in a folder. */
async function start(folder = temporaryFolder()): Promise<Scene> {
  const file = configFile(`general_settings: { vllm_command: ${JSON.stringify(SIM_COMMAND)} }\n`);
  const program = await startServing({
    args: ['--config', file, '--detailed_debug'],
    env: { SLUICE_DATA_DIR: folder },
  });
  return {
    program,
    ...controlPlaneAt(program.url),
    pids: (modelId) =>
      pidsIn(
        program.lines.flatMap(({ line, model }) =>
          typeof line === 'string' && (modelId === undefined || model === modelId) ? [line] : [],
        ),
      ),
  };
}

const isReady = ({ state }: { readonly state: string }): boolean => state === 'MODEL_STATE_READY';

/** Begins a load that doesn't end, with a worker. */
async function startLoading(scene: Scene) {
  const configId = await scene.configure('m', { sim_loading_ms: 600_000, sim_workers: 1 });
  const loading = scene.load(configId);
  await scene.program.line(({ line, model }) => model === 'm' && /API server version/.test(String(line)));
  expect([scene.pids('m').length, scene.pids('m').every(isRunning)]).toEqual([2, true]);
  return { configId, loading };
}

describe('a gateway that is told to stop', () => {
  test('while a model is loading gives the load up, tells all who wait, and leaves no process', async () => {
    const scene = await start();
    const { configId, loading } = await startLoading(scene);
    const watching = scene.rest('GET', `/llm/load_model/${configId}/events`, {
      headers: { accept: 'text/event-stream' },
    });
    await expect.poll(() => scene.status('m')).toMatchObject({ state: 'MODEL_STATE_STARTING' });
    const toldAt = performance.now();
    scene.program.signal('SIGTERM');
    const refused = await loading;
    expect([refused.status, errorIn(refused)]).toEqual([
      503,
      { message: 'The gateway is shutting down.', type: 'api_error', param: null, code: 'shutting_down' },
    ]);
    expect((await watching).text).toContain('"LOAD_STAGE_STARTING_PROCESS"');
    const { code, stdout } = await scene.program.ended;
    expect(code).toBe(0);
    expect(stdout).toMatch(/stopped: \d+ requests finished while draining, 0 were broken off/);
    // A drain may take 30 s; a load is nothing to wait for.
    expect(performance.now() - toldAt).toBeLessThan(5_000);
    expect(scene.pids().filter(isRunning)).toEqual([]);
  });

  test('lets the streams of a loaded model finish, then stops it', async () => {
    const scene = await start();
    await scene.load(await scene.configure('m', { sim_workers: 1 }));
    const streaming = await scene.chat('m', { fields: { stream: true, ignore_eos: true, max_tokens: 20 } });
    scene.program.signal('SIGTERM');
    await scene.program.line(({ msg }) => String(msg).startsWith('draining, 1 requests'));
    expect(scene.pids().every(isRunning)).toBe(true);
    expect(await streaming.text()).toMatch(/data: \[DONE\]\n\n$/);
    expect((await scene.program.ended).code).toBe(0);
    expect([scene.pids().length, scene.pids().filter(isRunning)]).toEqual([2, []]);
  });
});

describe('a gateway that is killed', () => {
  test('takes its models and their workers with it, and loads them again at its next start', async () => {
    const folder = temporaryFolder();
    const killed = await start(folder);
    await killed.load(await killed.configure('ready', { sim_workers: 2 }));
    const { loading } = await startLoading(killed);
    loading.catch(() => {});
    const pids = killed.pids();
    killed.program.signal('SIGKILL');
    await killed.program.ended;
    await untilGone(pids);

    const next = await start(folder);
    await next.untilStatus('ready', isReady);
    expect((await next.status('m'))?.state).toBe('MODEL_STATE_STARTING');
    expect((await next.chat('ready')).status).toBe(200);
  });
});
