import { isUtf8 } from 'node:buffer';

/** The bytes of JSON text (RFC 8259) that the model scanner looks at one by one. */
export const QUOTE = 0x22;
export const BACKSLASH = 0x5c;
/** A letter with this bit set is lower case. */
export const ASCII_CASE = 0x20;

/** `indexOf` costs as much as looking at about this many bytes one by one, so only what is longer gets it. */
export const NEAR_BYTES = 16;
/** The same behind an escaped quote: where one is, more will be (quoted speech, JSON in JSON). */
const NEAR_ESCAPED_BYTES = 48;

/**
 * Index of the quote that closes the string around `from`, which must not itself be escaped. When it isn't in this
 * chunk: the chunk's length plus the number (0 or 1) of bytes of the next chunk that are escaped.
 *
 * `Buffer.indexOf` finds the quote at the speed of memchr; an odd run of backslashes in front makes it an escape.
 */
export function closingQuote(chunk: Buffer, from: number): number {
  const { length } = chunk;
  let at = from;
  while (at < length) {
    const quote = chunk.indexOf(QUOTE, at);
    const end = quote < 0 ? length : quote;
    let backslashes = 0;
    while (end - backslashes > at && chunk[end - backslashes - 1] === BACKSLASH) backslashes++;
    const escaped = backslashes & 1;
    if (quote < 0) return length + escaped;
    if (escaped === 0) return quote;
    at = quote + 1;
    for (const near = Math.min(at + NEAR_ESCAPED_BYTES, length); at < near; at++) {
      const byte = chunk[at] as number;
      if (byte === QUOTE) return at;
      if (byte === BACKSLASH) at++;
    }
  }
  return at;
}

/** Index of the first byte that isn't printable ASCII standing for itself in a string, or the chunk's length. */
export function plainEnd(chunk: Buffer, from: number): number {
  let at = from;
  for (; at < chunk.length; at++) {
    const byte = chunk[at] as number;
    if (byte < 0x20 || byte > 0x7e || byte === QUOTE || byte === BACKSLASH) break;
  }
  return at;
}

/** The string whose literal has these bytes between its quotes; null where it is none (RFC 8259 §7, §8.1). */
export function stringFromLiteral(content: Buffer): string | null {
  if (!isUtf8(content)) return null;
  try {
    return JSON.parse(`"${content.toString()}"`) as string;
  } catch {
    return null;
  }
}

export function isWhitespace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

/** 0 to 15, or -1 where `byte` is no hexadecimal digit. */
export function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | ASCII_CASE;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

/** The last of the four digits of \uXXXX, as `escapeAfter` counts them. */
export const LAST_DIGIT = 5;

/**
 * Where an escape stands when `byte` follows its backslash: 0 at its end, 1 still behind the backslash (JSON5: CR LF
 * is one line end), 2 to 5 at a hexadecimal digit: all four of \uXXXX, the last two of JSON5's \xXX.
 */
export function escapeAfter(byte: number): number {
  if (byte === 0x75) return LAST_DIGIT - 3;
  if (byte === 0x78) return LAST_DIGIT - 1;
  return byte === 0x0d ? 1 : 0;
}
