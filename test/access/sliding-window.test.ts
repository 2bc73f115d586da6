import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SlidingWindow, WINDOW_MS } from '../../src/access/sliding-window.ts';

/** The same by remembering every single count. */
class NaiveWindow {
  /** Of the present bucket and the one before. */
  #counts: { readonly at: number; readonly bucket: number; readonly count: number }[] = [];
  #startedAt = 0;

  weight(now: number): number {
    const bucket = Math.floor((now - this.#startedAt) / WINDOW_MS);
    const current = this.#counts.filter((entry) => entry.bucket === bucket);
    const previous = this.#counts.filter((entry) => entry.bucket === bucket - 1);
    const elapsed = now - this.#startedAt - bucket * WINDOW_MS;
    const isCovered = previous.some(({ at }) => at > now - WINDOW_MS);
    return sum(current) * WINDOW_MS + (isCovered ? sum(previous) * (WINDOW_MS - elapsed) : 0);
  }

  add(now: number, count: number): void {
    if (this.weight(now) === 0) {
      this.#counts = [];
      this.#startedAt = now;
    }
    this.#counts.push({ at: now, bucket: Math.floor((now - this.#startedAt) / WINDOW_MS), count });
  }
}

function sum(entries: readonly { readonly count: number }[]): number {
  return entries.reduce((total, { count }) => total + count, 0);
}

const steps = fc.array(
  fc.record({
    pauseMs: fc.oneof(
      fc.integer({ min: 0, max: 2_000 }),
      fc.integer({ min: 0, max: 130_000 }),
      fc.constantFrom(WINDOW_MS - 1, WINDOW_MS, WINDOW_MS + 1, 2 * WINDOW_MS),
    ),
    count: fc.integer({ min: 0, max: 20 }),
  }),
  { minLength: 1, maxLength: 40 },
);

test('weighs as one that remembers everything', () => {
  fc.assert(
    fc.property(fc.nat(1e9), steps, (begin, plan) => {
      const window = new SlidingWindow();
      const naive = new NaiveWindow();
      let now = begin;
      for (const { pauseMs, count } of plan) {
        now += pauseMs;
        expect(window.weight(now)).toBe(naive.weight(now));
        if (count === 0) continue;
        window.add(now, count);
        naive.add(now, count);
        expect(window.weight(now)).toBe(naive.weight(now));
      }
    }),
    { numRuns: 500 },
  );
});

test('says to the millisecond how long to wait', () => {
  fc.assert(
    fc.property(steps, fc.integer({ min: 0, max: 30 * WINDOW_MS }), (plan, ceiling) => {
      const build = () => {
        const window = new SlidingWindow();
        let now = 0;
        for (const { pauseMs, count } of plan) {
          now += pauseMs;
          if (count > 0) window.add(now, count);
        }
        return { window, now };
      };
      const { window, now } = build();
      const waitMs = window.waitMs(now, ceiling);
      const resetMs = window.resetMs(now);
      expect(waitMs).toBeGreaterThanOrEqual(0);
      expect(waitMs).toBeLessThanOrEqual(WINDOW_MS);
      if (waitMs > 0) expect(build().window.weight(now + waitMs - 1)).toBeGreaterThan(ceiling);
      expect(build().window.weight(now + waitMs)).toBeLessThanOrEqual(ceiling);
      if (resetMs > 0) expect(build().window.weight(now + resetMs - 1)).toBeGreaterThan(0);
      expect(build().window.weight(now + resetMs)).toBe(0);
      expect(window.waitMs(now, -1)).toBe(Number.POSITIVE_INFINITY);
    }),
    { numRuns: 500 },
  );
});

test('stays exact with large counts', () => {
  const window = new SlidingWindow();
  window.add(0, 2 ** 36);
  window.add(0, 1);
  expect(window.weight(59_999)).toBe((2 ** 36 + 1) * WINDOW_MS);
  window.add(59_999, 1);
  expect(window.weight(60_001)).toBe((2 ** 36 + 2) * 59_999);
});
