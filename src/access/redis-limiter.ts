import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { SluiceError } from '../base/errors.ts';
import type { KeyStore, StoredKey } from '../store/key-store.ts';
import type { RedisConnection } from '../store/redis-connection.ts';
import { isState, RedisAway, wasNotDone } from '../store/redis-errors.ts';
import { MAX_NANO_USD, nanoUsdFrom } from '../store/spending.ts';
import { isUnlimited } from './limit-answers.ts';
import type { Grant, Limiter, Used } from './limiter.ts';
import { type LimiterClock, SYSTEM_LIMITER_CLOCK } from './limiter-clock.ts';
import { createMemoryLimiter, type MemoryLimiter } from './memory-limiter.ts';
import { RedisCounts } from './redis-counts.ts';
import { LEASE_MS, RedisLeases } from './redis-leases.ts';

export interface RedisLimiterOptions {
  readonly connection: RedisConnection;
  /** On the same Redis. */
  readonly store: Pick<KeyStore, 'addSpend'>;
  readonly logger: Logger;
  readonly clock?: LimiterClock;
}

/** What a response tells whose limits were only this instance's share. */
const DEGRADED: readonly string[] = ['x-sluice-degraded', 'limits'];

/** No answer has more tokens; beyond it counting would not be exact. */
const MAX_TOKENS = 2 ** 32;
const CLOSE_DEADLINE_MS = 2_000;
const MAX_NANO_USD_TEXT = String(MAX_NANO_USD);

/**
 * A limiter that counts in Redis, by Redis's clock, for all instances that share it: one script a request. While Redis
 * is away each instance has its share of the limits, which it counts by itself; nobody waits.
 *
 * Spending is written at once where there is a budget, else behind the scenes. What was sent to Redis and never
 * answered is not sent again: of requests that end in the moment in which Redis dies, spending may be lost, and none is
 * counted twice.
 */
export function createRedisLimiter(options: RedisLimiterOptions): RedisLimiter {
  return new SharedByRedis(options);
}

export interface RedisLimiter extends Limiter {
  /** Resolves when Redis has answered all that was settled so far. */
  settled(): Promise<void>;
}

class SharedByRedis implements RedisLimiter {
  readonly #connection: RedisConnection;
  readonly #store: Pick<KeyStore, 'addSpend'>;
  readonly #logger: Logger;
  readonly #leases: RedisLeases;
  /** This instance's share, and what is written behind the scenes. */
  readonly #local: MemoryLimiter;
  readonly #stopWatching: () => void;
  #settling = 0;
  #whenSettled: (() => void)[] = [];
  #hasToldOfError = false;

  constructor({ connection, store, logger, clock = SYSTEM_LIMITER_CLOCK }: RedisLimiterOptions) {
    this.#connection = connection;
    this.#store = store;
    this.#logger = logger;
    this.#leases = new RedisLeases(connection, clock);
    this.#local = createMemoryLimiter({ store, logger, clock });
    this.#stopWatching = connection.onChange((isThere) => this.#tell(isThere));
  }

  take(key: StoredKey): Grant | Promise<Grant> {
    if (isUnlimited(key)) return this.#local.take(key);
    return this.#connection.isThere ? this.#consume(key) : this.#takeShare(key);
  }

  async close(): Promise<void> {
    this.#stopWatching();
    this.#leases.close();
    await Promise.race([this.settled(), delay(CLOSE_DEADLINE_MS, undefined, { ref: false })]);
    await this.#local.close();
  }

