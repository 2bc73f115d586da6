import { expect, onTestFinished, test } from 'vitest';
import { startRedis } from '../helpers/redis.ts';
import { startSentinel } from '../helpers/redis-sentinel.ts';
import { becomes, openOn, ownRedis } from './redis-house.ts';
import { route } from './samples.ts';

test('the master that a Sentinel names is used, and the next one when that is killed', async () => {
  const master = await ownRedis();
  const replica = await startRedis({ arguments: ['--replicaof', '127.0.0.1', String(master.port)] });
  onTestFinished(() => replica.stop());
  const sentinel = await startSentinel('main', master.port);
  onTestFinished(() => sentinel.stop());
  const store = await openOn(`redis+sentinel://127.0.0.1:${sentinel.port}/main`);
  await store.createRoute(route('a'));
  await expect.poll(() => replica.command('dbsize'), { timeout: 10_000 }).toBeGreaterThan(0);
  // Without it the Sentinel knows of no one to promote.
  await expect
    .poll(async () => String(await sentinel.command('sentinel', 'replicas', 'main')), { timeout: 15_000 })
    .toContain(String(replica.port));
  await master.kill();
  await becomes(store.connection, false);
  await becomes(store.connection, true);
  expect(await store.routes()).toHaveLength(1);
  await store.createRoute(route('b'));
  expect(String(await replica.command('role'))).toContain('master');
}, 60_000);
