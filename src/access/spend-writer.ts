import type { Logger } from 'pino';
import type { KeyStore, Spending } from '../store/key-store.ts';
import type { LimiterClock } from './limiter-clock.ts';

export interface SpendWriterOptions {
  readonly store: Pick<KeyStore, 'addSpend'>;
  readonly logger: Logger;
  readonly clock: LimiterClock;
}

/** What a process that dies can lose. */
const WRITE_DELAY_MS = 250;
const MAX_RETRY_DELAY_MS = 4_000;
/** A batch is one transaction: more would keep others waiting. */
const BATCH_KEYS = 1_000;
const CLOSE_DEADLINE_MS = 5_000;

/**
 * Writes spending to the store behind the scenes: one number a key waits, for 250 ms, or longer while the store is
 * away. A clean stop loses nothing; a crash what waited.
 */
export class SpendWriter {
  readonly #store: Pick<KeyStore, 'addSpend'>;
  readonly #logger: Logger;
  readonly #clock: LimiterClock;
  #waiting = new Map<string, number>();
  /** What the store has been given, and has not taken yet. */
  #sent: readonly Spending[] = [];
  /** Takes the timer back; null: none runs. */
  #cancel: (() => void) | null = null;
  #writing: Promise<void> | null = null;
  #failures = 0;
  #isClosed = false;

  constructor({ store, logger, clock }: SpendWriterOptions) {
    this.#store = store;
    this.#logger = logger;
    this.#clock = clock;
  }

  add(id: string, usd: number): void {
    if (!(usd > 0 && usd < Number.POSITIVE_INFINITY)) return;
    if (this.#isClosed) {
      this.#logger.error({ key: id, usd }, 'spending of a key came too late to be kept');
      return;
    }
    this.#waiting.set(id, (this.#waiting.get(id) ?? 0) + usd);
    this.#schedule();
  }

  /** What a key has spent that has not been sent to the store yet. */
  unsentUsd(id: string): number {
    return this.#waiting.get(id) ?? 0;
  }

  /** Writes what waits; gives up, and says so, after 5 s. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#cancel?.();
    const expiry = Promise.withResolvers<void>();
    let isOver = false;
    const takeBack = this.#clock.after(CLOSE_DEADLINE_MS, () => {
      isOver = true;
      expiry.resolve();
    });
    const written = (async () => {
      await this.#writing;
      while (this.#waiting.size > 0 && !isOver) {
        await this.#write();
        if (this.#failures > 0) await Promise.race([this.#pause(), expiry.promise]);
      }
    })();
    await Promise.race([written, expiry.promise]);
    takeBack();
    if (!isOver) return;
    const lost = [...this.#sent.map(({ usd }) => usd), ...this.#waiting.values()];
    const usd = lost.reduce((sum, amount) => sum + amount, 0);
    this.#logger.error({ usd }, 'the store is away: spending of keys is lost');
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => this.#clock.after(this.#delayMs(), resolve));
  }

  #delayMs(): number {
    return Math.min(WRITE_DELAY_MS * 2 ** Math.min(this.#failures, 10), MAX_RETRY_DELAY_MS);
  }

  #schedule(): void {
    if (this.#cancel !== null || this.#writing !== null || this.#isClosed) return;
    this.#cancel = this.#clock.after(this.#delayMs(), () => {
      this.#cancel = null;
      this.#writing = this.#write().finally(() => {
        this.#writing = null;
        if (this.#waiting.size > 0) this.#schedule();
      });
    });
  }

  /** Never rejects: what can't be written waits on. */
  async #write(): Promise<void> {
    this.#sent = Array.from(this.#waiting, ([id, usd]) => ({ id, usd }));
    this.#waiting = new Map();
    while (this.#sent.length > 0) {
      try {
        await this.#store.addSpend(this.#sent.slice(0, BATCH_KEYS), this.#clock.wall());
        this.#sent = this.#sent.slice(BATCH_KEYS);
      } catch (error) {
        for (const { id, usd } of this.#sent) this.#waiting.set(id, (this.#waiting.get(id) ?? 0) + usd);
        this.#sent = [];
        if (this.#failures++ === 0) {
          this.#logger.warn({ err: error }, 'spending of keys could not be written; it is tried again');
        }
        return;
      }
    }
    if (this.#failures > 0) this.#logger.info('spending of keys is written again');
    this.#failures = 0;
  }
}
