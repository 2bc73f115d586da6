import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import { createRedisLimiter, type RedisLimiter } from '../../src/access/redis-limiter.ts';
import { partSource, scriptsWith } from '../../src/store/redis-scripts.ts';
import { type OpenRedisStore, openRedisStore } from '../../src/store/redis-store.ts';
import { stateOf } from '../store/redis-house.ts';
import { FakeLimiterClock, type LimiterHouse } from './limiter-house.ts';

const logger = pino({ level: 'silent' });

/** Of scripts: a clock that a test sets. */
function scriptsByClock(clockKey: string) {
  const now = `local function now() return tonumber(redis.call('get', '${clockKey}') or 0) end`;
  return scriptsWith((part) => (part === 'now.lua' ? now : partSource(part)));
}

/** Two limiters on one Redis whose clock the test sets. */
export async function openRedisHouse(url: string): Promise<LimiterHouse> {
  const state = stateOf(url);
  const clockKey = `${state.prefix}:{state}:test-clock`;
  const scripts = scriptsByClock(clockKey);
  const clock = new FakeLimiterClock();
  const openInstance = async (): Promise<readonly [OpenRedisStore, RedisLimiter]> => {
    const store = await openRedisStore({ state, scripts });
    const limiter = createRedisLimiter({ connection: store.connection, store, logger, clock });
    onTestFinished(async () => {
      await limiter.close();
      await store.close();
    });
    return [store, limiter];
  };
  const [[store, one], [otherStore, other]] = [await openInstance(), await openInstance()];
  const stores = [store, otherStore];
  const limiters = [one, other] as const;
  const setClock = () => store.connection.command('set', clockKey, clock.wall());
  /** Commands of a connection are done in their order: what was sent before this is done when it is answered. */
  const arrived = async (): Promise<void> => {
    await Promise.all(limiters.map((limiter) => limiter.settled()));
    await Promise.all(stores.map(({ connection }) => connection.command('ping')));
  };
  await setClock();
  return {
    limiters,
    add: (key) => store.createKey(key),
    async advance(milliseconds) {
      for (let left = milliseconds; left > 0; ) {
        const step = Math.min(left, 10_000);
        left -= step;
        await clock.advance(step);
        await setClock();
        await arrived();
      }
    },
    wallNow: () => clock.wall(),
    arrived,
    async spentUsd(id) {
      for (const limiter of limiters) await limiter.close();
      const { keys } = await store.keys({ offset: 0, limit: 100, userId: null, teamId: null, alias: null });
      return keys.find((key) => key.id === id)?.spend ?? Number.NaN;
    },
  };
}
