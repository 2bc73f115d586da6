import type { SluiceError } from '../base/errors.ts';
import type { StoredKey } from '../store/key-store.ts';
import { remaining, requestCeiling, tokenCeiling } from './key-use.ts';
import { PARALLEL_RETRY_MS, type RateFigures, rateHeaders, refusalFrom } from './limit-answers.ts';
import { SlidingWindow } from './sliding-window.ts';

/** What consume.lua says of a key. */
export class RedisCounts implements RateFigures {
  readonly isTaken: boolean;
  /** By Redis's clock, as all times here. */
  readonly #now: number;
  readonly #key: StoredKey;
  readonly #requests: SlidingWindow;
  readonly #tokens: SlidingWindow;
  readonly #running: number;
  readonly #spentUsd: number;
  /** When the budget begins anew; Infinity: never. */
  readonly #resetAt: number;

  constructor(key: StoredKey, reply: unknown) {
    if (!Array.isArray(reply)) throw new TypeError('consume.lua returns a list');
    const numbers: readonly number[] = reply.map(Number);
    const at = (index: number): number => numbers[index] ?? 0;
    const windowAt = (index: number): SlidingWindow =>
      SlidingWindow.of(at(index), [at(index + 1), at(index + 2)], [at(index + 3), at(index + 4)]);
    this.isTaken = at(0) === 1;
    this.#key = key;
    this.#now = at(1);
    this.#requests = windowAt(2);
    this.#tokens = windowAt(7);
    this.#running = at(12);
    this.#spentUsd = at(13) / 1e9;
    this.#resetAt = reply[14] === '' ? Number.POSITIVE_INFINITY : at(14);
  }

  get remainingRequests(): number {
    return remaining(this.#key.rpmLimit, this.#requests, this.#now);
  }

  get resetRequestsMs(): number {
    return this.#requests.resetMs(this.#now);
  }

  get remainingTokens(): number {
    return remaining(this.#key.tpmLimit, this.#tokens, this.#now);
  }

  get resetTokensMs(): number {
    return this.#tokens.resetMs(this.#now);
  }

  /** Of a request that was taken. */
  get headers(): readonly string[] {
    return rateHeaders(this.#key, this);
  }

  /** Of one that wasn't. */
  get refusal(): SluiceError {
    const { rpmLimit, tpmLimit, maxParallelRequests, maxBudget } = this.#key;
    const never = Number.POSITIVE_INFINITY;
    let parallelMs = 0;
    if (maxParallelRequests !== null && this.#running >= maxParallelRequests) {
      parallelMs = maxParallelRequests > 0 ? PARALLEL_RETRY_MS : never;
    }
    let budgetMs = 0;
    if (maxBudget !== null && this.#spentUsd >= maxBudget) {
      budgetMs = maxBudget > 0 ? this.#resetAt - this.#now : never;
    }
    const waits = {
      requestsMs: rpmLimit === null ? 0 : this.#requests.waitMs(this.#now, requestCeiling(rpmLimit)),
      tokensMs: tpmLimit === null ? 0 : this.#tokens.waitMs(this.#now, tokenCeiling(tpmLimit)),
      parallelMs,
      budgetMs,
    };
    return refusalFrom(this.#key, waits, this);
  }
}
