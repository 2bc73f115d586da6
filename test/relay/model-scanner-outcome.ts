import { SluiceError } from '../../src/base/errors.ts';
import type { ModelScanner } from '../../src/relay/model-scanner.ts';

/** What a scanner made of a body: the span and name of its model, `none`, or `duplicate`. */
export type Outcome = 'none' | 'duplicate' | { readonly name: string; readonly literal: string };

/**
 * Feeds `chunks` to `scanner`. Every chunk is overwritten after its scan, as a socket's read buffer would be, and
 * what is promised never to change is held against it after each.
 */
export function outcomeOf(scanner: ModelScanner, chunks: readonly Buffer[]): Outcome {
  const body = Buffer.concat(chunks);
  let early: ModelScanner['found'] = null;
  for (const chunk of chunks) {
    const wasInert = scanner.inert;
    const reused = Buffer.from(chunk);
    try {
      scanner.scan(reused);
    } catch (error) {
      if (error instanceof SluiceError && error.reason === 'duplicate_model' && error.param === 'model') {
        return 'duplicate';
      }
      throw error;
    }
    reused.fill(0);
    if (early !== null && scanner.found !== early) throw new Error('found changed');
    if (wasInert && !scanner.inert) throw new Error('inert was taken back');
    if (scanner.inert && scanner.found !== null) throw new Error('found and inert');
    early = scanner.found;
  }
  if (scanner.found === null) return 'none';
  const { name, start, end } = scanner.found;
  return { name, literal: body.subarray(start, end).toString() };
}

/** `body` cut at `offsets`, which may be in any order and beyond its end. */
export function cutAt(body: Buffer, offsets: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  let from = 0;
  for (const offset of [...offsets].sort((a, b) => a - b)) {
    chunks.push(body.subarray(from, offset));
    from = Math.max(from, Math.min(offset, body.length));
  }
  chunks.push(body.subarray(from));
  return chunks;
}

export function singleBytes(body: Buffer): Buffer[] {
  return Array.from(body, (_, at) => body.subarray(at, at + 1));
}

const PAIRS_UP_TO_BYTES = 60;

/** The body whole, byte by byte, cut at every offset, and, when it is short, at every pair of offsets. */
export function* everyChunking(body: Buffer): Generator<readonly Buffer[]> {
  yield [body];
  yield singleBytes(body);
  for (let first = 0; first <= body.length; first++) {
    yield cutAt(body, [first]);
    if (body.length > PAIRS_UP_TO_BYTES) continue;
    for (let second = first; second <= body.length; second++) yield cutAt(body, [first, second]);
  }
}
