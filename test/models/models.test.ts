import { describe, expect, test } from 'vitest';
import { SluiceError } from '../../src/base/errors.ts';
import { settled } from './fake-clock.ts';
import { DRAIN_TIMEOUT_MS, openHouse } from './house.ts';

/** The refusal of a promise, as `reason: message`. */
async function refusal(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof SluiceError) return `${error.reason}: ${error.message}`;
    throw error;
  }
  return 'none';
}

describe('configurations', () => {
  test('are stored, listed oldest first, read and deleted', async () => {
    const { models, configure } = await openHouse();
    const first = await configure('a', { temperature: 0.7 });
    const second = await configure('a');
    expect(first).toMatch(/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/);
    expect((await models.configurations()).map(({ configId }) => configId)).toEqual([first, second]);
    expect(await models.configuration(first)).toEqual({
      configId: first,
      modelId: 'a',
      modelName: 'org/a',
      modelType: 'vllm',
      modelKwargs: { temperature: 0.7 },
    });
    await models.deleteConfiguration(first);
    expect((await models.configurations()).map(({ configId }) => configId)).toEqual([second]);
  });

  test('an unknown model_type is refused with the known ones', async () => {
    const { models } = await openHouse();
    const made = models.configure({ modelId: 'a', modelName: 'b', modelType: 'vlm', modelKwargs: {} });
    expect(await refusal(made)).toBe(
      'invalid_request: model_type: "vlm" is not known; did you mean vllm? known are openai, vllm.',
    );
  });

  test('nothing that its driver or model_kwargs refuse is stored', async () => {
    const { models, configure } = await openHouse();
    expect(await refusal(configure('a', { unusable: true }))).toContain('model_kwargs.unusable: remove it');
    expect(await refusal(configure('a', { keep_alive: 'x' }))).toContain('model_kwargs.keep_alive');
    expect(await models.configurations()).toEqual([]);
  });

  test('unknown ids are refused by name', async () => {
    const { models } = await openHouse();
    for (const work of [models.configuration('x1'), models.load('x1'), models.deleteConfiguration('x1')])
      expect(await refusal(work)).toBe('config_not_found: There is no configuration "x1".');
    expect(await refusal(models.watch('x1').next())).toContain('config_not_found');
    expect(await refusal(models.unload('m1'))).toBe('model_not_found: The model "m1" does not exist here.');
  });

  test('one that is in use is not deleted, and a failed one is', async () => {
    const { models, configure, driver, store } = await openHouse();
    const config = await configure('a');
    const loading = refusal(models.load(config));
    const load = await driver.next();
    expect(await refusal(models.deleteConfiguration(config))).toBe(
      `failed_precondition: The configuration ${config} is in use: unload its model first (POST /llm/unload_model/a).`,
    );
    load.fail('no memory');
    expect(await loading).toBe('load_failed: no memory');
    await models.deleteConfiguration(config);
    expect(await models.statuses()).toEqual([]);
    expect(models.status('a').state).toBe('stopped');
    expect(await store.loaded()).toEqual(new Map());
  });

  test('one whose deletion fails is still there', async () => {
    const { models, configure, store, driver } = await openHouse();
    const config = await configure('a', { load_on_request: true });
    store.deleteConfiguration = () => Promise.reject(new SluiceError('store_unavailable', 'away'));
    expect(await refusal(models.deleteConfiguration(config))).toBe('store_unavailable: away');
    expect(models.remedyFor('a')).toMatch(/^load it first/);
    const loading = models.load(config);
    (await driver.next()).succeed();
    await loading;
  });

  test('one that is being deleted is not loaded', async () => {
    const { models, configure, driver } = await openHouse();
    const config = await configure('a', { load_on_request: true });
    const deleting = models.deleteConfiguration(config);
    const loading = refusal(models.load(config));
    await deleting;
    expect(await loading).toBe(`config_not_found: There is no configuration "${config}".`);
    expect([models.wake('a'), driver.loads]).toEqual([null, []]);
  });
});

