import { closingQuote, isWhitespace, QUOTE } from './json-text.ts';

/** A `usage` object longer than this is not read; they have some hundred bytes. */
const MAX_OBJECT_BYTES = 16 * 1024;
/** Of a key that matters; a longer one can't be one. */
const MAX_KEY_BYTES = 16;

const BRACE = 0x7b;
const BRACE_END = 0x7d;
const BRACKET = 0x5b;
const BRACKET_END = 0x5d;
const COLON = 0x3a;
const COMMA = 0x2c;

/** Objects beside the top level whose `usage` counts: Anthropic's `message_start`, OpenAI's `response.completed`. */
const HOLDERS: ReadonlySet<string> = new Set(['message', 'response']);

/**
 * Finds the object that the key `usage` has in a JSON text that comes in pieces: at the top level, or in `message` or
 * `response` there. Nothing of the text is kept but that object. What stands in strings, however much it looks like a
 * usage, is passed over at the speed of memchr; so is a `usage` in any deeper place, which a caller might have put
 * there. Text that isn't JSON finds nothing, or nonsense that `JSON.parse` refuses.
 */
export class UsageScanner {
  #depth = 0;
  #inString = false;
  /** Bytes of the next chunk that are escaped. */
  #skip = 0;
  /** The string being read stands where a key may stand. */
  #isKey = false;
  #expectsKey = false;
  #key: Buffer[] = [];
  #keyBytes = 0;
  #lastKey = '';
  /** The object at depth 2 is one of HOLDERS. */
  #inHolder = false;
  #captureFrom = -1;
  #captureDepth = 0;
  #captured: Buffer[] = [];
  #capturedBytes = 0;
  #found: unknown = null;

  /** The last `usage` object so far; null: none. */
  get found(): unknown {
    return this.#found;
  }

  /** Forgets everything: another text begins. */
  reset(): void {
    this.#depth = 0;
    this.#inString = false;
    this.#skip = 0;
    this.#isKey = false;
    this.#expectsKey = false;
    this.#lastKey = '';
    this.#inHolder = false;
    this.#endCapture();
    this.#found = null;
  }

  /** The next bytes, from `start` to `end` of the chunk; nothing of it is kept by reference. */
  scan(whole: Buffer, start = 0, end = whole.length): void {
    const chunk = start === 0 && end === whole.length ? whole : whole.subarray(start, end);
    const { length } = chunk;
    if (this.#captureFrom !== -1) this.#captureFrom = 0;
    let at = 0;
    while (at < length) {
      if (this.#inString) {
        at = this.#passString(chunk, at);
        continue;
      }
      const byte = chunk[at] as number;
      at++;
      switch (byte) {
        case QUOTE:
          this.#inString = true;
          this.#skip = 0;
          this.#isKey = this.#expectsKey && this.#depth <= 2 && this.#captureFrom === -1;
          this.#key = [];
          this.#keyBytes = 0;
          break;
        case BRACE:
          this.#open(chunk, at - 1);
          this.#expectsKey = true;
          break;
        case BRACKET:
          this.#depth++;
          this.#expectsKey = false;
          this.#lastKey = '';
          break;
        case BRACE_END:
        case BRACKET_END:
          this.#close(chunk, at);
          break;
        case COMMA:
          // In a list it is followed by no key, but a string there is taken for one at most, and has no colon.
          this.#expectsKey = true;
          this.#lastKey = '';
          break;
        case COLON:
          this.#expectsKey = false;
          break;
        default:
          if (!isWhitespace(byte)) this.#lastKey = '';
      }
    }
    if (this.#captureFrom !== -1) this.#keep(chunk.subarray(this.#captureFrom));
  }

  /** @returns where the string ends, or the chunk's length */
  #passString(chunk: Buffer, from: number): number {
    const start = from + this.#skip;
    if (start >= chunk.length) {
      this.#skip = start - chunk.length;
      return chunk.length;
    }
    const quote = closingQuote(chunk, start);
    const isClosed = quote < chunk.length;
    if (this.#isKey) this.#keepKey(chunk.subarray(from, Math.min(quote, chunk.length)));
    this.#skip = isClosed ? 0 : quote - chunk.length;
    if (!isClosed) return chunk.length;
    this.#inString = false;
    if (this.#isKey)
      this.#lastKey = this.#keyBytes > MAX_KEY_BYTES ? '' : Buffer.concat(this.#key).toString();
    else this.#lastKey = '';
    return quote + 1;
  }

  #keepKey(piece: Buffer): void {
    this.#keyBytes += piece.length;
    if (this.#keyBytes > MAX_KEY_BYTES) this.#key = [];
    else this.#key.push(Buffer.from(piece));
  }

  #open(chunk: Buffer, at: number): void {
    const key = this.#lastKey;
    this.#lastKey = '';
    if (this.#depth === 1) this.#inHolder = HOLDERS.has(key);
    const counts = key === 'usage' && (this.#depth === 1 || (this.#depth === 2 && this.#inHolder));
    if (counts && this.#captureFrom === -1) {
      this.#captureFrom = at;
      this.#captureDepth = this.#depth;
      // Written behind the capture's own start: `keep` takes from there.
      this.#captured = [];
      this.#capturedBytes = 0;
      if (at >= chunk.length) this.#captureFrom = -1;
    }
    this.#depth++;
  }

  #close(chunk: Buffer, end: number): void {
    this.#depth--;
    this.#expectsKey = false;
    this.#lastKey = '';
    if (this.#captureFrom === -1 || this.#depth !== this.#captureDepth) return;
    this.#keep(chunk.subarray(this.#captureFrom, end));
    const text = this.#capturedBytes > MAX_OBJECT_BYTES ? '' : Buffer.concat(this.#captured).toString();
    this.#endCapture();
    try {
      this.#found = JSON.parse(text);
    } catch {
      // Too long, or no JSON after all: as if it had not been there.
    }
  }

  #keep(piece: Buffer): void {
    this.#capturedBytes += piece.length;
    if (this.#capturedBytes > MAX_OBJECT_BYTES) this.#captured = [];
    else this.#captured.push(Buffer.from(piece));
  }

  #endCapture(): void {
    this.#captureFrom = -1;
    this.#captured = [];
    this.#capturedBytes = 0;
  }
}
