import { isUtf8 } from 'node:buffer';
import { SluiceError } from '../base/errors.ts';
import { judgePart } from './form-part.ts';
import type { ModelScanner, ModelSpan } from './model-scanner.ts';

/** A longer header block or value is not looked into. */
const MAX_HELD_BYTES = 16 * 1024;
/** So many bytes go one by one before the next `indexOf`: contents full of near misses stay linear. */
const NEAR_BYTES = 64;

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const DASH = 0x2d;

// Where the scanner stands.
const IN_CONTENT = 0;
const BEHIND_BOUNDARY = 1;
const BEHIND_PADDING = 2;
const BEHIND_DASH = 3;
const BEHIND_CR = 4;
const IN_HEADERS = 5;
const DONE = 6;

/**
 * Finds the value of the field `model` in a multipart form (RFC 7578, RFC 2046 §5.1).
 *
 * Strict to find, lenient to refuse. A model is found between delimiters as the RFC wants them: CRLF, two dashes,
 * the boundary, white space if need be, CRLF. But some parsers also cut at a bare LF or CR, so a part behind such a
 * delimiter, even behind the closing one, is looked at too: it can't be the model, and no model can have such
 * a twin. Text before the first delimiter, which RFC 2046 allows, makes the scanner give up: no client sends it, and
 * Werkzeug and python-multipart then see delimiters in the middle of a line.
 */
export class MultipartModelScanner implements ModelScanner {
  found: ModelSpan | null = null;
  inert = false;

  readonly #dashBoundary: Buffer;
  #state = IN_CONTENT;
  /** No delimiter yet. */
  #isPreamble = true;
  /** Offset in the body of the current chunk's first byte. */
  #base = 0;
  /** Bytes of the delimiter seen since the last line break; -1: the line is none. */
  #matched = 0;
  #previous = 0;
  /** The line break before, the delimiter, the part between: as the RFC wants them. */
  #isStrictLine = true;
  #isStrictPart = true;
  #delimiterStart = 0;
  /** Bytes of CRLF CRLF seen at the end of the header block. */
  #blank = 0;
  /** Where the header block or the model's value began, -1 outside both, and its bytes of earlier chunks. */
  #heldFrom = -1;
  #held: Buffer[] = [];
  #seen = false;
  #lookalike = false;

  /** @param boundary as `multipartBoundary` gives it */
  constructor(boundary: string) {
    this.#dashBoundary = Buffer.from(`--${boundary}`, 'latin1');
  }

