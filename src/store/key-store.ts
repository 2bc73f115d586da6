import type { Json } from '../base/json.ts';

/** Where virtual keys live: the half of the store that deals with them. The rules of `Store` hold. */
export interface KeyStore {
  /** @throws SluiceError `already_exists`: the token, as a present or a previous one, or the alias is taken */
  createKey(key: StoredKey): Promise<void>;
  /** The key that has this token now, or had it before and its grace lasts beyond `now` (ms since 1970). Null: none. */
  keyByToken(token: string, now: number): Promise<StoredKey | null>;
  /** Null: none. */
  keyByAlias(alias: string): Promise<StoredKey | null>;
  /** A page of those that match, newest first, and how many match. */
  keys(query: KeyQuery): Promise<KeyPage>;
  /**
   * Replaces a key by what `change` makes of it, in one step; see `updateRoute`. Its id stays. `spend` is written only
   * when `change` returns another one than it was given: then what is stored becomes that, else no spending is undone.
   * @returns the key as it is stored now; null: no such key
   * @throws SluiceError `already_exists` as `createKey` does
   */
  updateKey(id: string, change: (stored: StoredKey) => StoredKey): Promise<StoredKey | null>;
  /** All of them or none. @returns false: one doesn't exist, and nothing has changed */
  deleteKeys(ids: readonly string[]): Promise<boolean>;
  /** Grows with each change of keys that decides who may what: all but spending. */
  keysVersion(): Promise<number>;
  /**
   * Adds to what keys have spent, all in one step. A budget that is due begins anew first: `resetAt` moves on by
   * whole periods until it is beyond `now`. Keys that don't exist any more are passed over. Sums are exact, in whole
   * nano-dollars (src/store/spending.ts).
   * @throws RangeError when an amount is negative or no number; nothing is added then
   */
  addSpend(spent: readonly Spending[], now: number): Promise<void>;
}

/** A virtual key: all of it but the secret. Times are ms since 1970. */
export interface StoredKey {
  /** A UUID: stays when the key is regenerated, and is what counters go by. */
  readonly id: string;
  /** SHA-256 of the secret, lower-case hexadecimal. */
  readonly token: string;
  /** The secret before the last regeneration, while it is still let in. */
  readonly previous: { readonly token: string; readonly until: number } | null;
  /** `sk-...` and the secret's last four characters. */
  readonly keyName: string;
  readonly alias: string | null;
  /** Names or `prefix/*`; empty: all. */
  readonly models: readonly string[];
  /** Path prefixes; empty: all. */
  readonly allowedRoutes: readonly string[];
  readonly rpmLimit: number | null;
  readonly tpmLimit: number | null;
  readonly maxParallelRequests: number | null;
  /** USD. */
  readonly maxBudget: number | null;
  /** Null: the budget never begins anew. */
  readonly budget: { readonly duration: string; readonly resetAt: number } | null;
  /** USD, since the last reset. */
  readonly spend: number;
  readonly userId: string | null;
  readonly teamId: string | null;
  readonly metadata: Readonly<Record<string, Json>>;
  readonly tags: readonly string[];
  readonly blocked: boolean;
  readonly expiresAt: number | null;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface KeyQuery {
  readonly offset: number;
  readonly limit: number;
  /** Null: any. */
  readonly userId: string | null;
  readonly teamId: string | null;
  readonly alias: string | null;
}

export interface KeyPage {
  readonly keys: readonly StoredKey[];
  readonly total: number;
}

export interface Spending {
  /** The key's id. */
  readonly id: string;
  readonly usd: number;
}
