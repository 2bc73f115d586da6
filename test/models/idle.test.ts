import { describe, expect, test } from 'vitest';
import { SluiceError } from '../../src/base/errors.ts';
import { settled } from './fake-clock.ts';
import { type House, openHouse } from './house.ts';

async function loaded(house: House, config: string): Promise<void> {
  const loading = house.models.load(config);
  (await house.driver.next()).succeed();
  await loading;
}

describe('keep_alive', () => {
  test('unloads a model after so long without a request', async () => {
    const house = await openHouse();
    const { models, clock, activity, store, configure } = house;
    await loaded(house, await configure('a', { keep_alive: '10s' }));
    await loaded(house, await configure('forever'));
    await clock.advance(8_000);
    activity.set('a', { outstanding: 0, served: 1 });
    await clock.advance(10_000);
    expect(models.loadedModels()).toEqual(['a', 'forever']);
    await clock.advance(1_000);
    expect(models.loadedModels()).toEqual(['forever']);
    expect(models.status('a').state).toBe('stopped');
    expect([...(await store.loaded()).keys()]).toEqual(['forever']);
  });

  test('counts from the end of the last request', async () => {
    const house = await openHouse();
    const { models, clock, activity, configure } = house;
    await loaded(house, await configure('a', { keep_alive: 10 }));
    activity.set('a', { outstanding: 1, served: 1 });
    await clock.advance(60_000);
    expect(models.loadedModels()).toEqual(['a']);
    activity.set('a', { outstanding: 0, served: 1 });
    await clock.advance(9_000);
    expect(models.loadedModels()).toEqual(['a']);
    await clock.advance(2_000);
    expect(models.loadedModels()).toEqual([]);
  });

  test('begins anew with a new load', async () => {
    const house = await openHouse();
    const { models, clock, configure } = house;
    const config = await configure('a', { keep_alive: 10 });
    await loaded(house, config);
    await clock.advance(9_000);
    await models.unload('a');
    await loaded(house, config);
    await clock.advance(9_000);
    expect(models.loadedModels()).toEqual(['a']);
  });
});

describe('load_on_request', () => {
  test('a model without it is not woken', async () => {
    const { models, configure } = await openHouse();
    await configure('a');
    expect([models.wake('a'), models.wake('unknown')]).toEqual([null, null]);
  });

  test('a model without it that is being started is not waited for', async () => {
    const { models, configure, driver } = await openHouse();
    const loading = models.load(await configure('a'));
    const load = await driver.next();
    expect([...models.asleep()]).toEqual(['a']);
    await expect(models.wake('a')).rejects.toMatchObject({ reason: 'model_not_ready', param: 'model' });
    load.succeed();
    await loading;
    load.events.lost('exited with code 1');
    expect([...models.asleep()]).toEqual(['a']);
    await expect(models.wake('a')).rejects.toMatchObject({ reason: 'model_not_ready' });
    load.events.failed('given up');
    expect([models.wake('a'), [...models.asleep()]]).toEqual([null, []]);
  });

  test('many requests share one load, and a request that comes late finds it ready', async () => {
    const { models, configure, driver } = await openHouse();
    await configure('a', { load_on_request: true });
    const wakes = Array.from({ length: 20 }, () => models.wake('a'));
    (await driver.next()).succeed();
    await Promise.all(wakes);
    await models.wake('a');
    expect([driver.loads.length, models.loadedModels()]).toEqual([1, ['a']]);
  });

  test('a model that fell asleep wakes up again, with the configuration that it had', async () => {
    const house = await openHouse();
    const { models, clock, driver, store, configure } = house;
    const older = await configure('a', { load_on_request: true, keep_alive: 5 });
    await configure('a', { load_on_request: true, keep_alive: 5 });
    await loaded(house, older);
    await clock.advance(10_000);
    expect(models.loadedModels()).toEqual([]);
    expect(await store.loaded()).toEqual(new Map([['a', older]]));
    const woken = models.wake('a');
    const load = await driver.next();
    expect(load.configuration.configId).toBe(older);
    load.succeed();
    await woken;
  });

  test('a model that never ran takes its newest configuration that may be', async () => {
    const { models, driver, configure } = await openHouse();
    await configure('a', { load_on_request: true });
    const newest = await configure('a', { load_on_request: true });
    await configure('a');
    const woken = models.wake('a');
    const load = await driver.next();
    expect(load.configuration.configId).toBe(newest);
    load.succeed();
    await woken;
  });

  test('a request that comes while it falls asleep waits for that', async () => {
    const house = await openHouse();
    const { models, clock, driver, configure } = house;
    const loading = models.load(await configure('a', { load_on_request: true, keep_alive: 5 }));
    const first = await driver.next();
    first.stopSlowly();
    first.succeed();
    await loading;
    await clock.advance(7_000);
    expect(models.status('a').state).toBe('stopping');
    const woken = models.wake('a');
    first.finishStop();
    (await driver.next()).succeed();
    await woken;
    expect(models.loadedModels()).toEqual(['a']);
  });

  test('a failure keeps its details from the caller, and is not tried again by each request', async () => {
    const { models, clock, driver, configure } = await openHouse();
    await configure('a', { load_on_request: true });
    const told = async () => {
      try {
        await models.wake('a');
      } catch (error) {
        if (error instanceof SluiceError) return [error.reason, error.message, String(error.cause)];
      }
      return [];
    };
    const waiting = told();
    (await driver.next()).fail('secret log line');
    const failure = ['load_failed', 'The model "a" could not be loaded.', 'SluiceError: secret log line'];
    expect(await waiting).toEqual(failure);
    expect(await told()).toEqual(failure);
    expect(driver.loads).toHaveLength(1);
    await clock.advance(30_000);
    const again = models.wake('a');
    (await driver.next()).succeed();
    await again;
  });

  test('after a restart a sleeper waits for its first request', async () => {
    const before = await openHouse();
    await loaded(before, await before.configure('a', { load_on_request: true, keep_alive: '1h' }));
    await before.models.close();
    const after = await openHouse(before.store);
    await settled();
    expect(after.driver.loads).toEqual([]);
    const woken = after.models.wake('a');
    (await after.driver.next()).succeed();
    await woken;
    expect(after.models.loadedModels()).toEqual(['a']);
  });

  test('a configuration that another process has made is known', async () => {
    const house = await openHouse();
    const other = await openHouse(house.store);
    await other.configure('a', { load_on_request: true });
    expect(house.models.wake('a')).toBeNull();
    house.store.tellOfChange();
    await settled();
    const woken = house.models.wake('a');
    (await house.driver.next()).succeed();
    await woken;
  });

  test('who can be woken is known to the data plane, and told when it changes', async () => {
    const { models, configure, driver, changes } = await openHouse();
    await configure('plain');
    expect([[...models.asleep()], changes()]).toEqual([[], 0]);
    const config = await configure('a', { load_on_request: true });
    expect([[...models.asleep()], changes()]).toEqual([['a'], 1]);
    const woken = models.wake('a');
    const load = await driver.next();
    load.events.progress({ stage: 'compiling', percent: 50, line: 'x' });
    expect([[...models.asleep()], changes()]).toEqual([['a'], 1]);
    load.succeed();
    await woken;
    expect([[...models.asleep()], models.loadedModels(), changes()]).toEqual([[], ['a'], 2]);
    await models.unload('a');
    expect([[...models.asleep()], changes()]).toEqual([['a'], 3]);
    await models.deleteConfiguration(config);
    expect([[...models.asleep()], changes()]).toEqual([[], 4]);
  });
});
