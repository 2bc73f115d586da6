import { describe, expect, onTestFinished, test } from 'vitest';
import { createMemoryLimiter, type MemoryLimiter } from '../../src/access/memory-limiter.ts';
import { limiterContract } from './limiter-contract.ts';
import { attempt, FakeLimiterClock, type LimiterHouse, limitedKey, NOTHING_USED } from './limiter-house.ts';
import { SpendBook } from './spend-book.ts';

interface Memory {
  readonly limiter: MemoryLimiter;
  readonly clock: FakeLimiterClock;
  readonly book: SpendBook;
}

function openMemory(): Memory {
  const clock = new FakeLimiterClock();
  const book = new SpendBook();
  const limiter = createMemoryLimiter({ store: book, logger: book.logger, clock });
  onTestFinished(() => limiter.close());
  return { limiter, clock, book };
}

async function openHouse(): Promise<LimiterHouse> {
  const { limiter, clock, book } = openMemory();
  return {
    limiters: [limiter],
    add: async () => {},
    advance: (milliseconds) => clock.advance(milliseconds),
    wallNow: () => clock.wall(),
    arrived: async () => {},
    async spentUsd(id) {
      await limiter.close();
      return book.usd(id);
    },
  };
}

limiterContract('in memory', { open: openHouse });

describe('in memory: clocks', () => {
  test('a wall clock that is set moves no rate', async () => {
    const { limiter, clock } = openMemory();
    const key = limitedKey({ rpmLimit: 3, tpmLimit: 100 });
    for (let i = 0; i < 3; i++) expect((await attempt(limiter, key)).passed).toBe(true);
    const offset = clock.wallOffsetMs;
    for (const stepMs of [86_400_000, -86_400_000, -30_000, 30_000]) {
      clock.wallOffsetMs = offset + stepMs;
      expect(await attempt(limiter, key)).toMatchObject({ passed: false, retryAfterS: 60 });
    }
    await clock.advance(60_000);
    for (let i = 0; i < 3; i++) expect((await attempt(limiter, key)).passed).toBe(true);
  });

  test('a wall clock that steps back keeps nobody out beyond what it says', async () => {
    const { limiter, clock } = openMemory();
    const budget = { duration: '1h', resetAt: clock.wall() + 3_600_000 };
    const key = limitedKey({ maxBudget: 1, spend: 1, budget });
    expect((await attempt(limiter, key)).passed).toBe(false);
    clock.wallOffsetMs += 3_600_000;
    const grant = limiter.take(key);
    clock.wallOffsetMs -= 3_600_000;
    grant.settle({ tokens: null, costUsd: 0.5 });
    clock.wallOffsetMs += 3_600_000;
    expect((await attempt(limiter, key)).passed).toBe(true);
  });

  test('an edit counts even if the clock has stepped back since the last', async () => {
    const { limiter } = openMemory();
    const key = limitedKey({ maxBudget: 1, spend: 1, updatedAt: 1_000 });
    expect((await attempt(limiter, key)).passed).toBe(false);
    expect((await attempt(limiter, { ...key, spend: 0, updatedAt: 500 })).passed).toBe(true);
  });
});