describe('loading', () => {
  test('fifty calls at once start one load', async () => {
    const { models, configure, driver } = await openHouse();
    const config = await configure('a');
    const calls = Array.from({ length: 50 }, () => models.load(config));
    (await driver.next()).succeed();
    await Promise.all(calls);
    await models.load(config);
    expect(driver.loads).toHaveLength(1);
    expect(models.loadedModels()).toEqual(['a']);
  });

  test('a ready model is a deployment under its id, and listeners hear of it', async () => {
    const { models, configure, driver, changes, store } = await openHouse();
    const config = await configure('a');
    const loading = models.load(config);
    const load = await driver.next();
    expect([models.deployments(), changes()]).toEqual([[], 1]);
    load.succeed(8001);
    await loading;
    expect(changes()).toBe(2);
    expect(models.deployments()).toEqual([
      {
        id: 'a#loaded',
        modelName: 'a',
        provider: 'vllm',
        upstreamModel: 'org/a',
        apiBase: 'http://127.0.0.1:8001',
        guarded: false,
        apiKey: null,
        headers: [],
        timeouts: { connectTimeoutMs: 5_000, firstByteTimeoutMs: 600_000, idleTimeoutMs: 600_000 },
        prices: {},
        modelInfo: {},
      },
    ]);
    expect(await store.loaded()).toEqual(new Map([['a', config]]));
  });

  test('a caller that leaves does not stop it', async () => {
    const { models, configure, driver } = await openHouse();
    const config = await configure('a');
    const caller = new AbortController();
    const left = refusal(models.load(config, caller.signal));
    const stays = models.load(config);
    const load = await driver.next();
    caller.abort(new SluiceError('client_closed', 'gone'));
    expect(await left).toBe('client_closed: gone');
    expect(load.signal.aborted).toBe(false);
    load.succeed();
    await stays;
    expect(models.status('a').state).toBe('ready');
  });

  test('the last caller that leaves does not stop it either', async () => {
    const { models, configure, driver } = await openHouse();
    const config = await configure('a');
    const caller = new AbortController();
    const left = refusal(models.load(config, caller.signal));
    const load = await driver.next();
    caller.abort(new SluiceError('client_closed', 'gone'));
    await left;
    load.succeed();
    await settled();
    expect(models.loadedModels()).toEqual(['a']);
  });

  test('another configuration of a model that is loaded or loading says what to do', async () => {
    const { models, configure, driver } = await openHouse();
    const first = await configure('a/b');
    const second = await configure('a/b');
    const loading = models.load(first);
    const load = await driver.next();
    const remedy = `another configuration, ${first}: unload it first (POST /llm/unload_model/a%2Fb).`;
    expect(await refusal(models.load(second))).toBe(
      `failed_precondition: The model "a/b" is being loaded with ${remedy}`,
    );
    load.succeed();
    await loading;
    expect(await refusal(models.load(second))).toBe(
      `failed_precondition: The model "a/b" is loaded with ${remedy}`,
    );
  });

  test('a failure is told to everyone who waits, stays in the status, and a new load may follow', async () => {
    const { models, configure, driver, store, clock } = await openHouse();
    const config = await configure('a');
    const calls = [refusal(models.load(config)), refusal(models.load(config))];
    const load = await driver.next();
    load.events.progress({ stage: 'loading_weights', percent: 40, line: 'CUDA out of memory' });
    await clock.advance(2_000);
    load.fail('exited with code 1:\nCUDA out of memory');
    expect(await Promise.all(calls)).toEqual(
      Array(2).fill('load_failed: exited with code 1:\nCUDA out of memory'),
    );
    expect(models.status('a')).toEqual({
      modelId: 'a',
      configId: config,
      state: 'failed',
      stage: 'loading_weights',
      percent: 40,
      elapsedMs: 2_000,
      lastLogLine: 'CUDA out of memory',
      failure: 'exited with code 1:\nCUDA out of memory',
    });
    expect(await store.loaded()).toEqual(new Map());
    expect(await refusal(models.unload('a'))).toBe('model_not_found: The model "a" is not loaded.');
    const again = models.load(config);
    (await driver.next()).succeed();
    await again;
    expect(models.status('a')).toMatchObject({ state: 'ready', failure: '', percent: 100, stage: 'ready' });
  });

  test("a driver's defect is not shown to the caller", async () => {
    const { models, configure, driver, lines } = await openHouse();
    const loading = refusal(models.load(await configure('a')));
    (await driver.next()).failWith(new TypeError('x is undefined'));
    expect(await loading).toBe('load_failed: Loading it failed; the log has the cause.');
    expect(lines.join('')).toContain('x is undefined');
  });

  test('a store that is away starts nothing', async () => {
    const { models, configure, driver, store } = await openHouse();
    const config = await configure('a');
    const loading = refusal(models.load(config));
    store.isDown = true;
    expect(await loading).toContain('store_unavailable');
    expect(driver.loads).toEqual([]);
    expect(models.status('a').state).toBe('failed');
  });
});

