import { describe, expect, test } from 'vitest';
import { holdPiece } from '../../src/relay/held-pieces.ts';

function held(sizes: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  let next = 0;
  for (const size of sizes) {
    holdPiece(pieces, Buffer.from(Array.from({ length: size }, () => next++ % 251)));
  }
  return pieces;
}

describe('a body that is held', () => {
  test('in single bytes is few pieces, since each costs more than a hundred bytes beside its own', () => {
    expect(held(new Array(100_000).fill(1)).length).toBeLessThan(30);
  });

  test('in large chunks is not copied', () => {
    const chunks = [Buffer.alloc(64 * 1024), Buffer.alloc(64 * 1024), Buffer.alloc(70_000)];
    const pieces: Buffer[] = [];
    for (const chunk of chunks) holdPiece(pieces, chunk);
    expect(pieces).toEqual(chunks);
    expect(pieces.every((piece, i) => piece === chunks[i])).toBe(true);
  });

  test.each([[[1]], [[3, 1, 4, 1, 5, 9, 2, 6]], [[9, 8, 7, 6, 5]], [[70_000, 1, 70_000, 2, 2]]])(
    'is the same bytes in the same order: %j',
    (sizes) => {
      const total = sizes.reduce((sum, size) => sum + size, 0);
      expect(Buffer.concat(held(sizes)).equals(Buffer.concat(held([total])))).toBe(true);
    },
  );
});