describe('in memory: what was spent', () => {
  test('is counted once, whether the key was read before or after it was written', async () => {
    const { limiter, clock, book } = openMemory();
    const key = limitedKey({ maxBudget: 1, spend: 0.5 });
    limiter.take(key).settle({ tokens: null, costUsd: 0.25 });
    expect(limiter.take({ ...key }).settle(NOTHING_USED)).toBeUndefined();
    await clock.advance(250);
    expect(book.usd(key.id)).toBe(0.25);
    // Read again, by then with what was written.
    limiter.take({ ...key, spend: 0.75 }).settle({ tokens: null, costUsd: 0.125 });
    expect((await attempt(limiter, { ...key, spend: 0.75 })).passed).toBe(true);
    limiter.take({ ...key, spend: 0.75 }).settle({ tokens: null, costUsd: 0.125 });
    expect((await attempt(limiter, { ...key, spend: 0.75 })).passed).toBe(false);
  });

  test('by others is counted when the key is read again', async () => {
    const { limiter } = openMemory();
    const key = limitedKey({ maxBudget: 1 });
    limiter.take(key).settle({ tokens: null, costUsd: 0.25 });
    expect((await attempt(limiter, { ...key, spend: 0.75 })).passed).toBe(false);
  });

  test('is what an edit says, and what is not written yet', async () => {
    const { limiter, clock } = openMemory();
    const key = limitedKey({ maxBudget: 1, spend: 0.5 });
    limiter.take(key).settle({ tokens: null, costUsd: 0.5 });
    expect((await attempt(limiter, key)).passed).toBe(false);
    await clock.advance(250);
    const reset = { ...key, spend: 0, updatedAt: 2 };
    limiter.take(reset).settle({ tokens: null, costUsd: 0.75 });
    expect((await attempt(limiter, reset)).passed).toBe(true);
    const lowered = { ...key, spend: 0.25, updatedAt: 3 };
    expect((await attempt(limiter, lowered)).passed).toBe(false);
  });

  test('in a period that is over is not counted in the next, nor by a key that was read in it', async () => {
    const { limiter, clock } = openMemory();
    const resetAt = clock.wall() + 1_000;
    const key = limitedKey({ maxBudget: 1, spend: 0.9, budget: { duration: '1h', resetAt } });
    limiter.take(key).settle({ tokens: null, costUsd: 0.1 });
    expect((await attempt(limiter, key)).passed).toBe(false);
    await clock.advance(1_000);
    const long = limiter.take(key);
    // The store has begun the period in the meantime.
    const begun = { ...key, spend: 0, budget: { duration: '1h', resetAt: resetAt + 3_600_000 } };
    expect((await attempt(limiter, begun)).passed).toBe(true);
    long.settle({ tokens: null, costUsd: 1 });
    expect((await attempt(limiter, begun)).passed).toBe(false);
    expect((await attempt(limiter, key)).passed).toBe(false);
    expect((await attempt(limiter, { ...begun })).passed).toBe(false);
  });

  test('begins anew by the calendar where the budget does', async () => {
    const { limiter, clock } = openMemory();
    const budget = { duration: '1mo', resetAt: clock.wall() };
    const key = limitedKey({ maxBudget: 1, spend: 1, budget });
    limiter.take(key).settle({ tokens: null, costUsd: 1 });
    // 31 January until 28 February.
    expect(await attempt(limiter, key)).toMatchObject({ passed: false, retryAfterS: 28 * 86_400 });
  });

  test.each([Number.NaN, -1, Number.POSITIVE_INFINITY])('that is %s is nothing', async (usd) => {
    const { limiter, book } = openMemory();
    const keys = [limitedKey({ maxBudget: 1 }), limitedKey({})];
    for (const key of keys) {
      limiter.take(key).settle({ tokens: usd, costUsd: usd });
      expect((await attempt(limiter, key)).passed).toBe(true);
    }
    await limiter.close();
    expect(book.batches).toEqual([]);
  });
});

describe('in memory: tokens', () => {
  test.each([1e300, Number.POSITIVE_INFINITY])(
    'a number of them that no answer has, %s, is over after a minute',
    async (tokens) => {
      const { limiter, clock } = openMemory();
      const key = limitedKey({ tpmLimit: 100 });
      limiter.take(key).settle({ tokens, costUsd: 0 });
      expect(await attempt(limiter, key)).toMatchObject({ passed: false, retryAfterS: 60 });
      await clock.advance(60_000);
      expect((await attempt(limiter, key)).passed).toBe(true);
    },
  );
});

describe('in memory: its memory', () => {
  test('forgets keys that are idle, and none that has a request under way or has spent', async () => {
    const { limiter, clock } = openMemory();
    for (let i = 0; i < 5_000; i++) limiter.take(limitedKey({ rpmLimit: 5 })).settle(NOTHING_USED);
    const held = limitedKey({ maxParallelRequests: 1 });
    const grant = limiter.take(held);
    const spent = limitedKey({ maxBudget: 1 });
    limiter.take(spent).settle({ tokens: null, costUsd: 1 });
    expect(limiter.size).toBe(5_002);
    await clock.advance(119_000);
    expect(limiter.size).toBe(5_002);
    await clock.advance(62_000);
    expect(limiter.size).toBe(2);
    expect((await attempt(limiter, held)).passed).toBe(false);
    expect((await attempt(limiter, spent)).passed).toBe(false);
    grant.settle(NOTHING_USED);
    await clock.advance(1_000_000);
    expect(limiter.size).toBe(0);
  });
});
