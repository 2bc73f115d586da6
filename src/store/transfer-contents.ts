import type { StoredKey } from './key-store.ts';
import type { Store } from './store.ts';
import type { TransferCounts, TransferKind, TransferRecord } from './transfer-format.ts';

const PAGE = 1_000;
const ATTEMPTS = 10;

/**
 * All that a store has, in the order in which it is to be imported; keys oldest first.
 * @throws Error when keys are changed all the time; SluiceError `store_unavailable`
 */
export async function readContents(store: Store): Promise<readonly TransferRecord[]> {
  const [configurations, routes, keys, loaded] = [
    await store.configurations(),
    await store.routes(),
    await allKeys(store),
    await store.loaded(),
  ];
  return [
    ...configurations.map((value) => ({ kind: 'configuration', value }) as const),
    ...routes.map((value) => ({ kind: 'route', value }) as const),
    ...keys.map((value) => ({ kind: 'key', value }) as const),
    ...Array.from(
      loaded,
      ([modelId, configId]) => ({ kind: 'loaded', value: { modelId, configId } }) as const,
    ),
  ];
}

export function countsOf(records: Iterable<{ readonly kind: TransferKind }>): TransferCounts {
  const counts = { configuration: 0, loaded: 0, route: 0, key: 0 };
  for (const { kind } of records) counts[kind] += 1;
  return counts;
}

/**
 * Page by page, so that a store that others use isn't held up. A key that goes meanwhile would move others from one
 * page to the one before, unseen: the pages count only when no key has changed since the first.
 */
async function allKeys(store: Store): Promise<readonly StoredKey[]> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const version = await store.keysVersion();
    const newestFirst = await keysPageByPage(store);
    if ((await store.keysVersion()) === version) return newestFirst.toReversed();
  }
  throw new Error('keys are being changed all the time; try again when fewer are, or stop the gateways');
}

async function keysPageByPage(store: Store): Promise<readonly StoredKey[]> {
  const all: StoredKey[] = [];
  for (;;) {
    const query = { offset: all.length, limit: PAGE, userId: null, teamId: null, alias: null };
    const { keys } = await store.keys(query);
    all.push(...keys);
    if (keys.length < PAGE) return all;
  }
}