  scan(chunk: Buffer): void {
    const { length } = chunk;
    let at = 0;
    while (at < length) {
      if (this.#state === IN_CONTENT) at = this.#scanContent(chunk, at);
      else if (this.#state === IN_HEADERS) at = this.#scanHeaders(chunk, at);
      else if (this.#state === DONE) return;
      else at = this.#scanDelimiterEnd(chunk, at);
    }
    if (this.#heldFrom >= 0) this.#hold(chunk);
    this.#base += length;
  }

  encode(name: string): Buffer {
    if (/[\r\n]/.test(name)) {
      throw new SluiceError('internal', 'A model name with a line break cannot be sent in a form.');
    }
    return Buffer.from(name);
  }

  /** Looks for a delimiter: by `indexOf` far from one, byte by byte at line starts and at the chunk's end. */
  #scanContent(chunk: Buffer, from: number): number {
    const { length } = chunk;
    const wanted = this.#dashBoundary;
    let at = from;
    let nearEnd = at + NEAR_BYTES;
    for (; at < length; at++) {
      if (at >= nearEnd && this.#matched < 0) {
        const hit = chunk.indexOf(wanted, at);
        // Back far enough to see the line break in front of what was hit, or of what the chunk's end may cut.
        const next = (hit < 0 ? length - wanted.length : hit) - 2;
        nearEnd = hit < 0 ? length : hit + wanted.length + NEAR_BYTES;
        if (next > at) {
          at = next;
          this.#previous = chunk[at - 1] as number;
        }
      }
      const byte = chunk[at] as number;
      if (this.#matched >= 0 && byte === wanted[this.#matched]) {
        if (this.#matched === 0) this.#delimiterStart = this.#base + at;
        if (++this.#matched === wanted.length) {
          this.#state = BEHIND_BOUNDARY;
          return at + 1;
        }
      } else if (byte === LF || byte === CR) {
        this.#matched = 0;
        this.#isStrictLine = byte === LF && this.#previous === CR;
      } else {
        if (this.#isPreamble) return this.#giveUp(length);
        this.#matched = -1;
      }
      this.#previous = byte;
    }
    return length;
  }

  /** What follows the boundary on its line decides whether it was one. */
  #scanDelimiterEnd(chunk: Buffer, at: number): number {
    const byte = chunk[at] as number;
    if (this.#state === BEHIND_CR) {
      const next = byte === LF ? at + 1 : at;
      this.#beginPart(chunk, next, byte === LF);
      return next;
    }
    if (this.#state === BEHIND_DASH && byte === DASH) this.#endForm(chunk, at + 1);
    else if (this.#state === BEHIND_DASH) return this.#notDelimiter(at);
    else if (byte === LF) this.#beginPart(chunk, at + 1, false);
    else if (byte === CR) this.#state = BEHIND_CR;
    else if (byte === SPACE || byte === TAB) this.#state = BEHIND_PADDING;
    else if (byte === DASH && this.#state === BEHIND_BOUNDARY) this.#state = BEHIND_DASH;
    else return this.#notDelimiter(at);
    return at + 1;
  }

  #notDelimiter(next: number): number {
    if (this.#isPreamble) return this.#giveUp(next);
    this.#resumeContent();
    return next;
  }

  #giveUp(next: number): number {
    this.inert = true;
    this.#state = DONE;
    return next;
  }

  #resumeContent(): void {
    this.#state = IN_CONTENT;
    this.#matched = -1;
    this.#previous = 0;
  }

  /** Some parsers let a delimiter stand directly behind a header block. */
  #resumeAtLine(): void {
    this.#resumeContent();
    this.#matched = 0;
    this.#isStrictLine = false;
  }

  #beginPart(chunk: Buffer, next: number, isStrictEnd: boolean): void {
    this.#isPreamble = false;
    this.#isStrictPart = this.#isStrictLine && isStrictEnd;
    this.#endValue(chunk, next, this.#isStrictPart);
    this.#state = IN_HEADERS;
    this.#blank = 0;
    this.#heldFrom = this.#base + next;
  }

  #endForm(chunk: Buffer, next: number): void {
    this.#endValue(chunk, next, this.#isStrictLine);
    if (this.#seen) this.#resumeContent();
    else this.#giveUp(next);
  }

  #endValue(chunk: Buffer, next: number, isStrict: boolean): void {
    if (this.#heldFrom < 0) return;
    const start = this.#heldFrom;
    const end = this.#delimiterStart - 2;
    const value = this.#take(chunk, next).subarray(0, Math.max(end - start, 0));
    if (!isStrict || this.#base + next - start > MAX_HELD_BYTES || !isUtf8(value)) this.inert = true;
    else this.found = { start, end, name: value.toString() };
  }

  /**
   * Reads the header block, to CRLF CRLF. Where it has a line break of another kind, or begins with its end, parsers
   * differ on where it stops: then it is doubtful whatever it says.
   */
  #scanHeaders(chunk: Buffer, from: number): number {
    const start = this.#heldFrom - this.#base;
    for (let at = from; at < chunk.length; at++) {
      const byte = chunk[at] as number;
      const isBehindCr = this.#blank % 2 === 1;
      if (isBehindCr !== (byte === LF) || (byte === LF && at === start + 1) || at >= start + MAX_HELD_BYTES) {
        this.#heldFrom = -1;
        this.#held = [];
        this.#resumeAtLine();
        this.#doubt();
        return at;
      }
      if (byte === CR || isBehindCr) this.#blank++;
      else this.#blank = 0;
      if (this.#blank === 4) {
        const block = this.#take(chunk, at + 1);
        this.#judge(block.toString('latin1', 0, block.length - 4), this.#base + at + 1);
        return at + 1;
      }
    }
    return chunk.length;
  }

  #judge(headers: string, contentStart: number): void {
    this.#resumeAtLine();
    const part = judgePart(headers);
    if (part === 'model' && this.#isStrictPart) {
      if (this.#seen || this.#lookalike) throw duplicateModel();
      this.#seen = true;
      this.#heldFrom = contentStart;
    } else if (part !== 'other') {
      this.#doubt();
    }
  }

  #doubt(): void {
    if (this.#seen) throw duplicateModel();
    this.#lookalike = true;
    this.inert = true;
  }

  /** Copies what the next chunk's bytes may have to be read together with. */
  #hold(chunk: Buffer): void {
    this.#held.push(Buffer.from(chunk.subarray(Math.max(this.#heldFrom - this.#base, 0))));
    if (this.#base + chunk.length - this.#heldFrom <= MAX_HELD_BYTES) return;
    // A value: scanHeaders keeps the limit itself.
    this.#heldFrom = -1;
    this.#held = [];
    this.inert = true;
  }

  /** The held bytes up to `end` in this chunk; nothing is held behind it. */
  #take(chunk: Buffer, end: number): Buffer {
    const last = chunk.subarray(Math.max(this.#heldFrom - this.#base, 0), end);
    const bytes = this.#held.length === 0 ? last : Buffer.concat([...this.#held, last]);
    this.#heldFrom = -1;
    this.#held = [];
    return bytes;
  }
}

function duplicateModel(): SluiceError {
  return new SluiceError(
    'duplicate_model',
    'The form has more than one "model" field, or a part that could be read as one; send exactly one.',
    { param: 'model' },
  );
}
