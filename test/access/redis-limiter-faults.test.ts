import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Grant } from '../../src/access/limiter.ts';
import { createRedisLimiter, type RedisLimiter } from '../../src/access/redis-limiter.ts';
import type { StoredKey } from '../../src/store/key-store.ts';
import type { OpenRedisStore } from '../../src/store/redis-store.ts';
import type { TestRedis } from '../helpers/redis.ts';
import { becomes, openOn, ownRedis, timed } from '../store/redis-house.ts';
import { attempt, limitedKey, NOTHING_USED, type Outcome } from './limiter-house.ts';

const PROGRAM = fileURLToPath(new URL('./limiter-process.ts', import.meta.url));
const HEALED_MS = 5_000;
const REQUEST_MS = 100;

interface Instance {
  readonly store: OpenRedisStore;
  readonly limiter: RedisLimiter;
  readonly lines: readonly { readonly msg: string; readonly level: number }[];
}

async function openInstance(redis: TestRedis): Promise<Instance> {
  const store = await openOn(redis.url);
  const lines: { readonly msg: string; readonly level: number }[] = [];
  const logger = pino({ base: null }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const limiter = createRedisLimiter({ connection: store.connection, store, logger });
  onTestFinished(() => limiter.close());
  return { store, limiter, lines };
}

async function times(count: number, limiter: RedisLimiter, key: StoredKey): Promise<readonly Outcome[]> {
  return Promise.all(Array.from({ length: count }, () => attempt(limiter, key)));
}

const passed = (outcomes: readonly Outcome[]): number => outcomes.filter((one) => one.passed).length;
const isShare = ({ headers }: Outcome): boolean => headers.get('x-sluice-degraded') === 'limits';

describe('while Redis is killed', () => {
  test('each instance has its share of the limits, says so, and asks nobody', async () => {
    const redis = await ownRedis();
    const [one, two] = [await openInstance(redis), await openInstance(redis)];
    // Each has heard of the other.
    await Promise.all([one.store.connection.beat(), two.store.connection.beat()]);
    const key = limitedKey({ rpmLimit: 10, maxParallelRequests: 100 });
    const before = await attempt(one.limiter, key);
    expect(before.headers.has('x-sluice-degraded')).toBe(false);
    await redis.kill();
    await Promise.all([one, two].map(({ store }) => becomes(store.connection, false)));
    for (const { limiter } of [one, two]) {
      // At once: no promise.
      const grant = limiter.take(key);
      expect(grant).not.toBeInstanceOf(Promise);
      expect((grant as Grant).headers).toEqual([
        'x-ratelimit-limit-requests',
        '5',
        'x-ratelimit-remaining-requests',
        '4',
        'x-ratelimit-reset-requests',
        '60',
        'x-sluice-degraded',
        'limits',
      ]);
      const outcomes = await times(20, limiter, key);
      expect(passed(outcomes)).toBe(4);
      expect(outcomes.every(isShare)).toBe(true);
    }
    await redis.start();
    await Promise.all([one, two].map(({ store }) => becomes(store.connection, true)));
    const after = await times(12, one.limiter, key);
    // This Redis has kept nothing.
    expect(passed(after)).toBe(10);
    expect(after.some(isShare)).toBe(false);
    expect(one.lines.map(({ level, msg }) => [level, msg])).toEqual([
      [40, "Redis is away: limits are this instance's share, one of 2"],
      [30, 'Redis is there again: limits hold over all instances'],
    ]);
  });

  test('a limit of 0 refuses all, and a small one still lets some pass', async () => {
    const redis = await ownRedis();
    const [one, two] = [await openInstance(redis), await openInstance(redis)];
    await Promise.all([one.store.connection.beat(), two.store.connection.beat()]);
    await redis.kill();
    await becomes(one.store.connection, false);
    expect(passed(await times(5, one.limiter, limitedKey({ rpmLimit: 0 })))).toBe(0);
    expect(passed(await times(5, one.limiter, limitedKey({ rpmLimit: 1 })))).toBe(1);
    expect(passed(await times(5, one.limiter, limitedKey({ maxParallelRequests: 3 })))).toBe(1);
    expect(two.store.connection.instances).toBe(2);
  });

  test('what is spent is written when it is back', async () => {
    const redis = await ownRedis({ arguments: ['--appendonly', 'yes', '--appendfsync', 'always'] });
    const { store, limiter } = await openInstance(redis);
    const keys = [limitedKey({ maxBudget: 5 }), limitedKey({ rpmLimit: 100 }), limitedKey({})];
    for (const key of keys) await store.createKey(key);
    const underWay = await Promise.all(keys.map(async (key) => limiter.take(key)));
    await redis.kill();
    await becomes(store.connection, false);
    // Some were taken in Redis, some are taken here.
    for (const grant of underWay) grant.settle({ tokens: 5, costUsd: 0.25 });
    for (const key of keys) (await limiter.take(key)).settle({ tokens: 5, costUsd: 0.25 });
    await redis.start();
    await becomes(store.connection, true);
    await limiter.close();
    const { keys: stored } = await store.keys({
      offset: 0,
      limit: 9,
      userId: null,
      teamId: null,
      alias: null,
    });
    expect(stored.map(({ spend }) => spend)).toEqual([0.5, 0.5, 0.5]);
  });

  test('a budget that is spent stays spent', async () => {
    const redis = await ownRedis();
    const { store, limiter } = await openInstance(redis);
    const key = limitedKey({ maxBudget: 1, spend: 1 });
    await store.createKey(key);
    await redis.kill();
    await becomes(store.connection, false);
    expect(await attempt(limiter, key)).toMatchObject({ passed: false, reason: 'budget_exceeded' });
  });

  test('requests that end then free their slots when it is back', async () => {
    const redis = await ownRedis({ arguments: ['--appendonly', 'yes', '--appendfsync', 'always'] });
    const { store, limiter } = await openInstance(redis);
    const key = limitedKey({ maxParallelRequests: 2 });
    const grants = [await limiter.take(key), await limiter.take(key)];
    await redis.kill();
    await becomes(store.connection, false);
    for (const grant of grants) grant.settle(NOTHING_USED);
    await redis.start();
    await becomes(store.connection, true);
    await store.connection.command('ping');
    expect(passed(await times(5, limiter, key))).toBe(2);
  });
});

describe('while Redis is stopped with its sockets open', () => {
  test('nobody waits more than 100 ms, and slots come free again when it goes on', async () => {
    const redis = await ownRedis();
    const { store, limiter } = await openInstance(redis);
    const key = limitedKey({ rpmLimit: 1_000, maxParallelRequests: 4 });
    redis.freeze();
    const waits: number[] = [];
    while (store.connection.isThere) {
      const { ms, value } = await timed(attempt(limiter, key));
      waits.push(ms);
      if (value?.passed === true) value.grant.settle(NOTHING_USED);
    }
    expect(Math.max(...waits)).toBeLessThan(REQUEST_MS);
    redis.thaw();
    expect(await becomes(store.connection, true)).toBeLessThan(HEALED_MS);
    // What Redis took while it went on, for requests that had left, is given back.
    await store.connection.beat();
    await store.connection.command('ping');
    expect(passed(await times(10, limiter, key))).toBe(4);
  });
});

describe('a Redis that forgets', () => {
  test('its scripts goes on where it was', async () => {
    const redis = await ownRedis();
    const { limiter } = await openInstance(redis);
    const key = limitedKey({ rpmLimit: 100 });
    expect(passed(await times(40, limiter, key))).toBe(40);
    await redis.command('script', 'flush');
    const outcomes = await times(100, limiter, key);
    expect(passed(outcomes)).toBe(60);
    expect(outcomes.some(isShare)).toBe(false);
  });

  test('everything begins anew', async () => {
    const redis = await ownRedis();
    const { limiter } = await openInstance(redis);
    const key = limitedKey({ rpmLimit: 3, maxParallelRequests: 3 });
    const [first] = await times(3, limiter, key);
    await redis.command('flushall');
    if (first?.passed === true) first.grant.settle({ tokens: 1, costUsd: 1 });
    await limiter.settled();
    expect(passed(await times(5, limiter, key))).toBe(3);
  });
});

test('a Redis that is demoted counts no more: each instance has its share', async () => {
  const redis = await ownRedis();
  const { store, limiter } = await openInstance(redis);
  const key = limitedKey({ rpmLimit: 3 });
  await redis.command('replicaof', '127.0.0.1', '1');
  const outcomes = await times(10, limiter, key);
  expect(passed(outcomes)).toBe(3);
  expect(outcomes.every(isShare)).toBe(true);
  await redis.command('replicaof', 'no', 'one');
  expect(await becomes(store.connection, true)).toBeLessThan(HEALED_MS);
  expect(isShare(await attempt(limiter, key))).toBe(false);
});

test('a counter that somebody else has overwritten is told of once, and stops nobody', async () => {
  const redis = await ownRedis();
  const { store, limiter, lines } = await openInstance(redis);
  const key = limitedKey({ rpmLimit: 3 });
  await redis.command('set', store.connection.keys.use(key.id), 'nonsense');
  expect(passed(await times(5, limiter, key))).toBe(3);
  expect(lines.map(({ level }) => level)).toEqual([50]);
});

test('of 20,000 attempts by 4 processes exactly as many pass as the limit says, whatever their clocks say', async () => {
  const redis = await ownRedis();
  const key = limitedKey({ rpmLimit: 1_000 });
  const results = await Promise.all(
    [0, 30_000, -30_000, 0].map(async (skewMs) => {
      const child = spawn(process.execPath, [PROGRAM, redis.url, '5000', String(skewMs)], {
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      onTestFinished(() => void child.kill('SIGKILL'));
      child.stdin.end(JSON.stringify(key));
      return JSON.parse(await text(child.stdout)) as { readonly passed: number; readonly shares: number };
    }),
  );
  expect(results.map(({ shares }) => shares)).toEqual([0, 0, 0, 0]);
  expect(results.reduce((sum, one) => sum + one.passed, 0)).toBe(1_000);
});

test('a process that dies frees its slots', async () => {
  const redis = await ownRedis();
  const { store, limiter } = await openInstance(redis);
  const key = limitedKey({ maxParallelRequests: 2 });
  // As one that died has left it: its lease is over by Redis's clock, and nobody renews it.
  const { running } = store.connection.keys;
  await redis.command('zadd', running(key.id), Date.now() - 1, 'dead:1');
  await redis.command('zadd', running(key.id), Date.now() + 20_000, 'alive:1');
  expect(passed(await times(5, limiter, key))).toBe(1);
});