describe('unloading', () => {
  test('takes the model off the data plane first, waits for its requests, and then stops it', async () => {
    const { models, configure, driver, activity, clock, store } = await openHouse();
    const config = await configure('a');
    const loading = models.load(config);
    const load = await driver.next();
    load.succeed();
    await loading;
    activity.set('a', { outstanding: 2, served: 5 });
    const unloading = models.unload('a');
    expect(models.deployments()).toEqual([]);
    expect(models.status('a').state).toBe('stopping');
    await clock.advance(DRAIN_TIMEOUT_MS / 2);
    expect(load.stops).toBe(0);
    activity.set('a', { outstanding: 0, served: 5 });
    await clock.advance(50);
    await unloading;
    expect(load.stops).toBe(1);
    expect(models.status('a').state).toBe('stopped');
    expect(await store.loaded()).toEqual(new Map());
  });

  test('waits no longer than the drain timeout', async () => {
    const { models, configure, driver, activity, clock, lines } = await openHouse();
    const loading = models.load(await configure('a'));
    (await driver.next()).succeed();
    await loading;
    activity.set('a', { outstanding: 1, served: 1 });
    const unloading = models.unload('a');
    await clock.advance(DRAIN_TIMEOUT_MS + 50);
    await unloading;
    expect(lines.join('')).toContain('1 requests were still under way at the end of the drain timeout');
  });

  test('stops a load under way and tells its callers', async () => {
    const { models, configure, driver, store } = await openHouse();
    const config = await configure('a');
    const loading = refusal(models.load(config));
    const load = await driver.next();
    await models.unload('a');
    expect(load.signal.aborted).toBe(true);
    expect(await loading).toBe('load_failed: The model "a" was unloaded before it was ready.');
    expect(models.status('a').state).toBe('stopped');
    expect(await store.loaded()).toEqual(new Map());
  });

  test('stops what came up in the moment in which it was asked', async () => {
    const { models, configure, driver } = await openHouse();
    const loading = refusal(models.load(await configure('a')));
    const load = await driver.next();
    load.succeed();
    await models.unload('a');
    expect(await loading).toContain('was unloaded');
    expect(load.stops).toBe(1);
    expect(models.loadedModels()).toEqual([]);
  });

  test('a second call joins, and a load waits for its end', async () => {
    const { models, configure, driver } = await openHouse();
    const config = await configure('a');
    const loading = models.load(config);
    const load = await driver.next();
    load.stopSlowly();
    load.succeed();
    await loading;
    const unloads = [models.unload('a'), models.unload('a')];
    const again = models.load(config);
    await settled();
    expect(driver.loads).toHaveLength(1);
    load.finishStop();
    await Promise.all(unloads);
    (await driver.next()).succeed(8002);
    await again;
    expect([load.stops, models.deployments()[0]?.apiBase]).toEqual([1, 'http://127.0.0.1:8002']);
  });

  test('a model that is not loaded is refused by name', async () => {
    const { models, configure } = await openHouse();
    await configure('a');
    expect(await refusal(models.unload('a'))).toBe('model_not_found: The model "a" is not loaded.');
  });

  test('a store that is away is told, but the model is gone', async () => {
    const { models, configure, driver, store } = await openHouse();
    const loading = models.load(await configure('a'));
    const load = await driver.next();
    load.succeed();
    await loading;
    store.isDown = true;
    expect(await refusal(models.unload('a'))).toContain('store_unavailable');
    expect([load.stops, models.status('a').state]).toEqual([1, 'stopped']);
  });
});

