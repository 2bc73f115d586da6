import { nextReset } from '../store/spending.ts';
import type { LimitedKey } from './limit-answers.ts';

/**
 * What a key has spent in its budget's present period: what the store knew when the key was read, and what was counted
 * here since. Keys come from caches, so what they say of spending may be older than what is known.
 */
export class KeySpending {
  #usd = 0;
  /** The key as it was last learned from. */
  #seen: LimitedKey | null = null;
  /** When the period is over, ms since 1970. */
  #endsAt = Number.NEGATIVE_INFINITY;

  /** When spending begins anew, ms since 1970; Infinity: never. As of the last `usd`. */
  get endsAt(): number {
    return this.#endsAt;
  }

  /** True: there is a budget, and forgetting this would forget spending until the key is read again. */
  get isKnown(): boolean {
    return this.#seen !== null;
  }

  /** @param unsentUsd what was spent, and can't be in the key's `spend` for not having been sent to the store yet */
  usd(key: LimitedKey, wallNow: number, unsentUsd: number): number {
    if (key !== this.#seen || wallNow >= this.#endsAt) this.#learn(key, wallNow, unsentUsd);
    return this.#usd;
  }

  add(usd: number, wallNow: number): void {
    if (wallNow >= this.#endsAt && this.#seen !== null) {
      this.#endsAt = endOfPeriod(this.#seen.budget, wallNow);
      this.#usd = 0;
    }
    this.#usd += usd;
  }

  #learn(key: LimitedKey, wallNow: number, unsentUsd: number): void {
    const endsAt = endOfPeriod(key.budget, wallNow);
    // The store begins a period when something is spent in it; until then what it says belongs to the one before.
    const isOver = key.budget !== null && key.budget.resetAt <= wallNow;
    const usd = (isOver ? 0 : key.spend) + unsentUsd;
    // An edit says what was spent. Without one it only grows, and who knows of more is right. An earlier `updatedAt` is
    // an edit as well: the clock may have stepped back.
    const beginsAnew = key.updatedAt !== this.#seen?.updatedAt || endsAt > this.#endsAt;
    this.#usd = beginsAnew ? usd : Math.max(this.#usd, usd);
    this.#seen = key;
    this.#endsAt = endsAt;
  }
}

/** The first moment after `now` at which a budget begins anew; Infinity: never. */
function endOfPeriod(budget: LimitedKey['budget'], now: number): number {
  return (budget === null ? null : nextReset(budget, now)) ?? Number.POSITIVE_INFINITY;
}