  async settled(): Promise<void> {
    while (this.#settling > 0) await new Promise<void>((resolve) => this.#whenSettled.push(resolve));
  }

  /** A request is over that Redis has counted. */
  settle(key: StoredKey, lease: string, { tokens, costUsd }: Used): void {
    const { id, tpmLimit, maxBudget } = key;
    if (lease !== '') this.#leases.drop(id, lease);
    const usedTokens =
      tpmLimit !== null && tokens !== null && tokens > 0 ? Math.ceil(Math.min(tokens, MAX_TOKENS)) : 0;
    const hasCost = costUsd > 0 && costUsd < Number.POSITIVE_INFINITY;
    if (hasCost && maxBudget === null) this.#local.spend({ id, usd: costUsd });
    const usd = hasCost && maxBudget !== null ? costUsd : 0;
    if (lease !== '' || usedTokens > 0 || usd > 0) void this.#send(id, lease, usedTokens, usd);
  }

  async #consume(key: StoredKey): Promise<Grant> {
    const { id, rpmLimit, tpmLimit, maxParallelRequests, maxBudget } = key;
    const { use, running, spend, resets } = this.#connection.keys;
    const lease = maxParallelRequests === null ? '' : this.#leases.next();
    let reply: unknown;
    try {
      reply = await this.#connection.request(
        'consume',
        [use(id), running(id), spend, resets],
        [
          id,
          rpmLimit ?? '',
          tpmLimit ?? '',
          maxParallelRequests ?? '',
          maxBudget === null ? '' : String(nanoUsdFrom(maxBudget)),
          lease,
          LEASE_MS,
        ],
      );
    } catch (error) {
      // It may have been done, or be done later.
      if (lease !== '') this.#leases.stray(id, lease);
      this.#tellOfError(error);
      return this.#takeShare(key);
    }
    const counts = new RedisCounts(key, reply);
    if (!counts.isTaken) throw counts.refusal;
    if (lease !== '') this.#leases.hold(id, lease);
    return new RedisGrant(this, key, lease, counts);
  }

  /** Of this instance's share of the limits. */
  #takeShare(key: StoredKey): Grant {
    const { instances } = this.#connection;
    try {
      const grant = this.#local.take({
        ...key,
        rpmLimit: shareOf(key.rpmLimit, instances),
        tpmLimit: shareOf(key.tpmLimit, instances),
        maxParallelRequests: shareOf(key.maxParallelRequests, instances),
      });
      return new ShareGrant(grant);
    } catch (error) {
      if (!(error instanceof SluiceError)) throw error;
      const { reason, message, headers } = error;
      throw new SluiceError(reason, message, { headers: [...headers, ...DEGRADED] });
    }
  }

  async #send(id: string, lease: string, tokens: number, usd: number): Promise<void> {
    const { use, running, spend, resets, virtualKeys } = this.#connection.keys;
    this.#settling++;
    try {
      const reply = await this.#connection.post(
        'settle',
        [use(id), running(id), spend, resets, virtualKeys],
        [id, tokens, String(nanoUsdFrom(usd)), MAX_NANO_USD_TEXT, lease],
      );
      const [isDone, now] = Array.isArray(reply) ? reply.map(Number) : [];
      // The budget is due: the store knows its calendar, and begins it anew by Redis's clock.
      if (isDone === 0) await this.#store.addSpend([{ id, usd }], now ?? Date.now());
    } catch (error) {
      if (lease !== '') this.#leases.stray(id, lease);
      if (usd > 0 && (wasNotDone(error) || error instanceof SluiceError)) this.#local.spend({ id, usd });
      this.#tellOfError(error);
    } finally {
      this.#settling--;
      if (this.#settling === 0) for (const resolve of this.#whenSettled.splice(0)) resolve();
    }
  }

  #tell(isThere: boolean): void {
    if (isThere) {
      this.#hasToldOfError = false;
      this.#logger.info('Redis is there again: limits hold over all instances');
      return;
    }
    const { instances } = this.#connection;
    const share = instances === 1 ? 'counted here alone' : `this instance's share, one of ${instances}`;
    this.#logger.warn({ degraded: 'limits', instances }, `Redis is away: limits are ${share}`);
  }

  /** Of what a Redis that is there says. One line until it has been away: each request might make one. */
  #tellOfError(error: unknown): void {
    if (this.#hasToldOfError || !this.#connection.isThere) return;
    if (error instanceof RedisAway || error instanceof SluiceError || isState(error)) return;
    this.#hasToldOfError = true;
    this.#logger.error({ err: error }, 'Redis can not count what keys use: limits are counted here alone');
  }
}

class RedisGrant implements Grant {
  readonly counts = true;
  readonly #limiter: SharedByRedis;
  readonly #key: StoredKey;
  readonly #lease: string;
  readonly #counts: RedisCounts;
  #isSettled = false;

  constructor(limiter: SharedByRedis, key: StoredKey, lease: string, counts: RedisCounts) {
    this.#limiter = limiter;
    this.#key = key;
    this.#lease = lease;
    this.#counts = counts;
  }

  get headers(): readonly string[] {
    return this.#counts.headers;
  }

  settle(used: Used): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#limiter.settle(this.#key, this.#lease, used);
  }
}

/** Of a share of the limits: says so. */
class ShareGrant implements Grant {
  readonly #grant: Grant;

  constructor(grant: Grant) {
    this.#grant = grant;
  }

  get counts(): boolean {
    return this.#grant.counts;
  }

  get headers(): readonly string[] {
    return [...this.#grant.headers, ...DEGRADED];
  }

  settle(used: Used): void {
    this.#grant.settle(used);
  }
}

/** Whole, and never nothing of something: a key that may a little may still a little. */
function shareOf(limit: number | null, instances: number): number | null {
  return limit === null || limit === 0 ? limit : Math.max(1, Math.floor(limit / instances));
}
