import { countsOf } from './transfer-contents.ts';
import {
  identityOf,
  parseTransferLine,
  TRANSFER_KINDS,
  TRANSFER_VERSION,
  type TransferCounts,
  type TransferLine,
  TransferLineError,
  type TransferRecord,
} from './transfer-format.ts';

/** A record, and the number of its line, from 1 on. */
export interface PlacedRecord {
  readonly line: number;
  readonly record: TransferRecord;
}

/** A file that isn't a whole export that this version reads. One line a fault: `backup.jsonl:12: …`. */
export class TransferFileError extends Error {
  override readonly name = 'TransferFileError';
}

const MOST_FAULTS = 20;
const NOT_AN_EXPORT = 'not an export of a Sluice store: the first line of one begins with {"sluice":"store"';

/**
 * Reads all of an export, and checks each line of it.
 * @param name what the file is called in messages
 * @throws TransferFileError with its faults
 */
export async function readTransfer(
  bytes: AsyncIterable<Uint8Array>,
  name: string,
): Promise<readonly PlacedRecord[]> {
  const reading = new Reading(name);
  let number = 0;
  for await (const line of linesOf(bytes)) reading.take(line, ++number);
  return reading.end(number);
}

class Reading {
  readonly #name: string;
  readonly #records: PlacedRecord[] = [];
  /** The line of each record by kind and identity. */
  readonly #seen = new Map<string, number>();
  readonly #faults: string[] = [];
  #isOver = false;

  constructor(name: string) {
    this.#name = name;
  }

  take(bytes: Uint8Array, number: number): void {
    try {
      this.#understand(parseTransferLine(textFrom(bytes)), number);
    } catch (thrown) {
      if (!(thrown instanceof TransferLineError)) throw thrown;
      this.#fault(number, number === 1 ? NOT_AN_EXPORT : thrown.message);
      if (number === 1) throw this.#refusal();
    }
  }

  /** @throws TransferFileError */
  end(lines: number): readonly PlacedRecord[] {
    if (lines === 0) this.#fault(1, NOT_AN_EXPORT);
    else if (!this.#isOver && this.#faults.length === 0) {
      this.#fault(lines, 'the file is cut off here: the last line of an export begins with {"end"');
    }
    if (this.#faults.length > 0) throw this.#refusal();
    return this.#records;
  }

  #understand(line: TransferLine, number: number): void {
    if (number === 1 || line.kind === 'header') {
      if (number !== 1 || line.kind !== 'header')
        throw new TransferLineError('a header, which only line 1 is');
      if (line.version === TRANSFER_VERSION) return;
      this.#fault(
        number,
        `version ${line.version} of the format; this Sluice reads version ${TRANSFER_VERSION}`,
      );
      throw this.#refusal();
    }
    if (this.#isOver) throw new TransferLineError('stands behind the end');
    if (line.kind === 'end') {
      this.#isOver = true;
      this.#compare(line.counts, number);
      return;
    }
    const name = `${line.kind} ${identityOf(line)}`;
    const before = this.#seen.get(name);
    if (before !== undefined) throw new TransferLineError(`the same ${line.kind} as on line ${before}`);
    this.#seen.set(name, number);
    this.#records.push({ line: number, record: line });
  }

  /** Lines with faults aren't counted: what is missing for them is no fault of its own. */
  #compare(told: TransferCounts, number: number): void {
    if (this.#faults.length > 0) return;
    const found = countsOf(this.#records.map(({ record }) => record));
    for (const kind of TRANSFER_KINDS) {
      if (found[kind] === told[kind]) continue;
      this.#fault(number, `lines are missing, or too many: ${kind} ${found[kind]} times, of ${told[kind]}`);
    }
  }

  #fault(number: number, message: string): void {
    this.#faults.push(`${this.#name}:${number}: ${message}`);
  }

  #refusal(): TransferFileError {
    const more = this.#faults.length - MOST_FAULTS;
    const last = more > 0 ? [`… and ${more} more`] : [];
    return new TransferFileError([...this.#faults.slice(0, MOST_FAULTS), ...last].join('\n'));
  }
}

/** Without their line feeds; what stands behind the last one is a line if it is anything. */
async function* linesOf(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let begun: Uint8Array[] = [];
  for await (const chunk of bytes) {
    let from = 0;
    for (let at = chunk.indexOf(0x0a); at >= 0; at = chunk.indexOf(0x0a, from)) {
      yield Buffer.concat([...begun, chunk.subarray(from, at)]);
      begun = [];
      from = at + 1;
    }
    if (from < chunk.length) begun.push(chunk.subarray(from));
  }
  if (begun.length > 0) yield Buffer.concat(begun);
}

function textFrom(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new TransferLineError('not UTF-8 text');
  }
}
