import { onTestFinished } from 'vitest';
import type { RedisState } from '../../src/base/config/config.ts';
import { redisStateFrom } from '../../src/base/config/redis-url.ts';
import type { RedisConnection } from '../../src/store/redis-connection.ts';
import { type OpenRedisStore, openRedisStore } from '../../src/store/redis-store.ts';
import { startRedis, type TestRedis, type TestRedisOptions } from '../helpers/redis.ts';

export function stateOf(url: string): RedisState {
  const state = redisStateFrom(url);
  if (state.kind === 'problem') throw new Error(`${url}: ${state.problem}`);
  return state;
}

/** A redis-server of this test's own. */
export async function ownRedis(options: TestRedisOptions = {}): Promise<TestRedis> {
  const redis = await startRedis(options);
  onTestFinished(() => redis.stop());
  return redis;
}

/** A store that is closed when the test is over. */
export async function openOn(url: string): Promise<OpenRedisStore> {
  const store = await openRedisStore({ state: stateOf(url) });
  onTestFinished(() => store.close());
  return store;
}

/** Resolves, with the milliseconds that it took, when the connection says so. */
export async function becomes(connection: RedisConnection, isThere: boolean): Promise<number> {
  const startedAt = performance.now();
  if (connection.isThere !== isThere) {
    await new Promise<void>((resolve) => {
      const stop = connection.onChange((now) => {
        if (now !== isThere) return;
        stop();
        resolve();
      });
    });
  }
  return performance.now() - startedAt;
}

/** How a promise ended, and after how many milliseconds. */
export async function timed<T>(
  promise: Promise<T>,
): Promise<{ readonly ms: number; readonly value: T | null; readonly error: unknown }> {
  const startedAt = performance.now();
  try {
    const value = await promise;
    return { ms: performance.now() - startedAt, value, error: null };
  } catch (error) {
    return { ms: performance.now() - startedAt, value: null, error };
  }
}
