import { type Logger, pino } from 'pino';
import type { KeyStore, Spending } from '../../src/store/key-store.ts';

/** Of a store what spending is written to; it can be away. */
export class SpendBook implements Pick<KeyStore, 'addSpend'> {
  /** Every batch that it took, in order. */
  readonly batches: { readonly spent: readonly Spending[]; readonly now: number }[] = [];
  /** Batches that were refused. */
  refusals = 0;
  /** Rejects while it is away; leaves without an answer while it hangs. */
  state: 'here' | 'away' | 'hanging' = 'here';
  /** What was logged. */
  readonly lines: { readonly msg: string; readonly level: number }[] = [];
  readonly logger: Logger = pino(
    { base: null },
    { write: (text: string) => void this.lines.push(JSON.parse(text)) },
  );

  async addSpend(spent: readonly Spending[], now: number): Promise<void> {
    if (this.state === 'hanging') await new Promise(() => {});
    if (this.state === 'away') {
      this.refusals++;
      throw new Error('the store is away');
    }
    this.batches.push({ spent, now });
  }

  usd(id: string): number {
    const all = this.batches.flatMap(({ spent }) => spent).filter((entry) => entry.id === id);
    return all.reduce((sum, { usd }) => sum + usd, 0);
  }
}
