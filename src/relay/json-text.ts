import { isUtf8 } from 'node:buffer';

/** The bytes of JSON text (RFC 8259) that the model scanner looks at one by one. */
export const QUOTE = 0x22;
export const BACKSLASH = 0x5c;
/** A letter with this bit set is lower case. */
export const ASCII_CASE = 0x20;

/** `indexOf` costs as much as looking at about this many bytes one by one, so only what is longer gets it. */
export const NEAR_BYTES = 16;

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
    // Where one quote is escaped more will be: quoted code, JSON in JSON. An indexOf for each would be slow.
    at = quote + 1;
    for (const near = Math.min(at + NEAR_BYTES, length); at < near; at++) {
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
