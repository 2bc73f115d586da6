import { expect, test } from 'vitest';
import { settled } from './fake-clock.ts';
import { openHouse } from './house.ts';

/** Collects what a feed sends, until it ends. */
function collect<T>(feed: AsyncIterable<T>): { readonly seen: T[]; readonly ended: Promise<void> } {
  const seen: T[] = [];
  const read = async () => {
    for await (const one of feed) seen.push(one);
  };
  return { seen, ended: read() };
}

test('sends the status at once, then at most ten a second, and the last one always', async () => {
  const { models, configure, driver, clock } = await openHouse();
  const config = await configure('a');
  const loading = models.load(config);
  const load = await driver.next();
  const { seen, ended } = collect(models.watch(config));
  await settled();
  expect(seen.map(({ state }) => state)).toEqual(['starting']);
  for (let percent = 1; percent <= 80; percent++) {
    load.events.progress({ stage: 'loading_weights', percent, line: `shard ${percent}` });
    await clock.advance(10);
  }
  expect(seen.length).toBeGreaterThanOrEqual(8);
  expect(seen.length).toBeLessThanOrEqual(9);
  load.succeed();
  await loading;
  await clock.advance(100);
  await ended;
  expect(seen.at(-1)).toMatchObject({ state: 'ready', percent: 100, lastLogLine: 'shard 80' });
  expect(seen.map(({ percent }) => percent)).toEqual(
    seen.map(({ percent }) => percent).toSorted((a, b) => a - b),
  );
});

test('goes on telling the time while nothing else happens', async () => {
  const { models, configure, driver, clock } = await openHouse();
  const config = await configure('a');
  const loading = models.load(config);
  const load = await driver.next();
  const { seen, ended } = collect(models.watch(config));
  await clock.advance(3_050);
  expect(seen.map(({ elapsedMs }) => elapsedMs)).toEqual([0, 1_000, 2_000, 3_000]);
  load.succeed();
  await loading;
  await clock.advance(100);
  await ended;
});

test('ends with the failure, although another load begins in the same moment', async () => {
  const { models, configure, driver, clock } = await openHouse();
  const config = await configure('a');
  models.load(config).catch(() => {});
  const load = await driver.next();
  const { seen, ended } = collect(models.watch(config));
  await settled();
  load.fail('no memory');
  await settled();
  const again = models.load(config);
  await clock.advance(100);
  await ended;
  expect(seen.map(({ state, failure }) => [state, failure])).toEqual([
    ['starting', ''],
    ['failed', 'no memory'],
  ]);
  (await driver.next()).succeed();
  await again;
});

test('sees a crash and the way back', async () => {
  const { models, configure, driver, clock } = await openHouse();
  const config = await configure('a');
  const loading = models.load(config);
  const load = await driver.next();
  load.succeed();
  await loading;
  load.events.lost('exited with code 1');
  const { seen, ended } = collect(models.watch(config));
  await settled();
  load.events.progress({ stage: 'waiting_to_restart', percent: null, line: null });
  await clock.advance(100);
  load.recover(8002);
  await clock.advance(100);
  await ended;
  expect(seen.map(({ state, stage }) => [state, stage])).toEqual([
    ['starting', null],
    ['starting', 'waiting_to_restart'],
    ['ready', 'ready'],
  ]);
});

test('is stopped for a configuration that never ran, and for one whose model runs another', async () => {
  const { models, configure, driver } = await openHouse();
  const idle = await configure('a');
  const config = await configure('a');
  const loading = models.load(config);
  (await driver.next()).succeed();
  await loading;
  const { seen, ended } = collect(models.watch(idle));
  await ended;
  expect(seen).toMatchObject([{ modelId: 'a', configId: idle, state: 'stopped' }]);
});

test('ends when the watcher leaves, at once', async () => {
  const { models, configure, driver, clock } = await openHouse();
  const config = await configure('a');
  const loading = models.load(config);
  const load = await driver.next();
  for (const wait of [0, 150]) {
    const watcher = new AbortController();
    const { seen, ended } = collect(models.watch(config, watcher.signal));
    await clock.advance(wait);
    watcher.abort();
    await ended;
    expect(seen).toHaveLength(1);
  }
  load.succeed();
  await loading;
});
