import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { OutputLines } from '../../../src/models/supervisor/output-lines.ts';

function linesOf(...pieces: readonly (string | Uint8Array)[]): readonly string[] {
  const lines: string[] = [];
  const output = new OutputLines((line) => lines.push(line));
  for (const piece of pieces) output.write(typeof piece === 'string' ? Buffer.from(piece) : piece);
  output.end();
  return lines;
}

describe('lines of output', () => {
  test.each([
    ['a\nb\n', ['a', 'b']],
    ['a\r\nb', ['a', 'b']],
    ['\n\n \na', ['a']],
    ['\rLoading:  25%\rLoading:  50%\n', ['Loading:  25%', 'Loading:  50%']],
    ['\u001b[1;36m(APIServer pid=1)\u001b[0;0m INFO up', ['(APIServer pid=1) INFO up']],
    ['a\tb\u0007\u0000c', ['a b c']],
    ['', []],
  ])('%j', (text, lines) => {
    expect(linesOf(text)).toEqual(lines);
  });

  test('are the same however the bytes are cut', () => {
    const bytes = Buffer.from('één\r\n█▌ 25%\r🦙 x\nlast');
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length), { maxLength: 8 }), (cuts) => {
        const at = [0, ...cuts.toSorted((a, b) => a - b), bytes.length];
        const pieces = at.slice(1).map((end, index) => bytes.subarray(at[index], end));
        expect(linesOf(...pieces)).toEqual(['één', '█▌ 25%', '🦙 x', 'last']);
      }),
    );
  });

  test('replace bytes that are no UTF-8', () => {
    expect(linesOf(Buffer.from([0x61, 0xff, 0x62, 0x0a, 0xc3]))).toEqual(['a\ufffdb', '\ufffd']);
  });

  test('are cut when they do not end, and the next one is whole again', () => {
    const pieces = Array.from({ length: 100 }, () => 'x'.repeat(1_000));
    const [first, second, ...others] = linesOf(...pieces, '\nnext\n');
    expect(first).toBe(`${'x'.repeat(16_384)}…`);
    expect([second, ...others]).toEqual(['next']);
  });
});
