import type { RedisConnection } from '../store/redis-connection.ts';
import type { LimiterClock } from './limiter-clock.ts';

/** After so long without a word from its process a request's slot is free, ms. */
export const LEASE_MS = 30_000;
const RENEWAL_INTERVAL_MS = 10_000;

/** The slots that requests under way here hold in Redis. */
export class RedisLeases {
  readonly #connection: RedisConnection;
  readonly #clock: LimiterClock;
  /** By key. */
  readonly #held = new Map<string, Map<string, true>>();
  /** Slots that may be taken in Redis though nobody here has them: Redis was away when they were taken or given back. */
  #strays: { readonly id: string; readonly lease: string }[] = [];
  readonly #stopBeats: () => void;
  #cancelRenewal: (() => void) | null = null;
  #last = 0;

  constructor(connection: RedisConnection, clock: LimiterClock) {
    this.#connection = connection;
    this.#clock = clock;
    this.#stopBeats = connection.onHeartbeat(() => this.#releaseStrays());
  }

  /** A name for a slot, of all instances' alone. */
  next(): string {
    return `${this.#connection.instance}:${++this.#last}`;
  }

  /** A request has a slot: its lease is renewed until `drop`. */
  hold(id: string, lease: string): void {
    let ofKey = this.#held.get(id);
    if (ofKey === undefined) {
      ofKey = new Map();
      this.#held.set(id, ofKey);
    }
    ofKey.set(lease, true);
    this.#cancelRenewal ??= this.#clock.after(RENEWAL_INTERVAL_MS, () => this.#renew());
  }

  drop(id: string, lease: string): void {
    const ofKey = this.#held.get(id);
    ofKey?.delete(lease);
    if (ofKey?.size === 0) this.#held.delete(id);
  }

  /** Whether Redis has the slot taken is not known: it is given back as soon as Redis is there. */
  stray(id: string, lease: string): void {
    this.#strays.push({ id, lease });
  }

  close(): void {
    this.#stopBeats();
    this.#cancelRenewal?.();
    this.#cancelRenewal = null;
  }

  #renew(): void {
    this.#cancelRenewal = null;
    for (const [id, leases] of this.#held) {
      const { running } = this.#connection.keys;
      // Should it fail, the next one comes before the lease is over.
      this.#connection.post('renew', [running(id)], [LEASE_MS, ...leases.keys()]).catch(() => {});
    }
    if (this.#held.size > 0) {
      this.#cancelRenewal = this.#clock.after(RENEWAL_INTERVAL_MS, () => this.#renew());
    }
  }

  #releaseStrays(): void {
    const strays = this.#strays;
    if (strays.length === 0) return;
    this.#strays = [];
    const { running } = this.#connection.keys;
    for (const { id, lease } of strays) {
      this.#connection.command('zrem', running(id), lease).catch(() => {});
    }
  }
}
