import { isRedisUrl, redisStateFrom } from '../../src/base/config/redis-url.ts';
import { openRedisStore } from '../../src/store/redis-store.ts';
import { openSqliteStore } from '../../src/store/sqlite-store.ts';
import type { Store } from '../../src/store/store.ts';

/** Opens what a location means, in whatever process: `sqlite:<file>`, where changes of others are looked for often, or `redis://…`. */
export async function openStore(location: string): Promise<Store> {
  if (isRedisUrl(location)) {
    const state = redisStateFrom(location);
    if (state.kind === 'problem') throw new Error(`${location}: ${state.problem}`);
    return openRedisStore({ state });
  }
  const file = location.slice('sqlite:'.length);
  return openSqliteStore({ file, watchIntervalMs: 5 });
}
