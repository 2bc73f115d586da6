import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ChunkedDecoder } from '../../../src/upstream/http1/chunked-decoder.ts';
import { everySplit } from './parse-response.ts';

interface Decoded {
  readonly body: string;
  /** Bytes behind the body's end, or null while it isn't complete. */
  readonly behind: string | null;
  readonly trailers: readonly string[];
}

function decode(pieces: readonly string[]): Decoded {
  let body = '';
  const decoder = new ChunkedDecoder({
    onBody: (bytes) => {
      expect(bytes.length).toBeGreaterThan(0);
      body += bytes.toString('latin1');
    },
  });
  decoder.reset();
  for (const [index, piece] of pieces.entries()) {
    const used = decoder.execute(Buffer.from(piece, 'latin1'));
    if (used === -1) continue;
    const behind = piece.slice(used) + pieces.slice(index + 1).join('');
    return { body, behind, trailers: decoder.trailers };
  }
  return { body, behind: null, trailers: decoder.trailers };
}

const DECODED: readonly (readonly [name: string, text: string, decoded: Partial<Decoded>])[] = [
  ['nothing but the end', '0\r\n\r\n', { body: '', behind: '' }],
  ['an end of many zeros', '0000000000000\r\n\r\n', { body: '', behind: '' }],
  ['two chunks', '3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n', { body: 'abcde', behind: '' }],
  [
    'sizes in both cases',
    'A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n',
    { body: '01234567890123456789' },
  ],
  [
    'white space behind a size (RFC 9112 §7.1.1, BWS)',
    '3 \t;a=b\r\nabc\r\n0 \r\n\r\n',
    { body: 'abc', behind: '' },
  ],
  ['extensions, quoted ones among them', '3;a;b="c;d"\r\nabc\r\n0;e\r\n\r\n', { body: 'abc', behind: '' }],
  ['line ends in the data', '4\r\n\r\n\r\n\r\n0\r\n\r\n', { body: '\r\n\r\n', behind: '' }],
  [
    'trailers',
    '0\r\nA: 1\r\nb:\t2 \r\nEmpty:\r\n\r\n',
    { trailers: ['A', '1', 'b', '2', 'Empty', ''], behind: '' },
  ],
  ['what stands behind it', '0\r\n\r\nHTTP/1.1', { behind: 'HTTP/1.1' }],
  ['a chunk that goes on', '5\r\nab', { body: 'ab', behind: null }],
];

const REFUSED: readonly (readonly [name: string, text: string])[] = [
  ['a size without digits', '\r\n'],
  ['an extension without a size', ';a=b\r\n'],
  ['a size that is no number', 'xyz\r\n'],
  ['a size with a prefix', '0x3\r\nabc\r\n'],
  ['a signed size', '-3\r\nabc\r\n'],
  ['white space before a size', ' 3\r\nabc\r\n'],
  ['a vertical tab behind a size', '3\x0b\r\nabc\r\n'],
  ['a no-break space behind a size', '3\xa0\r\nabc\r\n'],
  ['a size beyond exact numbers', 'fffffffffffffff\r\n'],
  ['a bare line feed behind a size', '3\nabc\r\n0\r\n\r\n'],
  ['a bare line feed behind data', '3\r\nabc\n0\r\n\r\n'],
  ['a bare line feed at the end', '0\r\n\n'],
  ['a bare carriage return in an extension', '3;a\rb\r\nabc\r\n'],
  ['NUL in an extension', '3;a\0\r\nabc\r\n'],
  ['more data than announced', '3\r\nabcd\r\n0\r\n\r\n'],
  ['a trailer without a colon', '0\r\nnonsense\r\n\r\n'],
  ['a trailer without a name', '0\r\n: v\r\n\r\n'],
  ['a space in the name of a trailer', '0\r\nA b: v\r\n\r\n'],
  ['a folded trailer', '0\r\nA: b\r\n c\r\n\r\n'],
  ['NUL in a trailer', '0\r\nA: b\0\r\n\r\n'],
  ['a bare carriage return in a trailer', '0\r\nA: b\rC: d\r\n\r\n'],
];

