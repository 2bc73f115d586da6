import type { StoredKey } from './key-store.ts';
import type { RedisKeys } from './redis-keys.ts';
import { jsonBehindOrder, numberFrom } from './redis-values.ts';

/** A virtual key as Redis has it: what counters change is beside it. */
export interface KeyRecord {
  readonly id: string;
  /** `order json` */
  readonly value: string;
  /** Nano-dollars, in digits. */
  readonly spend: string;
  /** When spending begins anew, ms since 1970, in digits; empty: never. */
  readonly reset: string;
}

export function keyFromRecord({ value, spend, reset }: KeyRecord): StoredKey {
  const stored = jsonBehindOrder(value) as unknown as StoredKey;
  const budget =
    stored.budget === null ? null : { duration: stored.budget.duration, resetAt: numberFrom(reset) };
  return { ...stored, budget, spend: Number(spend) / 1e9 };
}

/** Records of a flat list: id, value, spend, reset, id, … A key without spending is one somebody took it from. */
export function recordsFrom(reply: unknown): readonly KeyRecord[] {
  if (!Array.isArray(reply)) throw new TypeError('Redis holds something else than keys');
  const records: KeyRecord[] = [];
  for (let index = 0; index < reply.length; index += 4) {
    const [id, value, spend, reset] = reply.slice(index, index + 4);
    if (typeof id !== 'string' || typeof value !== 'string') {
      throw new TypeError('Redis holds an index to a key that is not there');
    }
    records.push({ id, value, spend: String(spend ?? 0), reset: String(reset ?? '') });
  }
  return records;
}

/** What stands beside it is 0 here. */
export function jsonFromKey(key: StoredKey): string {
  return JSON.stringify({
    ...key,
    budget: key.budget === null ? null : { ...key.budget, resetAt: 0 },
    spend: 0,
  });
}

export function resetOf({ budget }: StoredKey): string {
  return budget === null ? '' : String(budget.resetAt);
}

/** What no other key may have, as a present or a previous one. */
export function tokensOf({ token, previous }: StoredKey): readonly string[] {
  return previous === null || previous.token === token ? [token] : [token, previous.token];
}

export function aliasesOf({ alias }: StoredKey): readonly string[] {
  return alias === null ? [] : [alias];
}

/** The sorted sets that a key is listed in. */
export function listsOf({ userId, teamId }: StoredKey, keys: RedisKeys): readonly string[] {
  return [
    keys.keyOrder,
    ...(userId === null ? [] : [keys.keysOfUser(userId)]),
    ...(teamId === null ? [] : [keys.keysOfTeam(teamId)]),
  ];
}
