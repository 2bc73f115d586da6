import { openSqliteStore } from '../../src/store/sqlite-store.ts';
import type { Store } from '../../src/store/store.ts';

/** Opens what a location means, in whatever process: `sqlite:<file>`. Changes of others are looked for often. */
export function openStore(location: string): Promise<Store> {
  const file = location.slice('sqlite:'.length);
  return openSqliteStore({ file, watchIntervalMs: 5 });
}
