import { onTestFinished } from 'vitest';
import { SluiceError } from '../../src/base/errors.ts';
import { openSqliteStore } from '../../src/store/sqlite-store.ts';
import type { Store } from '../../src/store/store.ts';

/** A store in memory that can be made to fail, and to tell of changes that nobody made. */
export interface FragileStore extends Store {
  isDown: boolean;
  /** As when another process has changed something. */
  tellOfChange(): void;
}

/** It lives as long as the test, and outlives what is opened on it. */
export async function openFragileStore(): Promise<FragileStore> {
  const inner = await openSqliteStore({ file: ':memory:' });
  const close = inner.close.bind(inner);
  onTestFinished(close);
  const watchers = new Set<() => void>();
  const frailty = {
    isDown: false,
    tellOfChange: () => {
      for (const watcher of watchers) watcher();
    },
    watch: (onChange: () => void) => {
      watchers.add(onChange);
      return () => void watchers.delete(onChange);
    },
    check: async () => !fragile.isDown,
    close: async () => {},
  };
  const fragile = Object.assign(inner, frailty);
  return new Proxy(fragile, {
    get(_, name) {
      const verb: unknown = Reflect.get(_, name);
      if (typeof verb !== 'function' || Object.hasOwn(frailty, name)) return verb;
      return async (...args: readonly unknown[]) => {
        if (fragile.isDown) throw new SluiceError('store_unavailable', 'The store is away.');
        return verb.apply(fragile, args);
      };
    },
  });
}
