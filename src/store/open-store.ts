import type { StateConfig } from '../base/config/config.ts';
import type { RedisConnection } from './redis-connection.ts';
import { openRedisStore } from './redis-store.ts';
import { openSqliteStore } from './sqlite-store.ts';
import type { Store } from './store.ts';

/** A store, and the Redis that it is on; null: it is embedded. Closing the store closes the connection. */
export interface OpenedStore {
  readonly store: Store;
  readonly redis: RedisConnection | null;
}

/**
 * Opens the store that a configuration names.
 * @throws StoreOpenError of one line: where, what, and what to do
 */
export async function openStore(state: StateConfig): Promise<OpenedStore> {
  switch (state.kind) {
    case 'sqlite':
      return { store: await openSqliteStore(state), redis: null };
    case 'redis': {
      const store = await openRedisStore({ state });
      return { store, redis: store.connection };
    }
  }
}
