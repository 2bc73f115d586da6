import { describe, expect, onTestFinished, test } from 'vitest';
import { openRedisStore } from '../../src/store/redis-store.ts';
import type { TestRedis } from '../helpers/redis.ts';
import { becomes, openOn, ownRedis, stateOf, timed } from './redis-house.ts';
import { key, route, tokenOf } from './samples.ts';
import { firstCall } from './start-process.ts';

const DURABLE = ['--appendonly', 'yes', '--appendfsync', 'always'];
const NOW = 1_750_000_000_000;

/** Within this a Redis that is gone is known to be, and one that is back is used again. */
const NOTICED_MS = 1_000;
const HEALED_MS = 5_000;
/** The longest that a request waits: the deadline, twice. */
const REQUEST_MS = 100;

describe('Redis, killed', () => {
  test('fails verbs soon, and those of a request at once, until it is back with all that it had', async () => {
    const redis = await ownRedis({ arguments: DURABLE });
    const store = await openOn(redis.url);
    await store.createKey(key('a'));
    await redis.kill();
    expect(await becomes(store.connection, false)).toBeLessThan(NOTICED_MS);
    const asked = await timed(store.keyByToken(tokenOf('a'), NOW));
    expect(asked.error).toMatchObject({
      reason: 'store_unavailable',
      message: 'State is not available just now: the connection to Redis is lost.',
    });
    expect(asked.ms).toBeLessThan(REQUEST_MS);
    const written = await timed(store.createRoute(route('r')));
    expect(written.error).toMatchObject({ reason: 'store_unavailable' });
    expect(written.ms).toBeLessThan(NOTICED_MS);
    expect(await store.check()).toBe(false);
    await redis.start();
    expect(await becomes(store.connection, true)).toBeLessThan(HEALED_MS);
    expect((await store.keyByToken(tokenOf('a'), NOW))?.id).toBe('a');
    await store.createRoute(route('r'));
    expect(await store.check()).toBe(true);
  });

  test('keeps every change that it had answered', async () => {
    const redis = await ownRedis({ arguments: DURABLE });
    const store = await openOn(redis.url);
    const created: string[] = [];
    const revoked = new Set<string>();
    const KILLS = 4;
    for (let round = 0; round < KILLS; round++) {
      const COUNT = 250;
      const work = (async () => {
        for (let index = 0; index < COUNT; index++) {
          const id = `${round}-${index}`;
          await store.createKey(key(id));
          created.push(id);
          if (index % 2 === 1) {
            await store.deleteKeys([id]);
            revoked.add(id);
          }
          // In the middle of it, without a word.
          if (index === COUNT / 2 + round) void redis.kill();
        }
      })();
      await work.catch(() => {});
      await becomes(store.connection, false);
      await redis.start();
      await becomes(store.connection, true);
    }
    expect(created.length).toBeGreaterThan(KILLS * 100);
    const alive = new Set((await store.keys(EVERYTHING)).keys.map(({ id }) => id));
    expect(created.filter((id) => !revoked.has(id) && !alive.has(id))).toEqual([]);
    // A deletion whose answer was lost may have been done or not.
    expect([...revoked].filter((id) => alive.has(id))).toEqual([]);
  });

  test('tells watchers of what has changed meanwhile', async () => {
    const redis = await ownRedis({ arguments: DURABLE });
    const [one, two] = [await openOn(redis.url), await openOn(redis.url)];
    await two.createRoute(route('before'));
    await redis.kill();
    await becomes(two.connection, false);
    await redis.start();
    await becomes(one.connection, true);
    const heard = firstCall();
    onTestFinished(two.watch(heard.call));
    await one.createRoute(route('a'));
    await heard.happened;
    expect(await two.routes()).toHaveLength(2);
  });
});

describe('Redis, stopped with its sockets open', () => {
  test('keeps no request waiting, is known to be away within a second, and is used again when it goes on', async () => {
    const redis = await ownRedis();
    const store = await openOn(redis.url);
    await store.createKey(key('a'));
    const { connection } = store;
    redis.freeze();
    const frozenAt = performance.now();
    const waits: number[] = [];
    while (connection.isThere) waits.push((await timed(store.keyByToken(tokenOf('a'), NOW))).ms);
    expect(performance.now() - frozenAt).toBeLessThan(NOTICED_MS);
    expect(Math.max(...waits)).toBeLessThan(REQUEST_MS);
    const { ms, error } = await timed(store.keyByToken(tokenOf('a'), NOW));
    expect(error).toMatchObject({ reason: 'store_unavailable' });
    expect(ms).toBeLessThan(5);
    redis.thaw();
    expect(await becomes(connection, true)).toBeLessThan(HEALED_MS);
    expect((await store.keyByToken(tokenOf('a'), NOW))?.id).toBe('a');
  });

  test('is known to be away without a request, and however long it takes', async () => {
    const redis = await ownRedis();
    const store = await openOn(redis.url);
    redis.freeze();
    expect(await becomes(store.connection, false)).toBeLessThan(NOTICED_MS);
    // Longer than the connection lasts without an answer: others have come, and are not answered either.
    await new Promise((resolve) => setTimeout(resolve, 4_000));
    redis.thaw();
    expect(await becomes(store.connection, true)).toBeLessThan(HEALED_MS);
    await store.createRoute(route('a'));
  });

  test('makes a change fail when its time is over', async () => {
    const redis = await ownRedis();
    const store = await openOn(redis.url);
    redis.freeze();
    const { ms, error } = await timed(store.createRoute(route('a')));
    expect(error).toMatchObject({ reason: 'store_unavailable' });
    expect(ms).toBeLessThan(2_500);
  });
});

