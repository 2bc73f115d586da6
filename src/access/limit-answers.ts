import { SluiceError } from '../base/errors.ts';
import type { StoredKey } from '../store/key-store.ts';

/** Of a key what limiters need. */
export type LimitedKey = Pick<
  StoredKey,
  'id' | 'rpmLimit' | 'tpmLimit' | 'maxParallelRequests' | 'maxBudget' | 'budget' | 'spend' | 'updatedAt'
>;

type Limits = Pick<StoredKey, 'rpmLimit' | 'tpmLimit' | 'maxParallelRequests' | 'maxBudget'>;

/** Where a key stands. What belongs to a limit that it doesn't have means nothing. */
export interface RateFigures {
  readonly remainingRequests: number;
  /** Until the whole limit is there again, if no more requests come. */
  readonly resetRequestsMs: number;
  readonly remainingTokens: number;
  readonly resetTokensMs: number;
}

/** How long each limit goes on refusing: 0: it doesn't, Infinity: for ever. */
export interface Waits {
  readonly requestsMs: number;
  readonly tokensMs: number;
  readonly parallelMs: number;
  readonly budgetMs: number;
}

/** When a slot comes free nobody knows: the shortest time that `retry-after` can say. */
export const PARALLEL_RETRY_MS = 1_000;

const NO_HEADERS: readonly string[] = [];

/** True: nothing is limited, and spending alone is counted. */
export function isUnlimited(key: Limits): boolean {
  return (
    key.rpmLimit === null &&
    key.tpmLimit === null &&
    key.maxParallelRequests === null &&
    key.maxBudget === null
  );
}

/**
 * Raw name-value pairs of OpenAI's names (https://platform.openai.com/docs/guides/rate-limits). The reset is in whole
 * seconds, as LiteLLM has it (https://docs.litellm.ai/docs/proxy/response_headers), not OpenAI's `6m0s`. It lasts until
 * the whole limit is there again, while `retry-after` of a refusal says when one more request passes.
 */
export function rateHeaders(key: Limits, figures: RateFigures): readonly string[] {
  const { rpmLimit, tpmLimit } = key;
  if (rpmLimit === null && tpmLimit === null) return NO_HEADERS;
  const headers: string[] = [];
  if (rpmLimit !== null) {
    headers.push('x-ratelimit-limit-requests', String(rpmLimit));
    headers.push('x-ratelimit-remaining-requests', String(figures.remainingRequests));
    headers.push('x-ratelimit-reset-requests', String(Math.ceil(figures.resetRequestsMs / 1_000)));
  }
  if (tpmLimit !== null) {
    headers.push('x-ratelimit-limit-tokens', String(tpmLimit));
    headers.push('x-ratelimit-remaining-tokens', String(figures.remainingTokens));
    headers.push('x-ratelimit-reset-tokens', String(Math.ceil(figures.resetTokensMs / 1_000)));
  }
  return headers;
}

/**
 * What a request is refused with. `retry-after` is when all of its limits let it pass; without one if waiting doesn't
 * help (a limit of 0, a budget that never begins anew).
 */
export function refusalFrom(key: Limits, waits: Waits, figures: RateFigures): SluiceError {
  const waitMs = Math.max(waits.requestsMs, waits.tokensMs, waits.parallelMs, waits.budgetMs);
  const seconds = Math.ceil(waitMs / 1_000);
  const headers = Number.isFinite(seconds)
    ? ['retry-after', String(seconds), ...rateHeaders(key, figures)]
    : rateHeaders(key, figures);
  const hint = Number.isFinite(seconds) ? `; it may try again in ${seconds} s` : '';
  const reason = waits.budgetMs > 0 ? 'budget_exceeded' : 'rate_limited';
  return new SluiceError(reason, `${reached(key, waits)}${hint}.`, { headers });
}

function reached(key: Limits, waits: Waits): string {
  if (waits.budgetMs > 0) return `This key has spent its budget of ${key.maxBudget} USD`;
  if (waits.requestsMs > 0) return `This key may make ${key.rpmLimit} requests a minute, and has made them`;
  if (waits.tokensMs > 0) return `This key may use ${key.tpmLimit} tokens a minute, and has used them`;
  return `This key may have ${key.maxParallelRequests} requests under way at a time, and has them`;
}
