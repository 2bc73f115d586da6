import type { Store } from './store.ts';
import { countsOf, readContents } from './transfer-contents.ts';
import { endLine, headerLine, recordLine, type TransferCounts } from './transfer-format.ts';

export interface Export {
  readonly counts: TransferCounts;
  /** Each with its line feed. Secrets are in clear: of configurations and routes; of keys there are hashes. */
  readonly lines: Iterable<string>;
}

/**
 * All that a store has, as lines for `importTransfer`.
 * @throws Error when keys are changed all the time; SluiceError `store_unavailable`
 */
export async function exportStore(store: Store, exportedAt: Date): Promise<Export> {
  const records = await readContents(store);
  const counts = countsOf(records);
  return { counts, lines: lines() };

  function* lines(): Generator<string> {
    yield `${headerLine(exportedAt)}\n`;
    for (const record of records) yield `${recordLine(record)}\n`;
    yield `${endLine(counts)}\n`;
  }
}
