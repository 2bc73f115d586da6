/** A piece of this size is worth what its Buffer costs. */
const LARGE_BYTES = 64 * 1024;

/**
 * Adds a body's next chunk to those that are held. A Buffer costs some hundred bytes beside its content: 18 MB of
 * one-byte chunks on the wire held 1.2 GB. So a small piece is joined with the one before unless that is larger, as a
 * binary counter carries: each byte is copied 16 times at most, and a few pieces are left.
 */
export function holdPiece(pieces: Buffer[], chunk: Buffer): void {
  let last = chunk;
  let before = pieces.at(-1);
  while (before !== undefined && before.length <= last.length && last.length < LARGE_BYTES) {
    last = Buffer.concat([before, last]);
    pieces.pop();
    before = pieces.at(-1);
  }
  pieces.push(last);
}
