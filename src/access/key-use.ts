import type { SluiceError } from '../base/errors.ts';
import { KeySpending } from './key-spending.ts';
import {
  type LimitedKey,
  PARALLEL_RETRY_MS,
  type RateFigures,
  rateHeaders,
  refusalFrom,
} from './limit-answers.ts';
import type { Grant, Used } from './limiter.ts';
import type { LimiterClock } from './limiter-clock.ts';
import { SlidingWindow, WINDOW_MS } from './sliding-window.ts';
import type { SpendWriter } from './spend-writer.ts';

/** What all keys share. */
export interface Surroundings {
  readonly clock: LimiterClock;
  readonly writer: SpendWriter;
}

/** No answer has more tokens; beyond it counting would not be exact. */
const MAX_TOKENS = 2 ** 32;

/** All that is counted of one key. */
export class KeyUse {
  readonly id: string;
  readonly requests = new SlidingWindow();
  readonly tokens = new SlidingWindow();
  readonly spending = new KeySpending();
  /** Requests under way. */
  held = 0;
  usedAt: number;
  readonly surroundings: Surroundings;

  constructor(id: string, now: number, surroundings: Surroundings) {
    this.id = id;
    this.usedAt = now;
    this.surroundings = surroundings;
  }

  /** What `refusal` explains, for the many requests that aren't refused. */
  refuses(key: LimitedKey, now: number): boolean {
    const { rpmLimit, tpmLimit, maxParallelRequests, maxBudget } = key;
    return (
      (rpmLimit !== null && this.requests.weight(now) > requestCeiling(rpmLimit)) ||
      (tpmLimit !== null && this.tokens.weight(now) > tokenCeiling(tpmLimit)) ||
      (maxParallelRequests !== null && this.held >= maxParallelRequests) ||
      (maxBudget !== null && this.#spentUsd(key) >= maxBudget)
    );
  }

  refusal(key: LimitedKey, now: number): SluiceError {
    const { rpmLimit, tpmLimit, maxParallelRequests, maxBudget } = key;
    const never = Number.POSITIVE_INFINITY;
    let budgetMs = 0;
    if (maxBudget !== null) {
      const isSpent = this.#spentUsd(key) >= maxBudget;
      if (isSpent) budgetMs = maxBudget > 0 ? this.spending.endsAt - this.surroundings.clock.wall() : never;
    }
    let parallelMs = 0;
    if (maxParallelRequests !== null && this.held >= maxParallelRequests) {
      parallelMs = maxParallelRequests > 0 ? PARALLEL_RETRY_MS : never;
    }
    const waits = {
      requestsMs: rpmLimit === null ? 0 : this.requests.waitMs(now, requestCeiling(rpmLimit)),
      tokensMs: tpmLimit === null ? 0 : this.tokens.waitMs(now, tokenCeiling(tpmLimit)),
      parallelMs,
      budgetMs,
    };
    return refusalFrom(key, waits, {
      remainingRequests: remaining(rpmLimit, this.requests, now),
      resetRequestsMs: this.requests.resetMs(now),
      remainingTokens: remaining(tpmLimit, this.tokens, now),
      resetTokensMs: this.tokens.resetMs(now),
    });
  }

  /** Counts a request that isn't refused. */
  take(key: LimitedKey, now: number): Grant {
    this.requests.add(now, 1);
    this.held += 1;
    this.usedAt = now;
    return new LimitedGrant(key, this, now);
  }

  /** Counts what a request has used that was taken before. */
  settle({ tokens, costUsd }: Used): void {
    const { clock, writer } = this.surroundings;
    const now = Math.floor(clock.now());
    this.held -= 1;
    this.usedAt = now;
    if (tokens !== null && tokens > 0) this.tokens.add(now, Math.ceil(Math.min(tokens, MAX_TOKENS)));
    if (costUsd > 0 && costUsd < Number.POSITIVE_INFINITY) {
      this.spending.add(costUsd, clock.wall());
      writer.add(this.id, costUsd);
    }
  }

  #spentUsd(key: LimitedKey): number {
    const { clock, writer } = this.surroundings;
    return this.spending.usd(key, clock.wall(), writer.unsentUsd(this.id));
  }
}

/** The weight up to which one more request passes. */
export function requestCeiling(limit: number): number {
  return (limit - 1) * WINDOW_MS;
}

/** The weight up to which not all tokens are used. */
export function tokenCeiling(limit: number): number {
  return limit * WINDOW_MS - 1;
}

/** How many more pass just now; 0 where there is no limit. */
export function remaining(limit: number | null, window: SlidingWindow, now: number): number {
  if (limit === null) return 0;
  return Math.max(0, Math.floor((limit * WINDOW_MS - window.weight(now)) / WINDOW_MS));
}

class LimitedGrant implements Grant, RateFigures {
  readonly counts = true;
  readonly remainingRequests: number;
  readonly resetRequestsMs: number;
  readonly remainingTokens: number;
  readonly resetTokensMs: number;
  readonly #key: LimitedKey;
  readonly #use: KeyUse;
  #isSettled = false;

  constructor(key: LimitedKey, use: KeyUse, now: number) {
    this.#key = key;
    this.#use = use;
    const { rpmLimit, tpmLimit } = key;
    this.remainingRequests = remaining(rpmLimit, use.requests, now);
    this.resetRequestsMs = rpmLimit === null ? 0 : use.requests.resetMs(now);
    this.remainingTokens = remaining(tpmLimit, use.tokens, now);
    this.resetTokensMs = tpmLimit === null ? 0 : use.tokens.resetMs(now);
  }

  get headers(): readonly string[] {
    return rateHeaders(this.#key, this);
  }

  settle(used: Used): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#use.settle(used);
  }
}
