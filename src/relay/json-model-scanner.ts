import { SluiceError } from '../base/errors.ts';
import {
  ASCII_CASE,
  BACKSLASH,
  closingQuote,
  escapeAfter,
  hexDigit,
  isWhitespace,
  LAST_DIGIT,
  NEAR_BYTES,
  plainEnd,
  QUOTE,
  stringFromLiteral,
} from './json-text.ts';
import { LooseModelSearch } from './loose-model-search.ts';
import type { ModelScanner, ModelSpan } from './model-scanner.ts';

/** A model's name as written, escapes included, may have this many bytes; a longer one is not found. */
const MAX_NAME_BYTES = 16 * 1024;

const LF = 0x0a;
const BRACE = 0x7b;
const COLON = 0x3a;
const LOWER_M = 0x6d;
const LOWER_O = 0x6f;
const LOWER_U = 0x75;
const BYTE_ORDER_MARK = Buffer.from('\ufeff');
const MODEL = Buffer.from('model');

// What a byte means outside strings. An alien is one that no JSON text has there; NaN and Infinity pass, because
// Python's parser takes them.
const FILLER = 0;
const STRING = 1;
const OPEN = 2;
const CLOSE = 3;
const ALIEN = 4;
const KIND = new Uint8Array(256).fill(ALIEN);
for (const byte of Buffer.from(' \t\r\n0123456789+-.,:eEtruefalsnNaIity')) KIND[byte] = FILLER;
for (const byte of Buffer.from('{[')) KIND[byte] = OPEN;
for (const byte of Buffer.from('}]')) KIND[byte] = CLOSE;
KIND[QUOTE] = STRING;

// Where the scanner stands.
const BEFORE_OBJECT = 0;
const STRUCTURE = 1;
const IN_STRING = 2;
const IN_KEY = 3;
const AFTER_KEY = 4;
const BEFORE_NAME = 5;
const IN_NAME = 6;
const LOOSE = 7;
const DONE = 8;

/** Names that were put in before: a configuration has a handful. */
const encoded = new Map<string, Buffer>();
const ENCODED_LIMIT = 1024;

/**
 * Finds the value of the top-level key `model` in a JSON text (RFC 8259), however that key is spelled.
 *
 * Strict to find, lenient to refuse. A model is found only while the bytes can still be JSON. Once one was seen,
 * whatever another parser might take for a second one is refused: the key in another case (Go and .NET match
 * `Model`) or in JSON5's escapes, a key behind a missing comma, and, behind the object's end or the first byte that isn't JSON, the bare
 * word (`LooseModelSearch`). Brackets are counted, not matched: no known parser accepts `{"a":[}`.
 */
export class JsonModelScanner implements ModelScanner {
  found: ModelSpan | null = null;
  inert = false;

  #state = BEFORE_OBJECT;
  /** Offset in the body of the current chunk's first byte. */
  #base = 0;
  #depth = 0;
  /** The last byte of structure before this chunk: a string behind a colon is a value, any other at depth 1 a key. */
  #lastToken = 0;
  /** A key that is `model` was seen; one that only a lenient parser takes for it. */
  #seen = false;
  #lookalike = false;
  /** Letters of the current key that agree with `model`, and whether only a lenient parser reads them so. */
  #matched = 0;
  #isLoose = false;
  /** In strings: bytes of the next chunk that belong to an escape. In keys: see `escapeAfter`. */
  #escape = 0;
  #codeUnit = 0;
  #nameStart = 0;
  /** Bytes of the name so far, and those of earlier chunks. */
  #nameBytes = 0;
  #namePieces: Buffer[] = [];
  #loose: LooseModelSearch | null = null;

  scan(chunk: Buffer): void {
    const { length } = chunk;
    let at = 0;
    while (at < length) {
      switch (this.#state) {
        case STRUCTURE:
          at = this.#scanStructure(chunk, at);
          break;
        case IN_STRING:
          at = this.#scanString(chunk, at);
          break;
        case IN_KEY:
          at = this.#scanKey(chunk, at);
          break;
        case AFTER_KEY:
        case BEFORE_NAME:
          at = this.#scanToName(chunk, at);
          break;
        case IN_NAME:
          at = this.#scanName(chunk, at);
          break;
        case BEFORE_OBJECT:
          at = this.#scanToObject(chunk, at);
          break;
        case LOOSE:
          this.#loose ??= new LooseModelSearch();
          this.#loose.scan(chunk, at);
          at = length;
          break;
        default:
          return;
      }
    }
    this.#base += length;
  }

