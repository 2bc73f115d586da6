import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { KeyCache, type KeyCacheOptions } from '../../src/access/key-cache.ts';
import { hashKey } from '../../src/access/mint.ts';
import { SluiceError } from '../../src/base/errors.ts';
import type { StoredKey } from '../../src/store/key-store.ts';
import { key as sample } from '../store/samples.ts';

/** A store that answers when it is told to, or at once. */
class FakeStore {
  readonly keys = new Map<string, StoredKey>();
  isAway = false;
  /** Questions so far. */
  asked = 0;
  version = 1;
  versionsAsked = 0;
  watchers = 0;
  #tell: () => void = () => {};
  #gate: Promise<void> = Promise.resolve();

  add(secret: string, parts: Partial<StoredKey> = {}): StoredKey {
    const key = sample(secret, { token: hashKey(secret), ...parts });
    this.keys.set(key.token, key);
    return key;
  }

  remove(secret: string): void {
    this.keys.delete(hashKey(secret));
  }

  /** Something has changed in another process. */
  changedElsewhere(): void {
    this.version++;
    this.#tell();
  }

  /** Tells of something that is none of the keys' business. */
  spurious(): void {
    this.#tell();
  }

  /** Questions wait until the function is called; what they are answered with is as it was when they were asked. */
  hold(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#gate = promise;
    return resolve;
  }

  async keyByToken(token: string, now: number): Promise<StoredKey | null> {
    this.asked++;
    this.#refuseIfAway();
    const current = this.keys.get(token) ?? null;
    const previous =
      [...this.keys.values()].find((key) => key.previous?.token === token && key.previous.until > now) ??
      null;
    await this.#gate;
    return current ?? previous;
  }

  async keysVersion(): Promise<number> {
    this.versionsAsked++;
    this.#refuseIfAway();
    return this.version;
  }

  watch(onChange: () => void): () => void {
    this.watchers++;
    this.#tell = onChange;
    return () => {
      this.watchers--;
    };
  }

  #refuseIfAway(): void {
    if (this.isAway) throw new SluiceError('store_unavailable', 'The store is away.');
  }
}

function house(options: Partial<KeyCacheOptions> = {}): { store: FakeStore; cache: KeyCache } {
  const store = new FakeStore();
  const cache = new KeyCache({ store, ...options });
  onTestFinished(() => cache.close());
  return { store, cache };
}