describe('a runtime that ends by itself', () => {
  test('leaves the data plane and comes back elsewhere', async () => {
    const { models, configure, driver, changes, clock } = await openHouse();
    const config = await configure('a');
    const loading = models.load(config);
    const load = await driver.next();
    load.events.progress({ stage: 'starting_server', percent: 95, line: null });
    load.succeed(8001);
    await loading;
    load.events.lost('exited with signal SIGKILL');
    expect([models.deployments(), models.status('a').state, changes()]).toEqual([[], 'starting', 3]);
    expect(models.status('a')).toMatchObject({ percent: 0, elapsedMs: 0 });
    await clock.advance(1_500);
    const joined = models.load(config);
    load.recover(8002);
    await joined;
    expect(models.deployments()[0]?.apiBase).toBe('http://127.0.0.1:8002');
    expect(models.status('a')).toMatchObject({ state: 'ready', elapsedMs: 1_500 });
    expect(driver.loads).toHaveLength(1);
  });

  test('stays failed when it ends too often, and would be tried by the next start', async () => {
    const { models, configure, driver, store } = await openHouse();
    const config = await configure('a');
    const loading = models.load(config);
    const load = await driver.next();
    load.succeed();
    await loading;
    load.events.lost('exited with code 1');
    const joined = refusal(models.load(config));
    await settled();
    load.events.failed('ended 5 times');
    expect(await joined).toBe('load_failed: ended 5 times');
    expect(models.status('a')).toMatchObject({ state: 'failed', failure: 'ended 5 times' });
    load.recover(8002);
    expect(models.deployments()).toEqual([]);
    expect(await store.loaded()).toEqual(new Map([['a', config]]));
    await models.unload('a');
    expect(models.status('a')).toMatchObject({ state: 'stopped', failure: '' });
    expect(await store.loaded()).toEqual(new Map());
  });

  test('that ends between its load and the news of it is not taken for ready', async () => {
    const { models, configure, driver } = await openHouse();
    const loading = models.load(await configure('a'));
    const load = await driver.next();
    load.succeed(8001);
    load.events.lost('at once');
    await settled();
    expect([models.status('a').state, models.deployments()]).toEqual(['starting', []]);
    load.recover(8002);
    await loading;
    expect(models.deployments()[0]?.apiBase).toBe('http://127.0.0.1:8002');
  });

  test('is stopped by an unload while it is coming back, and what it says later is not heard', async () => {
    const { models, configure, driver } = await openHouse();
    const loading = models.load(await configure('a'));
    const load = await driver.next();
    load.succeed();
    await loading;
    load.events.lost('gone');
    await models.unload('a');
    expect(load.stops).toBe(1);
    load.recover(8002);
    load.events.failed('too late');
    expect([models.status('a').state, models.deployments()]).toEqual(['stopped', []]);
  });
});

describe('a restart', () => {
  test('loads again what was loaded', async () => {
    const before = await openHouse();
    const config = await before.configure('a');
    const loading = before.models.load(config);
    const load = await before.driver.next();
    load.succeed();
    await loading;
    await before.models.close();
    expect([load.stops, before.models.deployments()]).toEqual([1, []]);

    const after = await openHouse(before.store);
    (await after.driver.next()).succeed();
    await settled();
    expect(after.models.loadedModels()).toEqual(['a']);
  });

  test('goes on although one of them fails, and the next one tries it again', async () => {
    const before = await openHouse();
    const good = await before.configure('good');
    const bad = await before.configure('bad');
    await before.store.setLoaded('bad', bad);
    await before.store.setLoaded('good', good);
    await before.store.setLoaded('gone', 'x');

    const after = await openHouse(before.store);
    (await after.driver.next()).fail('no GPU');
    (await after.driver.next()).succeed();
    await settled();
    expect(after.models.loadedModels()).toEqual(['good']);
    expect(after.models.status('bad')).toMatchObject({ state: 'failed', failure: 'no GPU' });
    expect(after.lines.join('')).toContain('model bad: no GPU');
    expect(await before.store.loaded()).toEqual(
      new Map([
        ['bad', bad],
        ['good', good],
      ]),
    );
  });

  test('ends a load under way, and nothing starts afterwards', async () => {
    const { models, configure, driver } = await openHouse();
    const config = await configure('a', { load_on_request: true });
    const loading = refusal(models.load(config));
    const load = await driver.next();
    await models.close();
    expect([load.signal.aborted, await loading]).toEqual([
      true,
      'shutting_down: The gateway is shutting down.',
    ]);
    expect(await refusal(models.load(config))).toContain('shutting_down');
    expect(await refusal(models.wake('a') ?? Promise.resolve())).toContain('shutting_down');
  });

  test('does not wait for requests at the end', async () => {
    const { models, configure, driver, activity, store } = await openHouse();
    const config = await configure('a');
    const loading = models.load(config);
    const load = await driver.next();
    load.succeed();
    await loading;
    activity.set('a', { outstanding: 1, served: 1 });
    const unloading = models.unload('a');
    await settled();
    expect(load.stops).toBe(0);
    await models.close();
    await unloading;
    expect(load.stops).toBe(1);
    expect(await store.loaded()).toEqual(new Map());
  });
});

test('statuses are sorted by model and know those that never ran', async () => {
  const { models, configure, driver } = await openHouse();
  await configure('b');
  const config = await configure('a');
  await configure('b');
  const loading = models.load(config);
  const load = await driver.next();
  load.events.progress({ stage: 'compiling', percent: 60, line: 'torch.compile' });
  load.events.progress({ stage: null, percent: 50, line: null });
  expect((await models.statuses()).map((one) => [one.modelId, one.state, one.percent, one.stage])).toEqual([
    ['a', 'starting', 60, 'compiling'],
    ['b', 'stopped', 0, null],
  ]);
  load.succeed();
  await loading;
});