  encode(name: string): Buffer {
    let bytes = encoded.get(name);
    if (bytes === undefined) {
      bytes = Buffer.from(JSON.stringify(name));
      if (encoded.size >= ENCODED_LIMIT) encoded.clear();
      encoded.set(name, bytes);
    }
    return bytes;
  }

  #scanToObject(chunk: Buffer, from: number): number {
    for (let at = from; at < chunk.length; at++) {
      const byte = chunk[at] as number;
      // `#matched` counts the bytes of the mark, which stands whole at the very start or is none.
      if (byte === BYTE_ORDER_MARK[this.#matched] && this.#base + at === this.#matched) {
        this.#matched++;
        continue;
      }
      const isMarkBroken = this.#matched % BYTE_ORDER_MARK.length !== 0;
      if (byte === BRACE && !isMarkBroken) {
        this.#state = STRUCTURE;
        this.#depth = 1;
        return at + 1;
      }
      if (!isWhitespace(byte) || isMarkBroken) return this.#leave(at);
    }
    return chunk.length;
  }

  #scanStructure(chunk: Buffer, from: number): number {
    const { length } = chunk;
    let depth = this.#depth;
    let at = from;
    for (;;) {
      let kind = FILLER;
      while (at < length && kind === FILLER) kind = KIND[chunk[at++] as number] as number;
      if (kind === STRING) {
        // Most keys differ from `model` in their first two letters: they are skipped like values, at half the cost.
        if (depth === 1 && mayBeModel(chunk, at) && this.#tokenBefore(chunk, at - 1) !== COLON) {
          this.#state = IN_KEY;
          this.#matched = 0;
          this.#isLoose = false;
          break;
        }
        // Short strings are skipped here: the call would cost as much as they do.
        const near = Math.min(at + NEAR_BYTES, length);
        for (; at < near; at++) {
          const byte = chunk[at] as number;
          if (byte === QUOTE) break;
          if (byte === BACKSLASH) at++;
        }
        at = (at < near ? at : closingQuote(chunk, at)) + 1;
        if (at > length) {
          this.#state = IN_STRING;
          this.#escape = at - 1 - length;
          at = length;
          break;
        }
      } else if (kind === OPEN) {
        depth++;
      } else if (kind === CLOSE) {
        if (--depth === 0) return this.#leave(at);
      } else if (kind === FILLER) {
        break;
      } else {
        // The alien byte itself may begin a bare `model`.
        return this.#leave(at - 1);
      }
    }
    this.#depth = depth;
    if (at === length) this.#lastToken = this.#tokenBefore(chunk, length);
    return at;
  }

  /** The last byte before `end` that isn't white space; it stays in `#lastToken` over the border of chunks. */
  #tokenBefore(chunk: Buffer, end: number): number {
    let at = end - 1;
    while (at >= 0 && isWhitespace(chunk[at] as number)) at--;
    return at < 0 ? this.#lastToken : (chunk[at] as number);
  }

  #scanString(chunk: Buffer, from: number): number {
    const close = closingQuote(chunk, from + this.#escape);
    if (close >= chunk.length) {
      this.#escape = close - chunk.length;
      return chunk.length;
    }
    return this.#endString(close + 1);
  }

  #endString(next: number): number {
    this.#escape = 0;
    this.#state = STRUCTURE;
    this.#lastToken = QUOTE;
    return next;
  }

  /** Compares a key letter by letter; at the first that differs the rest is a string like any other. */
  #scanKey(chunk: Buffer, from: number): number {
    for (let at = from; at < chunk.length; at++) {
      const byte = chunk[at] as number;
      if (this.#escape === 0) {
        if (byte === QUOTE) return this.#endKey(at + 1);
        if (byte === BACKSLASH) this.#escape = 1;
        else if (!this.#matches(byte)) return this.#abandonKey(at + 1);
      } else if (this.#escape === 1) {
        this.#codeUnit = 0;
        this.#escape = escapeAfter(byte);
        if (byte === LOWER_U) continue;
        // JSON has none of these, but JSON5 reads \x6d, \m and a backslash at the line's end.
        this.#isLoose = true;
        if (this.#escape === 0 && byte !== LF && !this.#matches(byte)) return this.#abandonKey(at + 1);
      } else {
        const digit = hexDigit(byte);
        if (digit < 0) return this.#abandonKey(at);
        this.#codeUnit = this.#codeUnit * 16 + digit;
        if (++this.#escape > LAST_DIGIT) {
          if (!this.#matches(this.#codeUnit)) return this.#abandonKey(at + 1);
          this.#escape = 0;
        }
      }
    }
    return chunk.length;
  }

  #matches(codeUnit: number): boolean {
    const letter = MODEL[this.#matched];
    if ((codeUnit | ASCII_CASE) !== letter) return false;
    if (codeUnit !== letter) this.#isLoose = true;
    this.#matched++;
    return true;
  }

  #abandonKey(next: number): number {
    this.#escape = 0;
    this.#state = IN_STRING;
    return next;
  }

  #endKey(next: number): number {
    this.#endString(next);
    if (this.#matched < MODEL.length) return next;
    if (this.#seen || (this.#lookalike && !this.#isLoose)) {
      throw new SluiceError(
        'duplicate_model',
        'The body has more than one top-level "model"; send exactly one.',
        {
          param: 'model',
        },
      );
    }
    if (this.#isLoose) {
      this.#lookalike = true;
    } else {
      this.#seen = true;
      this.#state = AFTER_KEY;
    }
    return next;
  }

  #scanToName(chunk: Buffer, from: number): number {
    for (let at = from; at < chunk.length; at++) {
      const byte = chunk[at] as number;
      if (isWhitespace(byte)) continue;
      if (this.#state === AFTER_KEY && byte === COLON) {
        this.#state = BEFORE_NAME;
      } else if (this.#state === BEFORE_NAME && byte === QUOTE) {
        this.#state = IN_NAME;
        this.#nameStart = this.#base + at;
        return at + 1;
      } else {
        // No name: null, a number, an object. What stands here is read as structure, so a key in it stays a key.
        if (this.#state === BEFORE_NAME) this.#lastToken = COLON;
        this.#state = STRUCTURE;
        this.inert = true;
        return at;
      }
    }
    return chunk.length;
  }

  #scanName(chunk: Buffer, from: number): number {
    const { length } = chunk;
    let close = plainEnd(chunk, from + this.#escape);
    const isPlain = close < length && chunk[close] === QUOTE && this.#nameBytes === 0;
    if (!isPlain) close = closingQuote(chunk, close);
    const end = Math.min(close, length);
    this.#nameBytes += end - from;
    if (this.#nameBytes > MAX_NAME_BYTES) this.inert = true;
    if (close >= length) {
      this.#escape = close - length;
      if (!this.inert) this.#namePieces.push(Buffer.from(chunk.subarray(from)));
      return length;
    }
    this.#endString(close + 1);
    if (this.inert) return close + 1;
    const name = isPlain
      ? chunk.toString('latin1', from, close)
      : stringFromLiteral(Buffer.concat([...this.#namePieces, chunk.subarray(from, close)]));
    if (name === null) this.inert = true;
    else this.found = { start: this.#nameStart, end: this.#base + close + 1, name };
    return close + 1;
  }

  /** The object ended, or this isn't JSON: nothing is found any more, but a model already seen stays guarded. */
  #leave(next: number): number {
    if (this.found === null) this.inert = true;
    this.#state = this.#seen ? LOOSE : DONE;
    return next;
  }
}

/** False when the key's first two bytes tell that it isn't `model`, in any spelling. */
function mayBeModel(chunk: Buffer, at: number): boolean {
  if (at + 2 > chunk.length) return true;
  const first = chunk[at] as number;
  if (first === BACKSLASH) return true;
  const second = chunk[at + 1] as number;
  return (first | ASCII_CASE) === LOWER_M && ((second | ASCII_CASE) === LOWER_O || second === BACKSLASH);
}
