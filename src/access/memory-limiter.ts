import type { Logger } from 'pino';
import type { KeyStore, Spending } from '../store/key-store.ts';
import { KeyUse, type Surroundings } from './key-use.ts';
import { isUnlimited, type LimitedKey } from './limit-answers.ts';
import type { Grant, Limiter } from './limiter.ts';
import { type LimiterClock, SYSTEM_LIMITER_CLOCK } from './limiter-clock.ts';
import { WINDOW_MS } from './sliding-window.ts';
import { SpendWriter } from './spend-writer.ts';
import { SpendingGrant } from './spending-grant.ts';

export interface MemoryLimiterOptions {
  readonly store: Pick<KeyStore, 'addSpend'>;
  readonly logger: Logger;
  readonly clock?: LimiterClock;
}

/** Counts in this process: all of its answers come at once. */
export interface MemoryLimiter extends Limiter {
  take(key: LimitedKey): Grant;
  /** Adds what was spent without asking first, by a key that has no limits. */
  spend(spent: Spending): void;
  /** Keys that are counted just now. */
  readonly size: number;
}

/** Both windows have forgotten a key that was idle for so long. */
const IDLE_MS = 2 * WINDOW_MS;
/** Longer than a key goes on in a cache without being read again (`KeyCache`). */
const BUDGET_IDLE_MS = 15 * 60_000;
/** Each key is looked at this often, a few at a time. */
const SWEEP_ROUND_MS = 60_000;
const SWEEP_INTERVAL_MS = 1_000;

/**
 * The limiter of one process. Spending is written to the store behind the scenes, at the latest after 250 ms and at
 * `close`; a crash loses what was spent since.
 */
export function createMemoryLimiter(options: MemoryLimiterOptions): MemoryLimiter {
  return new EmbeddedLimiter(options);
}

class EmbeddedLimiter implements MemoryLimiter {
  readonly #clock: LimiterClock;
  readonly #writer: SpendWriter;
  readonly #surroundings: Surroundings;
  readonly #keys = new Map<string, KeyUse>();
  /** Where the sweep is; an iterator of a Map goes on whatever comes and goes. */
  #unswept: Iterator<KeyUse> = this.#keys.values();
  /** How many are looked at each time in this round. */
  #sweepShare = 0;
  #cancelSweep: (() => void) | null = null;

  constructor({ store, logger, clock = SYSTEM_LIMITER_CLOCK }: MemoryLimiterOptions) {
    this.#clock = clock;
    this.#writer = new SpendWriter({ store, logger, clock });
    this.#surroundings = { clock, writer: this.#writer };
  }

  get size(): number {
    return this.#keys.size;
  }

  take(key: LimitedKey): Grant {
    if (isUnlimited(key)) return new SpendingGrant(key.id, this.#writer);
    const now = Math.floor(this.#clock.now());
    const use = this.#useOf(key.id, now);
    if (use.refuses(key, now)) throw use.refusal(key, now);
    return use.take(key, now);
  }

  spend({ id, usd }: Spending): void {
    this.#writer.add(id, usd);
  }

  async close(): Promise<void> {
    this.#cancelSweep?.();
    this.#cancelSweep = null;
    await this.#writer.close();
  }

  #useOf(id: string, now: number): KeyUse {
    const known = this.#keys.get(id);
    if (known !== undefined) return known;
    const use = new KeyUse(id, now, this.#surroundings);
    this.#keys.set(id, use);
    this.#cancelSweep ??= this.#clock.after(SWEEP_INTERVAL_MS, () => this.#sweep());
    return use;
  }

  #sweep(): void {
    const now = Math.floor(this.#clock.now());
    const share = Math.ceil((this.#keys.size * SWEEP_INTERVAL_MS) / SWEEP_ROUND_MS);
    this.#sweepShare = Math.max(this.#sweepShare, share);
    for (let i = 0; i < this.#sweepShare; i++) {
      const next = this.#unswept.next();
      if (next.done === true) {
        this.#unswept = this.#keys.values();
        this.#sweepShare = 0;
        break;
      }
      const use = next.value;
      const idleMs = use.spending.isKnown ? BUDGET_IDLE_MS : IDLE_MS;
      if (use.held === 0 && now - use.usedAt >= idleMs) this.#keys.delete(use.id);
    }
    this.#cancelSweep =
      this.#keys.size === 0 ? null : this.#clock.after(SWEEP_INTERVAL_MS, () => this.#sweep());
  }
}
