import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SluiceError } from '../../src/base/errors.ts';
import { EnvelopeFramer, type Framer, WholeFramer } from '../../src/server/rpc-reframe.ts';

function envelope(data: Uint8Array, flags = 0): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(flags, 0);
  head.writeUInt32BE(data.length, 1);
  return Buffer.concat([head, data]);
}

function run(framer: Framer, chunks: readonly Uint8Array[]): Uint8Array[] {
  const out: Uint8Array[] = [];
  for (const chunk of chunks) framer.push(chunk, out);
  framer.end(out);
  return out;
}

/** Cuts `bytes` at each of `offsets`. */
function cut(bytes: Buffer, offsets: readonly number[]): Buffer[] {
  const at = [0, ...[...offsets].sort((a, b) => a - b), bytes.length];
  return at.slice(1).map((end, i) => bytes.subarray(at[i], end));
}

/** True when `bytes` is one envelope or several, whole. */
function isWhole(bytes: Uint8Array): boolean {
  const view = Buffer.from(bytes);
  let at = 0;
  while (at < view.length) {
    if (view.length - at < 5) return false;
    at += 5 + view.readUInt32BE(at + 1);
  }
  return at === view.length;
}

describe('EnvelopeFramer', () => {
  const three = Buffer.concat([
    envelope(Buffer.from('first')),
    envelope(Buffer.alloc(0), 2),
    envelope(Buffer.alloc(300, 7)),
  ]);

  test('passes whole envelopes, cut at any offset', () => {
    for (let offset = 0; offset <= three.length; offset++) {
      const out = run(new EnvelopeFramer(1024), cut(three, [offset]));
      expect(out.every(isWhole)).toBe(true);
      expect(Buffer.concat(out).equals(three)).toBe(true);
    }
  });

  test('passes an envelope as soon as it is whole', () => {
    const out: Uint8Array[] = [];
    const framer = new EnvelopeFramer(1024);
    framer.push(three.subarray(0, 12), out);
    expect(out.map((piece) => piece.length)).toEqual([10]);
    expect(framer.partial).toBe(true);
    framer.push(three.subarray(12, 15), out);
    expect(out.map((piece) => piece.length)).toEqual([10, 5]);
    expect(framer.partial).toBe(false);
  });

  test('changes nothing but the cuts, whatever they are', () => {
    const sizes = fc.array(fc.nat({ max: 40_000 }), { maxLength: 8 });
    const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 40 });
    fc.assert(
      fc.property(sizes, cuts, (lengths, fractions) => {
        const bytes = Buffer.concat(lengths.map((length, i) => envelope(Buffer.alloc(length, i))));
        const offsets = fractions.map((fraction) => Math.floor(fraction * bytes.length));
        const out = run(new EnvelopeFramer(40_000), cut(bytes, offsets));
        expect(out.every(isWhole)).toBe(true);
        expect(Buffer.concat(out).equals(bytes)).toBe(true);
      }),
    );
  });

  test.each([
    ['whole', [5]],
    ['byte by byte', [1, 2, 3, 4]],
  ])('refuses a length above the limit with its prefix, which came %s', (_, cuts) => {
    const prefix = Buffer.from([0, 0, 0, 4, 1]);
    const framer = new EnvelopeFramer(1024);
    expect(() => run(framer, cut(prefix, cuts))).toThrow(
      new SluiceError(
        'body_too_large',
        'A request message of 1025 bytes is larger than the 1024 bytes that are allowed.',
      ),
    );
  });

  test('takes a message that is as long as is allowed', () => {
    expect(run(new EnvelopeFramer(1024), [envelope(Buffer.alloc(1024))])).toHaveLength(1);
  });

  test('refuses a body that ends within a message', () => {
    for (const length of [1, 4, 5, 9]) {
      expect(() => run(new EnvelopeFramer(1024), [three.subarray(0, length)])).toThrow(
        'ends within a message',
      );
    }
  });

  test('keeps no more than has come of a message that announces much', () => {
    const before = process.memoryUsage().arrayBuffers;
    const framers = Array.from({ length: 100 }, () => new EnvelopeFramer(2 ** 32));
    for (const each of framers) each.push(Buffer.from([0, 0xff, 0xff, 0xff, 0xff, 1]), []);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(100 * 20_000);
    expect(framers.every((each) => each.partial)).toBe(true);
  });
});

describe('WholeFramer', () => {
  test('joins all that came', () => {
    const bytes = Buffer.from('{"configId":"x"}');
    for (let offset = 0; offset <= bytes.length; offset++) {
      const out = run(new WholeFramer(16), cut(bytes, [offset]));
      expect(out).toHaveLength(1);
      expect(Buffer.concat(out).equals(bytes)).toBe(true);
    }
  });

  test('passes nothing of an empty body', () => {
    expect(run(new WholeFramer(16), [])).toEqual([]);
  });

  test('refuses what is longer than allowed as soon as it is', () => {
    const framer = new WholeFramer(16);
    framer.push(Buffer.alloc(16));
    expect(() => framer.push(Buffer.alloc(1))).toThrow('larger than the 16 bytes');
  });
});