/** Lets promises that wait for nothing go on. */
async function settled(): Promise<void> {
  await vi.advanceTimersByTimeAsync(0);
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance', 'Date', 'setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('what is known', () => {
  test('is answered at once from the second time on', async () => {
    const { store, cache } = house();
    const key = store.add('sk-a');
    await settled();
    expect(cache.find('sk-a')).toBeInstanceOf(Promise);
    expect(await cache.find('sk-a')).toEqual(key);
    expect(cache.find('sk-a')).toEqual(key);
    expect(store.asked).toBe(1);
  });

  test('is asked for once, however many wait for it', async () => {
    const { store, cache } = house();
    store.add('sk-a');
    await settled();
    const open = store.hold();
    const found = Array.from({ length: 50 }, () => cache.find('sk-a'));
    open();
    expect(new Set(await Promise.all(found)).size).toBe(1);
    expect(store.asked).toBe(1);
  });

  test('is by the whole secret (CVE-2026-35030)', async () => {
    const { store, cache } = house();
    store.add('sk-abcdefghijklmnopqrstuv');
    await settled();
    await cache.find('sk-abcdefghijklmnopqrstuv');
    for (const other of [
      'sk-abcdefghijklmnopqrstuV',
      'sk-abcdefghijklmnopqrstu',
      'sk-abcdefghijklmnopqrstuvw',
    ]) {
      expect(await cache.find(other)).toBeNull();
    }
  });

  test('is also that a secret is of no key', async () => {
    const { store, cache } = house();
    await settled();
    expect(await cache.find('sk-none')).toBeNull();
    expect(cache.find('sk-none')).toBeNull();
    expect(store.asked).toBe(1);
  });

  test('is nothing of a text that is too long to be a key', () => {
    const { store, cache } = house();
    expect(cache.find(`sk-${'x'.repeat(300)}`)).toBeNull();
    expect(store.asked).toBe(0);
  });

  test('is bounded, and many wrong secrets drive no key out', async () => {
    const { store, cache } = house({ maxKeys: 3 });
    for (const secret of ['sk-1', 'sk-2', 'sk-3', 'sk-4']) {
      store.add(secret);
      await cache.find(secret);
    }
    for (let i = 0; i < 10; i++) await cache.find(`sk-wrong-${i}`);
    for (const secret of ['sk-2', 'sk-3', 'sk-4']) expect(cache.find(secret)).not.toBeInstanceOf(Promise);
    expect(cache.find('sk-1')).toBeInstanceOf(Promise);
    expect(cache.find('sk-wrong-0')).toBeInstanceOf(Promise);
  });
});

describe('a change', () => {
  test('in this process holds from the next request on', async () => {
    const { store, cache } = house();
    store.add('sk-a');
    await settled();
    await cache.find('sk-a');
    store.add('sk-a', { blocked: true });
    cache.changed();
    expect(await cache.find('sk-a')).toMatchObject({ blocked: true });
    store.remove('sk-a');
    cache.changed();
    expect(await cache.find('sk-a')).toBeNull();
    store.add('sk-a');
    cache.changed();
    expect(await cache.find('sk-a')).toMatchObject({ blocked: false });
  });

  test('elsewhere holds as soon as the store tells of it', async () => {
    const { store, cache } = house();
    store.add('sk-a');
    await settled();
    await cache.find('sk-a');
    expect(await cache.find('sk-b')).toBeNull();
    store.remove('sk-a');
    store.add('sk-b');
    store.changedElsewhere();
    await settled();
    expect(await cache.find('sk-a')).toBeNull();
    expect(await cache.find('sk-b')).not.toBeNull();
  });

  test('is not forgotten over an answer from before it', async () => {
    const { store, cache } = house();
    store.add('sk-a');
    await settled();
    const open = store.hold();
    const early = cache.find('sk-a');
    store.remove('sk-a');
    cache.changed();
    const late = cache.find('sk-a');
    open();
    expect(await early).not.toBeNull();
    expect(await late).toBeNull();
    expect(await cache.find('sk-a')).toBeNull();
  });

  test('of something else costs no question', async () => {
    const { store, cache } = house();
    store.add('sk-a');
    await settled();
    await cache.find('sk-a');
    store.spurious();
    await settled();
    expect(store.versionsAsked).toBe(2);
    expect(cache.find('sk-a')).not.toBeInstanceOf(Promise);
  });

  test('while the store is asked about changes is asked about again', async () => {
    const { store, cache } = house();
    store.add('sk-a');
    await settled();
    await cache.find('sk-a');
    store.spurious();
    store.remove('sk-a');
    store.changedElsewhere();
    await settled();
    expect(await cache.find('sk-a')).toBeNull();
  });
});

describe('a secret that was replaced', () => {
  test('works until its grace ends, and not a moment longer', async () => {
    const { store, cache } = house();
    const until = Date.now() + 5_000;
    store.add('sk-new', { previous: { token: hashKey('sk-old'), until } });
    await settled();
    expect(await cache.find('sk-old')).not.toBeNull();
    vi.advanceTimersByTime(4_999);
    expect(cache.find('sk-old')).not.toBeNull();
    vi.advanceTimersByTime(1);
    expect(cache.find('sk-old')).toBeNull();
    expect(await cache.find('sk-new')).not.toBeNull();
  });
});

describe('time', () => {
  test('a key in use is asked for again, and its requests wait for that only when it was idle for long', async () => {
    const { store, cache } = house({ freshMs: 1_000, lifetimeMs: 10_000 });
    store.add('sk-a', { spend: 1 });
    await settled();
    await cache.find('sk-a');
    store.add('sk-a', { spend: 2 });
    vi.advanceTimersByTime(1_500);
    expect(cache.find('sk-a')).toMatchObject({ spend: 1 });
    await settled();
    expect(cache.find('sk-a')).toMatchObject({ spend: 2 });
    store.add('sk-a', { spend: 3 });
    vi.advanceTimersByTime(2_000);
    expect(cache.find('sk-a')).toBeInstanceOf(Promise);
    expect(await cache.find('sk-a')).toMatchObject({ spend: 3 });
  });
});

describe('while the store is away', () => {
  const unavailable = { reason: 'store_unavailable' };

  test('a key works on for its lifetime, and a secret that is of none stays so', async () => {
    const { store, cache } = house({ freshMs: 1_000, lifetimeMs: 10_000 });
    store.add('sk-a');
    await settled();
    await cache.find('sk-a');
    await cache.find('sk-none');
    store.isAway = true;
    for (const ms of [0, 1_500, 2_500, 4_000, 1_900]) {
      vi.advanceTimersByTime(ms);
      expect(await cache.find('sk-a')).not.toBeNull();
      expect(await cache.find('sk-none')).toBeNull();
    }
    vi.advanceTimersByTime(200);
    await expect(cache.find('sk-a')).rejects.toMatchObject(unavailable);
    await expect(cache.find('sk-none')).rejects.toMatchObject(unavailable);
  });

  test('what is not known is nobody', async () => {
    const { store, cache } = house();
    await settled();
    store.isAway = true;
    await expect(cache.find('sk-a')).rejects.toMatchObject(unavailable);
    store.isAway = false;
    store.add('sk-a');
    expect(await cache.find('sk-a')).not.toBeNull();
  });

  test('a key that may have changed works on, and what has changed holds when the store is back', async () => {
    const { store, cache } = house();
    store.add('sk-a');
    await settled();
    await cache.find('sk-a');
    store.isAway = true;
    store.remove('sk-a');
    store.changedElsewhere();
    await settled();
    expect(await cache.find('sk-a')).not.toBeNull();
    store.isAway = false;
    await vi.advanceTimersByTimeAsync(250);
    expect(await cache.find('sk-a')).toBeNull();
  });

  test('other failures are not taken for it', async () => {
    const { store, cache } = house();
    store.add('sk-a');
    await settled();
    await cache.find('sk-a');
    cache.changed();
    store.keyByToken = () => Promise.reject(new TypeError('a fault'));
    await expect(cache.find('sk-a')).rejects.toThrow('a fault');
  });
});

test('stops watching when it is closed', async () => {
  const { store, cache } = house();
  await settled();
  store.isAway = true;
  store.spurious();
  await settled();
  cache.close();
  const { versionsAsked } = store;
  await vi.advanceTimersByTimeAsync(5_000);
  expect([store.watchers, store.versionsAsked]).toEqual([0, versionsAsked]);
});
