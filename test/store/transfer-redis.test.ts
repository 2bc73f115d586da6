import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { Store } from '../../src/store/store.ts';
import { exportStore } from '../../src/store/transfer-export.ts';
import { readTransfer } from '../../src/store/transfer-file.ts';
import { importTransfer } from '../../src/store/transfer-import.ts';
import { type SharedRedis, sharedRedis } from '../helpers/redis.ts';
import { openStore } from './open-store.ts';
import { configuration, key, route, tokenOf } from './samples.ts';

const NOW = Date.UTC(2026, 0, 1);

let redis: SharedRedis;
beforeAll(async () => {
  redis = await sharedRedis();
});
afterAll(() => redis?.stop());

async function open(location: string): Promise<Store> {
  const store = await openStore(location);
  onTestFinished(() => store.close());
  return store;
}

async function exported(store: Store): Promise<string> {
  return [...(await exportStore(store, new Date(NOW))).lines].join('');
}

async function importInto(store: Store, text: string): Promise<void> {
  const bytes = async function* () {
    yield Buffer.from(text);
  };
  const { refused } = await importTransfer(store, await readTransfer(bytes(), 'f'), { merge: false });
  expect(refused).toEqual([]);
}

test('from SQLite to Redis and back again nothing changes, to the last bit of what was spent', async () => {
  const odd = JSON.parse(
    '{"__proto__":{"a":1},"é":"\\ud800","empty":{},"list":[],"n":[1e308,-0.1,1e-9,null]}',
  );
  const source = await open('sqlite::memory:');
  await source.createConfiguration(configuration('c', { modelKwargs: odd }));
  await source.setLoaded('qwen', 'c');
  await source.createRoute(route('r', { headers: { a: 'ü' }, costPerRequest: 0.1 }));
  for (let index = 0; index < 1_200; index++) {
    // Several of the same moment: their order shall stay, too.
    const parts = { createdAt: NOW + Math.floor(index / 7), spend: index / 1_000_000_000, alias: `${index}` };
    await source.createKey(key(`${index}`, parts));
  }
  const rich = {
    previous: { token: tokenOf('before'), until: NOW },
    models: ['a/*'],
    maxBudget: 0.1,
    budget: { duration: '1mo', resetAt: NOW },
    spend: 1_234_567.123456789,
    userId: 'u',
    teamId: 't',
    metadata: odd,
    expiresAt: NOW,
  };
  await source.createKey(key('rich', rich));
  const text = await exported(source);
  const target = await open(redis.freshUrl());
  await importInto(target, text);
  expect(await exported(target)).toBe(text);
  const back = await open('sqlite::memory:');
  await importInto(back, await exported(target));
  expect(await exported(back)).toBe(text);
  await importInto(target, text);
});