describe('the chunked coding', () => {
  test.each(DECODED)('takes off %s', (_name, text, decoded) => {
    expect(decode([text])).toMatchObject(decoded);
    for (const pieces of everySplit(text)) expect(decode(pieces)).toEqual(decode([text]));
  });

  test.each(REFUSED)('refuses %s', (_name, text) => {
    expect(() => decode([text])).toThrow(expect.objectContaining({ name: 'ProtocolError' }));
    for (const pieces of everySplit(text)) {
      expect(() => decode(pieces)).toThrow(expect.objectContaining({ name: 'ProtocolError' }));
    }
  });

  test.each([
    ['data that runs over its chunk', '3\r\nabcd'],
    ['a size that can be none', 'nonsense'],
    ['a bare carriage return behind data', '3\r\nabc\rx'],
  ])('refuses %s without waiting for a line feed', (_name, text) => {
    expect(() => decode([text])).toThrow(expect.objectContaining({ name: 'ProtocolError' }));
    expect(() => decode([...text])).toThrow(expect.objectContaining({ name: 'ProtocolError' }));
  });

  test.each([
    ['an endless extension', `3;${'a'.repeat(20_000)}`],
    ['an endless size', '0'.repeat(20_000)],
    ['endless trailers', `0\r\n${`A: ${'b'.repeat(1_000)}\r\n`.repeat(70)}`],
  ])('refuses %s', (_name, text) => {
    expect(() => decode(text.match(/.{1,700}/gs) ?? [])).toThrow(
      expect.objectContaining({ name: 'ProtocolError' }),
    );
  });

  test('a decoder that was reset remembers nothing', () => {
    const bodies: string[] = [];
    const decoder = new ChunkedDecoder({ onBody: (bytes) => bodies.push(bytes.toString()) });
    decoder.reset();
    expect(decoder.execute(Buffer.from('3\r\nabc\r\n0\r\nA: 1\r\n\r\n'))).toBe(19);
    const { trailers } = decoder;
    decoder.reset();
    expect(decoder.execute(Buffer.from('2\r\nde\r\n0\r\n\r\n'))).toBe(12);
    expect(bodies).toEqual(['abc', 'de']);
    expect(trailers).toEqual(['A', '1']);
    expect(decoder.trailers).toEqual([]);
  });
});

/** A chunked body as some server might write it, beside what it stands for. */
const encoded = fc
  .record({
    chunks: fc.array(
      fc.record({
        data: fc.uint8Array({ minLength: 1, maxLength: 40 }),
        zeros: fc.nat(4),
        upperCase: fc.boolean(),
        extension: fc.constantFrom('', ';a', ' ;a=b', ';q="x y"'),
      }),
      { maxLength: 8 },
    ),
    trailers: fc.array(
      fc.tuple(fc.constantFrom('A', 'x-b', 'X-C'), fc.stringMatching(/^(?:[!-~](?:[ -~]{0,8}[!-~])?)?$/)),
      { maxLength: 3 },
    ),
    behind: fc.constantFrom('', 'HTTP/1.1 200 OK\r\n\r\n', '0\r\n\r\n'),
  })
  .map(({ chunks, trailers, behind }) => {
    let text = '';
    let body = '';
    for (const { data, zeros, upperCase, extension } of chunks) {
      const size = data.length.toString(16);
      const latin1 = Buffer.from(data).toString('latin1');
      text += `${'0'.repeat(zeros)}${upperCase ? size.toUpperCase() : size}${extension}\r\n${latin1}\r\n`;
      body += latin1;
    }
    text += `0\r\n${trailers.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
    return { text: text + behind, decoded: { body, behind, trailers: trailers.flat() } };
  });

/** `text` cut at arbitrary places. */
function cut(text: string, places: readonly number[]): string[] {
  const at = [...new Set(places.map((place) => place % text.length))].sort((a, b) => a - b);
  return [0, ...at].map((start, index) => text.slice(start, at[index] ?? text.length));
}

describe('for any body and any cut', () => {
  test('the data, the trailers and the end are found', () => {
    fc.assert(
      fc.property(encoded, fc.array(fc.nat(1_000)), ({ text, decoded }, places) => {
        expect(decode(cut(text, places))).toEqual(decoded);
      }),
    );
  });

  test('arbitrary bytes are decoded alike in one piece and in single bytes, or refused alike', () => {
    const outcome = (pieces: readonly string[]): unknown => {
      try {
        return decode(pieces);
      } catch (error) {
        return (error as Error).name;
      }
    };
    const soup = fc
      .array(
        fc.constantFrom('0', '1', '3', 'a', ';', ' ', '\r\n', '\r', '\n', ':', 'A: b\r\n', '\r\n\r\n', 'x'),
      )
      .map((parts) => parts.join(''))
      .filter((text) => text !== '');
    const alike = fc.property(soup, (text) => {
      expect(outcome([...text])).toEqual(outcome([text]));
    });
    fc.assert(alike, { numRuns: 500 });
  });
});
