import type { StoredKey } from '../store/key-store.ts';

/**
 * Counts what virtual keys use, and refuses what is beyond their limits (ACCESS). The same contract suite
 * (test/access/limiter-contract.ts) runs on every implementation: in this process, shared between worker processes,
 * on Redis.
 *
 * Requests: a sliding window of 60 s, made of two weighted buckets. Tokens: the same window; what is used already
 * decides, and the answer's own count is added when it is known. Requests under way: leases that expire unless they are
 * renewed, so that a process that dies frees its slots. Spending: against `maxBudget`, begun anew when `budget` is due.
 */
export interface Limiter {
  /**
   * Takes all that one request needs in one atomic step, or nothing. Answers at once where it can: a promise on the hot
   * path costs.
   * @throws SluiceError (or rejects with it) `rate_limited`, `budget_exceeded`, with `retry-after` and the
   *   `x-ratelimit-*` headers
   */
  take(key: StoredKey): Grant | Promise<Grant>;
  /** Writes out what is only counted here, and ends it. */
  close(): Promise<void>;
}

/** What one request has taken. */
export interface Grant {
  /** Raw name-value pairs for the response: `x-ratelimit-limit-requests`, …; none without limits. */
  readonly headers: readonly string[];
  /** Whether tokens or spending are counted, so that the answer's usage is to be read. */
  readonly counts: boolean;
  /** The request is over: gives the slot back, adds what was used. A second call is harmless. Never throws. */
  settle(used: Used): void;
}

/** What a request has used. */
export interface Used {
  /** Prompt and completion; null: unknown. */
  readonly tokens: number | null;
  readonly costUsd: number;
}
