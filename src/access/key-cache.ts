import { SluiceError } from '../base/errors.ts';
import type { KeyStore, StoredKey } from '../store/key-store.ts';
import type { Store } from '../store/store.ts';
import { hashKey } from './mint.ts';

/** Where the door finds virtual keys. */
export interface KeySource {
  /**
   * The key that has this secret; null: none has. At once what is known here, else a promise, which rejects with
   * SluiceError `store_unavailable` where nobody can tell.
   */
  find(secret: string): StoredKey | null | Promise<StoredKey | null>;
}

export interface KeyCacheOptions {
  readonly store: Pick<KeyStore, 'keyByToken' | 'keysVersion'> & Pick<Store, 'watch'>;
  /** Keys that are kept, and as many secrets that are none; default 10,000. */
  readonly maxKeys?: number;
  /**
   * How long a key is taken without asking again, ms; changes are told before. For as long again its requests don't wait
   * for the answer, so that what a key has spent is never known from more than twice this ago. Default 30 s.
   */
  readonly freshMs?: number;
  /** How long a key works without the store, ms. Default 10 min. */
  readonly lifetimeMs?: number;
}

/** Longer texts are no keys of ours (key_service.proto), and nobody need hash them. */
const MAX_SECRET_LENGTH = 256;
/** How long after a failure the store is asked again. */
const RETRY_MS = 250;

interface Known {
  /** Null: the secret is of no key. */
  readonly key: StoredKey | null;
  /** Of the changes that had happened when it was read; see `changed`. */
  readonly generation: number;
  /** Where it was found by its previous secret: when that ends, ms since 1970. */
  readonly endsAt: number;
  /** By the monotonic clock: when it is asked for again, when requests wait for the answer, when it is no more valid. */
  freshUntil: number;
  readonly waitFrom: number;
  readonly validUntil: number;
}

/**
 * Virtual keys in memory, so that a request needs no store. By the whole secret: by a part of it, one key would open
 * another's door (CVE-2026-35030).
 *
 * A change that is made in this process holds from the next request on (`changed`); one made elsewhere, as soon as the
 * store tells of it. While the store is away a key works on as long as its lifetime lasts: what isn't known here can't
 * be let in then.
 */
export class KeyCache implements KeySource {
  readonly #store: KeyCacheOptions['store'];
  readonly #maxKeys: number;
  readonly #freshMs: number;
  readonly #lifetimeMs: number;
  readonly #stopWatching: () => void;
  readonly #keys = new Map<string, Known>();
  /** Secrets of no key, apart: whoever sends many must not drive keys out. */
  readonly #strangers = new Map<string, Known>();
  readonly #asking = new Map<string, Promise<StoredKey | null>>();
  #generation = 0;
  #version: number | null = null;
  #checking: 'no' | 'once' | 'again' = 'no';
  #retry: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(options: KeyCacheOptions) {
    this.#store = options.store;
    this.#maxKeys = options.maxKeys ?? 10_000;
    this.#freshMs = options.freshMs ?? 30_000;
    this.#lifetimeMs = options.lifetimeMs ?? 600_000;
    this.#stopWatching = this.#store.watch(() => void this.#checkVersion());
    void this.#checkVersion();
  }

  find(secret: string): StoredKey | null | Promise<StoredKey | null> {
    const known = this.#keys.get(secret) ?? this.#strangers.get(secret) ?? null;
    if (known !== null && known.generation === this.#generation) {
      const now = performance.now();
      if (now < known.freshUntil) return standing(known);
      if (now < known.waitFrom) {
        this.#ask(secret, known).catch(() => {});
        return standing(known);
      }
    }
    return secret.length > MAX_SECRET_LENGTH ? null : this.#ask(secret, known);
  }

  /** Keys have changed: from now on whatever is known here is asked for again. */
  changed(): void {
    this.#generation++;
    this.#asking.clear();
  }

  /** Stops watching the store. */
  close(): void {
    this.#closed = true;
    this.#stopWatching();
    if (this.#retry !== null) clearTimeout(this.#retry);
  }

  /** One question at a time for a secret, however many requests wait for it. */
  #ask(secret: string, known: Known | null): Promise<StoredKey | null> {
    const underway = this.#asking.get(secret);
    if (underway !== undefined) return underway;
    const asking = this.#query(secret, known).finally(() => {
      if (this.#asking.get(secret) === asking) this.#asking.delete(secret);
    });
    this.#asking.set(secret, asking);
    return asking;
  }

  async #query(secret: string, known: Known | null): Promise<StoredKey | null> {
    const token = hashKey(secret);
    const generation = this.#generation;
    let key: StoredKey | null;
    try {
      key = await this.#store.keyByToken(token, Date.now());
    } catch (error) {
      const now = performance.now();
      const isAway = error instanceof SluiceError && error.reason === 'store_unavailable';
      if (!isAway || known === null || now >= known.validUntil) throw error;
      known.freshUntil = Math.min(now + RETRY_MS, known.validUntil);
      return standing(known);
    }
    // What was read before a change may be what has changed.
    if (generation === this.#generation) this.#remember(secret, token, key);
    return key;
  }

  #remember(secret: string, token: string, key: StoredKey | null): void {
    const generation = this.#generation;
    const now = performance.now();
    // A text that was cut out of a long header would keep all of that alive.
    const own = Buffer.from(secret).toString();
    this.#keys.delete(own);
    this.#strangers.delete(own);
    const entries = key === null ? this.#strangers : this.#keys;
    makeRoom(entries, this.#maxKeys);
    entries.set(own, {
      key,
      generation,
      endsAt: key === null || key.token === token ? Number.POSITIVE_INFINITY : (key.previous?.until ?? 0),
      freshUntil: now + this.#freshMs,
      waitFrom: now + 2 * this.#freshMs,
      validUntil: now + this.#lifetimeMs,
    });
  }

  /** The store tells of other changes, too, and of spending: the version says whether keys are concerned. */
  async #checkVersion(): Promise<void> {
    if (this.#checking !== 'no') {
      this.#checking = 'again';
      return;
    }
    try {
      do {
        this.#checking = 'once';
        const version = await this.#store.keysVersion();
        if (version !== this.#version) {
          this.#version = version;
          this.changed();
        }
      } while (this.#isToCheckAgain());
    } catch {
      // Away: what has changed meanwhile is asked for as soon as it is back.
      this.#checkSoon();
    } finally {
      this.#checking = 'no';
    }
  }

  #isToCheckAgain(): boolean {
    return this.#checking === 'again';
  }

  #checkSoon(): void {
    if (this.#closed || this.#retry !== null) return;
    this.#retry = setTimeout(() => {
      this.#retry = null;
      void this.#checkVersion();
    }, RETRY_MS).unref();
  }
}

/** A secret that was replaced is let in for its grace alone. */
function standing({ key, endsAt }: Known): StoredKey | null {
  return endsAt === Number.POSITIVE_INFINITY || Date.now() < endsAt ? key : null;
}

/** A Map has the order in which its entries came: the oldest goes. */
function makeRoom(entries: Map<string, unknown>, max: number): void {
  if (entries.size < max) return;
  for (const oldest of entries.keys()) {
    entries.delete(oldest);
    return;
  }
}