describe('Redis that answers but can do nothing', () => {
  test('a replica: what reads and what writes fail alike, until it is a master again', async () => {
    const redis = await ownRedis();
    const store = await openOn(redis.url);
    await redis.command('replicaof', '127.0.0.1', '1');
    await becomes(store.connection, false);
    const { error } = await timed(store.createRoute(route('a')));
    expect(error).toMatchObject({
      reason: 'store_unavailable',
      message: expect.stringMatching(/read-only replica|connection to Redis is lost/),
    });
    await redis.command('replicaof', 'no', 'one');
    expect(await becomes(store.connection, true)).toBeLessThan(HEALED_MS);
    await store.createRoute(route('a'));
  });

  test('one that is loading its data', async () => {
    const redis = await ownRedis();
    const store = await openOn(redis.url);
    await store.createKey(key('a'));
    await fill(redis, 3_000);
    await redis.command('save');
    await redis.kill();
    await becomes(store.connection, false);
    await redis.start(['--key-load-delay', '500', '--loading-process-events-interval-bytes', '1024']);
    expect(String(await redis.command('info', 'persistence'))).toContain('loading:1');
    expect(store.connection.isThere).toBe(false);
    expect((await timed(store.keyByToken(tokenOf('a'), NOW))).error).toMatchObject({
      reason: 'store_unavailable',
    });
    await becomes(store.connection, true);
    expect((await store.keyByToken(tokenOf('a'), NOW))?.id).toBe('a');
  });

  test('one whose memory is full', async () => {
    const redis = await ownRedis({ arguments: ['--maxmemory-policy', 'noeviction'] });
    const store = await openOn(redis.url);
    await redis.command('config', 'set', 'maxmemory', '1');
    await becomes(store.connection, false);
    expect((await timed(store.createRoute(route('a')))).error).toMatchObject({
      message: 'State is not available just now: Redis is out of memory.',
    });
    await redis.command('config', 'set', 'maxmemory', '0');
    expect(await becomes(store.connection, true)).toBeLessThan(HEALED_MS);
  });
});

describe('Redis that forgets', () => {
  test('its scripts: they are sent again', async () => {
    const redis = await ownRedis();
    const store = await openOn(redis.url);
    await store.createKey(key('a'));
    await redis.command('script', 'flush');
    const asked = Array.from({ length: 50 }, () => store.keyByToken(tokenOf('a'), NOW));
    expect((await Promise.all(asked)).every((found) => found?.id === 'a')).toBe(true);
    await store.createKey(key('b'));
    expect((await store.keys(EVERYTHING)).total).toBe(2);
  });

  test('everything: watchers are told, and versions still grow', async () => {
    const redis = await ownRedis();
    const [one, two] = [await openOn(redis.url), await openOn(redis.url)];
    for (let i = 0; i < 5; i++) await one.createKey(key(`${i}`));
    const before = await two.keysVersion();
    const heard = firstCall();
    onTestFinished(two.watch(heard.call));
    await two.connection.beat();
    await redis.command('flushall');
    await heard.happened;
    expect((await two.keys(EVERYTHING)).total).toBe(0);
    expect(await two.keysVersion()).not.toBe(before);
    await one.createKey(key('a'));
    expect(await two.keysVersion()).toBeGreaterThan(before);
  });
});

describe('a Redis that can’t be used at the start is told of in one line', () => {
  async function refusal(url: string, openTimeoutMs = 5_000): Promise<string> {
    try {
      const store = await openRedisStore({ state: stateOf(url), openTimeoutMs });
      await store.close();
    } catch (error) {
      return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    }
    return 'opened';
  }

  test('nothing listens', async () => {
    const redis = await ownRedis();
    await redis.kill();
    expect(await refusal(`redis://user:geheim@127.0.0.1:${redis.port}/2`, 200)).toBe(
      `StoreOpenError: state can't be kept in redis://127.0.0.1:${redis.port}/2: nothing listens there; start it, or say where it is with DATABASE_URL=redis://host:port or REDIS_URL`,
    );
  });

  test('a password is missing, or wrong: at once', async () => {
    const redis = await ownRedis({ arguments: ['--requirepass', 'geheim'] });
    const at = `redis://127.0.0.1:${redis.port}/0`;
    const startedAt = performance.now();
    expect(await refusal(`redis://127.0.0.1:${redis.port}`)).toBe(
      `StoreOpenError: state can't be kept in ${at}: Redis asks for a password; mend that, and start again`,
    );
    expect(await refusal(`redis://:falsch@127.0.0.1:${redis.port}`)).toBe(
      `StoreOpenError: state can't be kept in ${at}: Redis refuses the password; mend that, and start again`,
    );
    expect(performance.now() - startedAt).toBeLessThan(2_000);
    const store = await openOn(`redis://:geheim@127.0.0.1:${redis.port}`);
    expect(await store.routes()).toEqual([]);
  });

  test('nothing answers', async () => {
    const redis = await ownRedis();
    redis.freeze();
    expect(await refusal(redis.url, 300)).toMatch(/: Redis does not answer|: it is being connected/);
    redis.thaw();
  });
});

const EVERYTHING = { offset: 0, limit: 10_000, userId: null, teamId: null, alias: null };

async function fill(redis: TestRedis, count: number): Promise<void> {
  const lines = Array.from({ length: count }, (_, index) => [`filler:${index}`, 'x'.repeat(100)]).flat();
  await redis.command('mset', ...lines);
}
