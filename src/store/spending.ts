import { advance, parseDuration } from '../base/duration.ts';
import type { StoredKey } from './key-store.ts';

/*
 * Spending is kept as whole nano-dollars: sums are exact whatever their order and whoever adds, which sums of doubles
 * aren't. A millionth of the price of a million tokens is some nano-dollars, so that what is rounded away of a request
 * is next to nothing.
 */

const NANOS = 1e9;

/** Four thousand million dollars; twice that still fits 64 bits. Spending stays there instead of going beyond. */
export const MAX_NANO_USD = 4_000_000_000_000_000_000n;

/**
 * Dollars → nano-dollars, rounded; those that are stored, up to 2 million dollars, come back exactly.
 * @throws RangeError when it is negative, or no number
 */
export function nanoUsdFrom(usd: number): bigint {
  if (!(usd >= 0)) throw new RangeError(`spending is 0 or more dollars, not ${usd}`);
  const nanoUsd = Math.round(usd * NANOS);
  return nanoUsd < Number(MAX_NANO_USD) ? BigInt(nanoUsd) : MAX_NANO_USD;
}

/**
 * When a budget begins anew after `now`, ms since 1970: its own `resetAt` while that is to come, else moved on by whole
 * periods. Null: never, as its duration isn't one.
 */
export function nextReset(budget: NonNullable<StoredKey['budget']>, now: number): number | null {
  const duration = parseDuration(budget.duration);
  return duration === null ? null : advance(budget.resetAt, duration, now);
}
