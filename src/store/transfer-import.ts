import { SluiceError } from '../base/errors.ts';
import type { Store } from './store.ts';
import { countsOf, readContents } from './transfer-contents.ts';
import type { PlacedRecord } from './transfer-file.ts';
import {
  identityOf,
  recordLine,
  TRANSFER_KINDS,
  type TransferCounts,
  type TransferRecord,
} from './transfer-format.ts';

export interface ImportResult {
  readonly created: TransferCounts;
  /** What was there already, under the same id, and stays as it is. */
  readonly kept: TransferCounts;
  /** What couldn't be: another one has its alias, its token or its path. In the order of their lines. */
  readonly refused: readonly RefusedRecord[];
}

export interface RefusedRecord {
  readonly line: number;
  readonly why: string;
}

/** The store has something else than what is to be imported. Nothing was. */
export class StoreNotEmptyError extends Error {
  override readonly name = 'StoreNotEmptyError';
  readonly counts: TransferCounts;

  constructor(counts: TransferCounts) {
    super('the store is not empty');
    this.counts = counts;
  }
}

/** At a time: on a distant store the way there and back is what takes time. */
const BATCH = 100;

/**
 * Puts records into a store. Each is written in a step of its own: an import that was interrupted is finished by the
 * same one again, as what is there already is kept.
 * @param options `merge`: also into a store that has something else
 * @throws StoreNotEmptyError; SluiceError `store_unavailable`, with a part of the records imported
 */
export async function importTransfer(
  store: Store,
  records: readonly PlacedRecord[],
  options: { readonly merge: boolean },
): Promise<ImportResult> {
  const present = await readContents(store);
  if (!options.merge) refuseOthers(present, records);
  const names = new Set(present.map(nameOf));
  const kept = records.filter(({ record }) => names.has(nameOf(record)));
  const missing = TRANSFER_KINDS.flatMap((kind) =>
    records.filter(({ record }) => record.kind === kind && !names.has(nameOf(record))),
  );
  const refused: RefusedRecord[] = [];
  for (let from = 0; from < missing.length; from += BATCH) {
    const batch = missing.slice(from, from + BATCH);
    // All of them have ended before an error is thrown: nothing is written behind the caller's back.
    const outcomes = await Promise.allSettled(batch.map(({ record }) => create(store, record)));
    for (const [index, outcome] of outcomes.entries()) {
      if (outcome.status === 'fulfilled') continue;
      refused.push({ line: batch[index]?.line ?? 0, why: conflictFrom(outcome.reason) });
    }
  }
  const lost = new Set(refused.map(({ line }) => line));
  return {
    created: countsOf(missing.filter(({ line }) => !lost.has(line)).map(({ record }) => record)),
    kept: countsOf(kept.map(({ record }) => record)),
    refused: refused.toSorted((a, b) => a.line - b.line),
  };
}

/** What an interrupted import has left behind is no obstacle. @throws StoreNotEmptyError */
function refuseOthers(present: readonly TransferRecord[], records: readonly PlacedRecord[]): void {
  const lines = new Set(records.map(({ record }) => recordLine(record)));
  if (present.some((record) => !lines.has(recordLine(record))))
    throw new StoreNotEmptyError(countsOf(present));
}

function create(store: Store, record: TransferRecord): Promise<void> {
  switch (record.kind) {
    case 'configuration':
      return store.createConfiguration(record.value);
    case 'loaded':
      return store.setLoaded(record.value.modelId, record.value.configId);
    case 'route':
      return store.createRoute(record.value);
    case 'key':
      return store.createKey(record.value);
  }
}

function conflictFrom(thrown: unknown): string {
  if (thrown instanceof SluiceError && thrown.reason === 'already_exists') return thrown.message;
  throw thrown;
}

function nameOf(record: TransferRecord): string {
  return `${record.kind} ${identityOf(record)}`;
}
