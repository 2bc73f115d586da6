import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { editDistance, nearest } from '../../../src/base/config/nearest.ts';

describe('nearest', () => {
  const known = ['api_base', 'api_key', 'model', 'timeout', 'headers', 'stream_timeout'];

  test.each([
    ['api_bse', 'api_base'],
    ['apiBase', 'api_base'],
    ['API-KEY', 'api_key'],
    ['mdoel', 'model'],
    ['timeot', 'timeout'],
    ['header', 'headers'],
    ['x', null],
    ['colour', null],
    ['', null],
  ])('of %j is %j', (name, expected) => {
    expect(nearest(name, known)).toBe(expected);
  });
});

describe('editDistance', () => {
  test.each([
    ['', '', 0],
    ['a', '', 1],
    ['abc', 'abc', 0],
    ['abc', 'acb', 1], // a swap of neighbours
    ['abc', 'bca', 2],
    ['kitten', 'sitting', 3],
  ])('%j to %j is %d', (a, b, distance) => {
    expect(editDistance(a, b)).toBe(distance);
  });

  test('is symmetric, zero for equals alone, and at most the longer length', () => {
    const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 8 });
    fc.assert(
      fc.property(word, word, (a, b) => {
        const distance = editDistance(a, b);
        expect(distance).toBe(editDistance(b, a));
        expect(distance === 0).toBe(a === b);
        expect(distance).toBeLessThanOrEqual(Math.max(a.length, b.length));
      }),
    );
  });
});
