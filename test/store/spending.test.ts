import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MAX_NANO_USD, nanoUsdFrom, nextReset } from '../../src/store/spending.ts';

test.each([
  [0, 0n],
  [0.1, 100_000_000n],
  [0.0000000004, 0n],
  [0.0000000005, 1n],
  [0.000_000_15, 150n],
  [4e9, MAX_NANO_USD],
  [1e300, MAX_NANO_USD],
  [Number.MAX_VALUE, MAX_NANO_USD],
  [Number.POSITIVE_INFINITY, MAX_NANO_USD],
])('%d dollars are %d nano-dollars', (usd, nanoUsd) => {
  expect(nanoUsdFrom(usd)).toBe(nanoUsd);
});

test('whole nano-dollars come back from dollars, up to 2 million', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2e15 }), (nanoUsd) => {
      expect(nanoUsdFrom(nanoUsd / 1e9)).toBe(BigInt(nanoUsd));
    }),
    { numRuns: 2_000 },
  );
});

test('a budget whose duration isn’t one never begins anew', () => {
  expect(nextReset({ duration: '1 month', resetAt: 5 }, 10)).toBeNull();
  expect(nextReset({ duration: '1s', resetAt: 5 }, 10)).toBe(1_005);
});
