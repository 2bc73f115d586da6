import { randomUUID } from 'node:crypto';
import type { Grant, Limiter, Used } from '../../src/access/limiter.ts';
import type { LimiterClock } from '../../src/access/limiter-clock.ts';
import { SluiceError } from '../../src/base/errors.ts';
import type { StoredKey } from '../../src/store/key-store.ts';
import { FakeClock } from '../models/fake-clock.ts';

/** What a test of the contract works with: limiters that count together. All is closed when the test is over. */
export interface LimiterHouse {
  /** One, or several as several processes have them. */
  readonly limiters: readonly [Limiter, ...Limiter[]];
  /** Makes a key known where this limiter looks for it. */
  add(key: StoredKey): Promise<void>;
  /** Lets time pass, of every clock that the limiter goes by. */
  advance(milliseconds: number): Promise<void>;
  /** The time that budgets go by, ms since 1970. */
  wallNow(): number;
  /** Resolves when what was settled so far is counted. */
  arrived(): Promise<void>;
  /** What the store knows that a key has spent; the limiters are closed for that. */
  spentUsd(id: string): Promise<number>;
}

/** Nothing is used that anybody counts. */
export const NOTHING_USED: Used = { tokens: null, costUsd: 0 };

/** A key without limits but those given. */
export function limitedKey(limits: Partial<StoredKey>): StoredKey {
  return {
    id: randomUUID(),
    token: randomUUID().replaceAll('-', '').repeat(2),
    previous: null,
    keyName: 'sk-...abcd',
    alias: null,
    models: [],
    allowedRoutes: [],
    rpmLimit: null,
    tpmLimit: null,
    maxParallelRequests: null,
    maxBudget: null,
    budget: null,
    spend: 0,
    userId: null,
    teamId: null,
    metadata: {},
    tags: [],
    blocked: false,
    expiresAt: null,
    createdAt: 1,
    updatedAt: 1,
    ...limits,
  };
}

/** What became of one attempt. */
export type Outcome =
  | { readonly passed: true; readonly grant: Grant; readonly headers: ReadonlyMap<string, string> }
  | {
      readonly passed: false;
      readonly reason: string;
      readonly message: string;
      readonly headers: ReadonlyMap<string, string>;
      /** Null: no such header. */
      readonly retryAfterS: number | null;
    };

/** Takes, and tells what came of it; what isn't a refusal is thrown on. */
export async function attempt(limiter: Limiter, key: StoredKey): Promise<Outcome> {
  try {
    const grant = await limiter.take(key);
    return { passed: true, grant, headers: pairs(grant.headers) };
  } catch (error) {
    if (!(error instanceof SluiceError) || error.status !== 429) throw error;
    const headers = pairs(error.headers);
    const retryAfter = headers.get('retry-after');
    return {
      passed: false,
      reason: error.reason,
      message: error.message,
      headers,
      retryAfterS: retryAfter === undefined ? null : Number(retryAfter),
    };
  }
}

/** So many attempts at a time, by turns on each limiter. @returns how many passed; they stay under way */
export async function passing(house: LimiterHouse, key: StoredKey, count: number): Promise<number> {
  const { limiters } = house;
  const attempts = Array.from({ length: count }, (_, index) =>
    attempt(limiters[index % limiters.length] ?? limiters[0], key),
  );
  return (await Promise.all(attempts)).filter(({ passed }) => passed).length;
}

function pairs(headers: readonly string[]): ReadonlyMap<string, string> {
  const map = new Map<string, string>();
  for (let i = 0; i < headers.length; i += 2) map.set(headers[i] ?? '', headers[i + 1] ?? '');
  return map;
}

/** Time that passes when the test says so; the wall clock can be set. */
export class FakeLimiterClock extends FakeClock implements LimiterClock {
  /** What the wall clock is ahead of the other by. */
  wallOffsetMs = Date.UTC(2026, 0, 31);

  wall(): number {
    return this.wallOffsetMs + this.now();
  }
}
