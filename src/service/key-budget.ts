import type { StoredKey } from '../store/key-store.ts';
import { nextReset } from '../store/spending.ts';

/**
 * A key as the next request will find it: where its budget is due, spending begins anew. The store itself does that
 * when something is spent.
 * @param now ms since 1970
 */
export function atPresent(key: StoredKey, now: number): StoredKey {
  const { budget } = key;
  if (budget === null || budget.resetAt > now) return key;
  const resetAt = nextReset(budget, now);
  return resetAt === null ? key : { ...key, budget: { ...budget, resetAt }, spend: 0 };
}
