import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseResponse } from './parse-response.ts';

const name = fc.stringMatching(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,12}$/).map((text) => `X-${text}`);
const value = fc.stringMatching(/^(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]{0,20}[!-~\x80-\xff])?)?$/);
const bytes = fc
  .uint8Array({ minLength: 1, maxLength: 60 })
  .map((array) => Buffer.from(array).toString('latin1'));

interface Wire {
  readonly header: readonly string[];
  readonly body: string;
  readonly trailers: readonly string[];
  /** The body as it goes on the wire. */
  readonly framed: string;
  readonly closed: boolean;
}

const withLength = fc.option(bytes, { nil: '' }).map(
  (body): Wire => ({
    header: ['Content-Length', String(body.length)],
    body,
    trailers: [],
    framed: body,
    closed: false,
  }),
);

const withChunks = fc
  .tuple(fc.array(bytes, { maxLength: 5 }), fc.array(fc.tuple(name, value), { maxLength: 3 }))
  .map(
    ([chunks, trailers]): Wire => ({
      header: ['Transfer-Encoding', 'chunked'],
      body: chunks.join(''),
      trailers: trailers.flat(),
      framed: `${chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join('')}0\r\n${linesOf(trailers.flat())}\r\n`,
      closed: false,
    }),
  );

const untilClose = bytes.map(
  (body): Wire => ({ header: [], body, trailers: [], framed: body, closed: true }),
);

const response = fc
  .record({
    interim: fc.array(fc.constantFrom(100, 102, 103, 199), { maxLength: 2 }),
    status: fc.integer({ min: 200, max: 599 }).filter((status) => status !== 204 && status !== 304),
    reason: fc.stringMatching(/^[\t -~\x80-\xff]{0,12}$/),
    headers: fc.array(fc.tuple(name, value), { maxLength: 6 }),
    wire: fc.oneof(withLength, withChunks, untilClose),
  })
  .map(({ interim, status, reason, headers, wire }) => {
    const raw = [...headers.flat(), ...wire.header];
    const early = interim.map((code) => `HTTP/1.1 ${code} Wait\r\nX-Early: 1\r\n\r\n`).join('');
    return {
      text: `${early}HTTP/1.1 ${status} ${reason}\r\n${linesOf(raw)}\r\n${wire.framed}`,
      wire,
      head: { status, reason, headers: raw },
    };
  });

function linesOf(raw: readonly string[]): string {
  let lines = '';
  for (let i = 0; i < raw.length; i += 2) lines += `${raw[i]}: ${raw[i + 1]}\r\n`;
  return lines;
}

function cut(text: string, places: readonly number[]): string[] {
  const at = [...new Set(places.map((place) => place % text.length))].sort((a, b) => a - b);
  return [0, ...at].map((start, index) => text.slice(start, at[index] ?? text.length));
}

test('reads any response the same wherever it is cut', () => {
  const property = fc.property(response, fc.array(fc.nat(2_000)), ({ text, wire, head }, places) => {
    const parsed = parseResponse(cut(text, places), { closed: wire.closed });
    expect(parsed.error).toBeNull();
    expect(parsed.head).toMatchObject(head);
    expect(parsed.body).toBe(wire.body);
    expect(parsed.trailers).toEqual(wire.trailers);
    expect(parsed.reusable).toBe(!wire.closed);
  });
  fc.assert(property, { numRuns: 400 });
});

test('takes arbitrary bytes as one complete response, an incomplete one or an error, and alike in any cut', () => {
  const soup = fc
    .array(
      fc.constantFrom(
        'HTTP/1.1 200 OK\r\n',
        'HTTP/1.1 204 x\r\n',
        'HTTP/1.1 100 x\r\n\r\n',
        'Content-Length: 2\r\n',
        'Transfer-Encoding: chunked\r\n',
        'Connection: close\r\n',
        '\r\n',
        '\n',
        '2\r\n',
        'hi',
        '0\r\n\r\n',
        ':',
        '\0',
      ),
      { minLength: 1, maxLength: 8 },
    )
    .map((parts) => parts.join(''));
  const property = fc.property(soup, fc.array(fc.nat(200)), (text, places) => {
    const { error: inOne, reusable: _ignored, ...whole } = parseResponse([text]);
    const { error: inPieces, reusable: _also, ...pieces } = parseResponse(cut(text, places));
    expect(inPieces === null).toBe(inOne === null);
    if (inOne === null) expect(pieces).toEqual(whole);
  });
  fc.assert(property, { numRuns: 1_000 });
});
