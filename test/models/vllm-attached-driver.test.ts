import { describe, expect, onTestFinished, test } from 'vitest';
import type { ProviderTarget } from '../../src/base/config/config.ts';
import type { Json } from '../../src/base/json.ts';
import { createVllmAttachedDriver } from '../../src/models/vllm-attached-driver.ts';
import { startVllmSim, type VllmSim, type VllmSimOptions } from '../vllm-sim/index.ts';
import { configurationOf, openClient, startLoad, targetOf } from './driver-house.ts';
import { FakeClock } from './fake-clock.ts';

const MODEL = 'qwen2.5-7b-instruct';

async function openSim(options: VllmSimOptions = {}): Promise<VllmSim> {
  const sim = await startVllmSim(options);
  onTestFinished(() => sim.close());
  return sim;
}

function load(
  apiBase: string,
  {
    kwargs = {},
    model = MODEL,
    target = null,
  }: {
    readonly kwargs?: Readonly<Record<string, Json>>;
    readonly model?: string;
    readonly target?: ProviderTarget | null;
  } = {},
) {
  const clock = new FakeClock();
  const client = openClient();
  const driver = createVllmAttachedDriver({ client: () => client, providerTarget: () => target, clock });
  const underWay = startLoad(driver, configurationOf('vllm', model, { api_base: apiBase, ...kwargs }));
  /** Lets time pass until the load is over, or `until` says so. */
  const pass = async (until: () => boolean = () => false) => {
    let over = false;
    const end = () => {
      over = true;
    };
    underWay.outcome.then(end, end);
    while (!over && !until()) await clock.advance(250);
  };
  return { ...underWay, pass, clock };
}

describe('attaching to a vLLM server', () => {
  test('is done when /health and /v1/models agree', async () => {
    const sim = await openSim({ apiKeys: ['sk-up'] });
    const { outcome, progress } = load(`${sim.url}/v1`, { kwargs: { api_key: 'sk-up' } });
    expect((await outcome).upstream).toEqual({
      provider: 'vllm',
      apiBase: `${sim.url}/v1`,
      apiKey: 'sk-up',
      upstreamModel: MODEL,
    });
    expect(sim.requests.map(({ path }) => path)).toEqual(['/health', '/v1/models']);
    expect(progress).toEqual([{ stage: 'connecting', percent: null, line: null }]);
  });

  test.each(['refuse', 'hang', 'unhealthy'] as const)(
    'waits for a server that is loading: %s',
    async (mode) => {
      const sim = await openSim({ loading: { mode } });
      const { outcome, pass, clock } = load(sim.url);
      if (mode === 'unhealthy') await pass(() => sim.requests.length >= 3);
      else if (mode === 'refuse') await pass(() => clock.now() >= 5_000);
      else await sim.waitForSockets(1);
      await sim.finishLoading();
      await pass();
      expect((await outcome).upstream.apiBase).toBe(sim.url);
    },
  );

  test('waits no longer than load_timeout, and says what it last saw', async () => {
    const sim = await openSim({ loading: { mode: 'unhealthy' } });
    const { refusal, pass, clock } = load(sim.url, { kwargs: { load_timeout: '10s' } });
    await pass();
    expect(await refusal).toBe(
      `load_failed: ${sim.url} was not ready within 10 s (load_timeout): /health answered 503.`,
    );
    expect(clock.now()).toBeLessThanOrEqual(10_000);
  });

  test('stops waiting when it is told to', async () => {
    const sim = await openSim({ loading: { mode: 'unhealthy' } });
    const { outcome, abort, pass } = load(sim.url);
    await pass(() => sim.requests.length >= 2);
    const reason = new Error('unloaded');
    abort(reason);
    await expect(outcome).rejects.toBe(reason);
    const asked = sim.requests.length;
    await pass();
    expect(sim.requests.length).toBe(asked);
  });

  test('fails at once where waiting is no use', async () => {
    const sim = await openSim({ apiKeys: ['sk-up'] });
    expect(await load(sim.url).refusal).toBe(
      `load_failed: ${sim.url} refused the credential (401): Unauthorized; it wants one; give model_kwargs.api_key.`,
    );
    const kwargs = { api_key: 'sk-up' };
    expect(await load(sim.url, { kwargs, model: 'qwen2.5-7b-instrukt' }).refusal).toBe(
      `load_failed: ${sim.url} has no model "qwen2.5-7b-instrukt"; did you mean "${MODEL}"?`,
    );
    expect(await load(`${sim.url}/elsewhere`, { kwargs }).refusal).toContain(
      'answered 404 to /health, which vLLM has; for another server take model_type openai',
    );
  });

  test('takes the key of the environment for the address of the environment alone', async () => {
    const sim = await openSim({ apiKeys: ['sk-environment'] });
    const own = targetOf('vllm', `${sim.url}/v1`, 'sk-environment');
    expect((await load(sim.url, { target: own }).outcome).upstream.apiKey).toBe('sk-environment');
    const other = targetOf('vllm', 'http://10.0.0.1:8000', 'sk-environment');
    expect(await load(sim.url, { target: other }).refusal).toContain('it wants one');
  });

  test('takes no engine arguments', () => {
    const client = openClient();
    const driver = createVllmAttachedDriver({ client: () => client, providerTarget: () => null });
    const check = (kwargs: Readonly<Record<string, Json>>) => () =>
      driver.check(configurationOf('vllm', MODEL, { api_base: 'http://127.0.0.1:1', ...kwargs }));
    expect(check({ tensor_parallel_size: 2 })).toThrow('takes no engine arguments; remove it');
    expect(check({ temperature: 1, keep_alive: '5m' })).not.toThrow();
  });
});
