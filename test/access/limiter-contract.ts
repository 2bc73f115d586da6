import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  attempt,
  type LimiterHouse,
  limitedKey,
  NOTHING_USED,
  type Outcome,
  passing,
} from './limiter-house.ts';

const WINDOW_MS = 60_000;

export interface LimiterContract {
  /** Opens a house of its own for each test. */
  readonly open: () => Promise<LimiterHouse>;
  /** How many random histories each property is tried with; default 100. */
  readonly runs?: number;
}

/** What every limiter must do. */
export function limiterContract(name: string, { open, runs = 100 }: LimiterContract): void {
  async function houseWith(limits: Parameters<typeof limitedKey>[0]) {
    const house = await open();
    const key = limitedKey(limits);
    await house.add(key);
    const [limiter] = house.limiters;
    return { house, key, limiter, take: () => attempt(limiter, key) };
  }

  describe(`${name}: requests a minute`, () => {
    test('exactly as many pass as the limit says, of many at a time', async () => {
      const { house, key } = await houseWith({ rpmLimit: 100 });
      expect(await passing(house, key, 350)).toBe(100);
      expect(await passing(house, key, 50)).toBe(0);
    });

    test('exactly as many pass in the 60 s from the first on, whenever they come', async () => {
      const { house, key } = await houseWith({ rpmLimit: 10 });
      await house.advance(43_210);
      let passed = 0;
      for (const pauseMs of [0, 1, 16_789, 1_000, 30_000, 12_208]) {
        await house.advance(pauseMs);
        passed += await passing(house, key, 3);
      }
      expect(passed).toBe(10);
      await house.advance(1);
      expect(await passing(house, key, 3)).toBe(0);
    });

    test('all pass again 60 s after the last', async () => {
      const { house, key } = await houseWith({ rpmLimit: 10 });
      expect(await passing(house, key, 3)).toBe(3);
      await house.advance(20_000);
      expect(await passing(house, key, 20)).toBe(7);
      await house.advance(WINDOW_MS);
      expect(await passing(house, key, 20)).toBe(10);
    });

    test('a second burst behind the boundary does not pass', async () => {
      const { house, key } = await houseWith({ rpmLimit: 60 });
      expect(await passing(house, key, 1)).toBe(1);
      await house.advance(WINDOW_MS - 1);
      expect(await passing(house, key, 100)).toBe(59);
      await house.advance(1);
      expect(await passing(house, key, 100)).toBe(0);
      await house.advance(10_000);
      expect(await passing(house, key, 100)).toBe(10);
    });

    test('no time has more than its share, and whoever keeps to the limit is never refused', async () => {
      const step = fc.record({
        pauseMs: fc.oneof(
          fc.integer({ min: 0, max: 3_000 }),
          fc.integer({ min: 0, max: 70_000 }),
          fc.constantFrom(1, WINDOW_MS - 1, WINDOW_MS),
        ),
        attempts: fc.integer({ min: 1, max: 12 }),
      });
      const histories = fc.array(step, { minLength: 1, maxLength: 15 });
      await fc.assert(
        fc.asyncProperty(fc.integer({ min: 1, max: 8 }), histories, async (limit, steps) => {
          const { house, key } = await houseWith({ rpmLimit: limit });
          const passedAt: number[] = [];
          let now = 0;
          for (const { pauseMs, attempts } of steps) {
            await house.advance(pauseMs);
            now += pauseMs;
            const recent = passedAt.filter((at) => at > now - 2 * WINDOW_MS).length;
            const passed = await passing(house, key, attempts);
            expect(passed).toBeGreaterThanOrEqual(Math.min(attempts, limit - recent));
            for (let i = 0; i < passed; i++) passedAt.push(now);
            for (const [index, at] of passedAt.entries()) {
              if (now - at >= WINDOW_MS) continue;
              expect(passedAt.length - index).toBeLessThanOrEqual(limit * (1 + (now - at) / WINDOW_MS));
            }
          }
        }),
        { numRuns: runs },
      );
    });

    test('none pass with a limit of 0, and waiting is not advised', async () => {
      const { house, key, take } = await houseWith({ rpmLimit: 0 });
      expect(await take()).toMatchObject({ passed: false, reason: 'rate_limited', retryAfterS: null });
      await house.advance(10 * WINDOW_MS);
      expect(await passing(house, key, 5)).toBe(0);
    });

    test('a request counts however it ends', async () => {
      const { house, key, take } = await houseWith({ rpmLimit: 2 });
      for (let i = 0; i < 2; i++) settle(await take());
      await house.arrived();
      expect(await passing(house, key, 2)).toBe(0);
    });

    test('a changed limit holds for what was counted before', async () => {
      const { house, key } = await houseWith({ rpmLimit: 5 });
      expect(await passing(house, key, 10)).toBe(5);
      const more = { ...key, rpmLimit: 8, updatedAt: 2 };
      expect(await passing(house, more, 10)).toBe(3);
      const less = { ...key, rpmLimit: 1, updatedAt: 3 };
      expect(await passing(house, less, 10)).toBe(0);
    });

    test('keys have counts of their own', async () => {
      const { house, key } = await houseWith({ rpmLimit: 2 });
      const other = limitedKey({ rpmLimit: 2 });
      await house.add(other);
      expect(await passing(house, key, 5)).toBe(2);
      expect(await passing(house, other, 5)).toBe(2);
    });
  });

  describe(`${name}: tokens a minute`, () => {
    test('what is used already decides, and the next is refused', async () => {
      const { house, take } = await houseWith({ tpmLimit: 100 });
      const first = await take();
      const second = await take();
      settle(first, 99);
      await house.arrived();
      const third = await take();
      expect(third.passed).toBe(true);
      settle(second, 1);
      await house.arrived();
      expect(await take()).toMatchObject({ passed: false, reason: 'rate_limited' });
      settle(third, 1_000);
      await house.arrived();
      expect(await take()).toMatchObject({ passed: false, reason: 'rate_limited' });
    });

    test('count from the end of their answer on', async () => {
      const { house, take } = await houseWith({ tpmLimit: 100 });
      const long = await take();
      await house.advance(5 * WINDOW_MS);
      settle(long, 100);
      await house.arrived();
      expect((await take()).passed).toBe(false);
      await house.advance(WINDOW_MS - 1);
      expect((await take()).passed).toBe(false);
      await house.advance(1);
      expect((await take()).passed).toBe(true);
    });

    test('that nobody knows are none', async () => {
      const { house, take } = await houseWith({ tpmLimit: 1 });
      settle(await take());
      await house.arrived();
      expect((await take()).passed).toBe(true);
    });

    test('none may be used with a limit of 0', async () => {
      const { take } = await houseWith({ tpmLimit: 0 });
      expect(await take()).toMatchObject({ passed: false, retryAfterS: null });
    });
  });

  describe(`${name}: requests at a time`, () => {
    test('exactly as many pass as there are slots, of many at a time', async () => {
      const { house, key } = await houseWith({ maxParallelRequests: 7 });
      expect(await passing(house, key, 50)).toBe(7);
      await house.advance(1_000);
      expect(await passing(house, key, 50)).toBe(0);
    });

    test('a slot is free once its request is settled, and only once', async () => {
      const { house, take } = await houseWith({ maxParallelRequests: 2 });
      const first = await take();
      expect((await take()).passed).toBe(true);
      expect(await take()).toMatchObject({ passed: false, reason: 'rate_limited', retryAfterS: 1 });
      settle(first);
      settle(first);
      await house.arrived();
      expect((await take()).passed).toBe(true);
      expect((await take()).passed).toBe(false);
    });

    test('a slot stays taken for as long as its request lasts', async () => {
      const { house, take } = await houseWith({ maxParallelRequests: 1 });
      const long = await take();
      for (let i = 0; i < 20; i++) {
        await house.advance(30_000);
        expect((await take()).passed).toBe(false);
      }
      settle(long);
      await house.arrived();
      expect((await take()).passed).toBe(true);
    });

    test('none pass where there are no slots', async () => {
      const { take } = await houseWith({ maxParallelRequests: 0 });
      expect(await take()).toMatchObject({ passed: false, reason: 'rate_limited', retryAfterS: null });
    });
  });

  describe(`${name}: budgets`, () => {
    test('a key that has spent its budget is refused', async () => {
      const { house, take } = await houseWith({ maxBudget: 1, spend: 0.5 });
      settle(await take(), null, 0.25);
      await house.arrived();
      const last = await take();
      expect(last.passed).toBe(true);
      settle(last, null, 0.25);
      await house.arrived();
      expect(await take()).toMatchObject({ passed: false, reason: 'budget_exceeded', retryAfterS: null });
      await house.advance(10 * WINDOW_MS);
      expect((await take()).passed).toBe(false);
    });

    test('begin anew when they are due, as often as they are', async () => {
      const house = await open();
      const resetAt = house.wallNow() + 90_500;
      const key = limitedKey({ maxBudget: 1, spend: 1, budget: { duration: '5m', resetAt } });
      await house.add(key);
      const [limiter] = house.limiters;
      expect(await attempt(limiter, key)).toMatchObject({ reason: 'budget_exceeded', retryAfterS: 91 });
      await house.advance(90_499);
      expect((await attempt(limiter, key)).passed).toBe(false);
      await house.advance(1);
      for (let period = 0; period < 3; period++) {
        settle(await attempt(limiter, key), null, 1);
        await house.arrived();
        expect(await attempt(limiter, key)).toMatchObject({ reason: 'budget_exceeded', retryAfterS: 300 });
        await house.advance(299_999);
        expect(await attempt(limiter, key)).toMatchObject({ passed: false, retryAfterS: 1 });
        await house.advance(1);
      }
    });

    test('nothing passes with a budget of 0', async () => {
      const { take } = await houseWith({ maxBudget: 0 });
      expect(await take()).toMatchObject({ passed: false, reason: 'budget_exceeded', retryAfterS: null });
    });

    test('what was spent is with the store at the end, of keys with and without limits', async () => {
      const house = await open();
      const keys = [limitedKey({ maxBudget: 100 }), limitedKey({}), limitedKey({ rpmLimit: 1_000 })];
      for (const key of keys) await house.add(key);
      for (let i = 0; i < 30; i++) {
        const limiter = house.limiters[i % house.limiters.length] ?? house.limiters[0];
        for (const key of keys) settle(await attempt(limiter, key), 5, 0.125);
        if (i % 10 === 0) await house.advance(100);
      }
      await house.arrived();
      for (const { id } of keys) expect(await house.spentUsd(id)).toBe(3.75);
    });
  });

  describe(`${name}: several limits`, () => {
    test.each([
      ['the slots', { maxParallelRequests: 1 }, null],
      ['the tokens', { tpmLimit: 10 }, { tokens: 10, costUsd: 0 }],
      ['the budget', { maxBudget: 1 }, { tokens: null, costUsd: 1 }],
    ] as const)('what %s refuse takes no request', async (_what, limits, used) => {
      const { house, key, take } = await houseWith({ rpmLimit: 4, ...limits });
      const first = await take();
      if (first.passed && used !== null) first.grant.settle(used);
      await house.arrived();
      expect(await passing(house, key, 20)).toBe(0);
      if (used === null) settle(first);
      await house.arrived();
      expect(await passing(house, { ...key, ...unlimited(limits), updatedAt: 2 }, 20)).toBe(3);
    });

    test('what the requests refuse takes no slot', async () => {
      const { house, key, take } = await houseWith({ rpmLimit: 1, maxParallelRequests: 2 });
      const first = await take();
      expect(await passing(house, key, 20)).toBe(0);
      settle(first);
      await house.arrived();
      await house.advance(WINDOW_MS);
      expect(await passing(house, { ...key, rpmLimit: 100, updatedAt: 2 }, 20)).toBe(2);
    });

    test('the longest wait is told', async () => {
      const { house, take } = await houseWith({ rpmLimit: 2, tpmLimit: 10 });
      settle(await take(), null);
      const second = await take();
      await house.advance(20_000);
      settle(second, 10);
      await house.arrived();
      expect(await take()).toMatchObject({ passed: false, retryAfterS: 60 });
    });

    test('a key without any passes always, and has no headers', async () => {
      const { house, key, take } = await houseWith({});
      expect(await passing(house, key, 100)).toBe(100);
      expect((await take()).headers).toEqual(new Map());
    });
  });

  describe(`${name}: what is told`, () => {
    test('of requests and tokens: the limit, what is left, and the seconds until all of it is there again', async () => {
      const { house, take } = await houseWith({ rpmLimit: 3, tpmLimit: 100 });
      const first = await take();
      expect(Object.fromEntries(first.headers)).toEqual({
        'x-ratelimit-limit-requests': '3',
        'x-ratelimit-remaining-requests': '2',
        'x-ratelimit-reset-requests': '60',
        'x-ratelimit-limit-tokens': '100',
        'x-ratelimit-remaining-tokens': '100',
        'x-ratelimit-reset-tokens': '0',
      });
      await house.advance(9_500);
      settle(first, 130);
      await house.arrived();
      await house.advance(10_000);
      expect(await take()).toMatchObject({
        passed: false,
        reason: 'rate_limited',
        headers: new Map([
          ['retry-after', '50'],
          ['x-ratelimit-limit-requests', '3'],
          ['x-ratelimit-remaining-requests', '2'],
          ['x-ratelimit-reset-requests', '41'],
          ['x-ratelimit-limit-tokens', '100'],
          ['x-ratelimit-remaining-tokens', '0'],
          ['x-ratelimit-reset-tokens', '50'],
        ]),
      });
    });

    test('of a limit alone what belongs to it', async () => {
      const rpm = await houseWith({ rpmLimit: 3 });
      expect([...(await rpm.take()).headers.keys()]).toEqual([
        'x-ratelimit-limit-requests',
        'x-ratelimit-remaining-requests',
        'x-ratelimit-reset-requests',
      ]);
      const tpm = await houseWith({ tpmLimit: 3 });
      expect([...(await tpm.take()).headers.keys()]).toEqual([
        'x-ratelimit-limit-tokens',
        'x-ratelimit-remaining-tokens',
        'x-ratelimit-reset-tokens',
      ]);
      const parallel = await houseWith({ maxParallelRequests: 3, maxBudget: 1 });
      expect((await parallel.take()).headers).toEqual(new Map());
    });

    test('whether usage is to be read', async () => {
      for (const limits of [{ tpmLimit: 5 }, { maxBudget: 5 }]) {
        const { take } = await houseWith(limits);
        expect(await take()).toMatchObject({ passed: true, grant: { counts: true } });
      }
    });

    test('who waits as long as retry-after says passes, and a second less is not enough', async () => {
      const histories = fc.array(
        fc.record({
          pauseMs: fc.integer({ min: 0, max: 50 }).map((seconds) => seconds * 1_000),
          attempts: fc.integer({ min: 1, max: 8 }),
          tokens: fc.integer({ min: 0, max: 40 }),
        }),
        { minLength: 1, maxLength: 8 },
      );
      const limits = fc.record({
        rpmLimit: fc.integer({ min: 1, max: 12 }),
        tpmLimit: fc.integer({ min: 1, max: 100 }),
      });
      await fc.assert(
        fc.asyncProperty(limits, histories, async (given, steps) => {
          // One house goes on as it is; the other one waits a second less.
          const houses = [await houseWith(given), await houseWith(given)] as const;
          const run = async ({ house, take }: (typeof houses)[number]) => {
            let last = await take();
            for (const { pauseMs, attempts, tokens } of steps) {
              if (last.passed) settle(last, tokens);
              await house.arrived();
              await house.advance(pauseMs);
              for (let i = 0; i < attempts; i++) last = await take();
            }
            return last;
          };
          const [last] = [await run(houses[0]), await run(houses[1])];
          if (last.passed) return;
          const { retryAfterS } = last;
          if (retryAfterS === null) throw new Error('waiting would help');
          await houses[0].house.advance(retryAfterS * 1_000);
          expect((await houses[0].take()).passed).toBe(true);
          await houses[1].house.advance((retryAfterS - 1) * 1_000);
          expect((await houses[1].take()).passed).toBe(false);
        }),
        { numRuns: runs },
      );
    });

    test('a millisecond less than retry-after is not enough where it is a whole number of seconds', async () => {
      const { house, key, take } = await houseWith({ rpmLimit: 6 });
      expect(await passing(house, key, 6)).toBe(6);
      await house.advance(10_000);
      expect(await take()).toMatchObject({ passed: false, retryAfterS: 50 });
      await house.advance(49_999);
      expect(await take()).toMatchObject({ passed: false, retryAfterS: 1 });
      await house.advance(1);
      expect((await take()).passed).toBe(true);
    });
  });
}

function settle(outcome: Outcome, tokens: number | null = NOTHING_USED.tokens, costUsd = 0): void {
  if (!outcome.passed) throw new Error(outcome.message);
  outcome.grant.settle({ tokens, costUsd });
}

/** The same limits, all lifted. */
function unlimited(limits: Readonly<Record<string, unknown>>): Readonly<Record<string, null>> {
  return Object.fromEntries(Object.keys(limits).map((name) => [name, null]));
}
