import { FORBIDDEN_IN_VALUE, ProtocolError, TOKEN, trimOws } from './grammar.ts';

const CR = 0x0d;
const LF = 0x0a;
const MAX_LINE_BYTES = 16 * 1024;
const MAX_TRAILER_BYTES = 64 * 1024;

// `chunk-size [ chunk-ext ]`; what an extension says is ignored, but a control character in it is refused.
const SIZE_LINE = /^[0-9a-fA-F]{1,13}[\t ]*(?:;[\t\x20-\x7e\x80-\xff]*)?$/;
const SIZE_LINE_START = /^[0-9a-fA-F]{1,13}[\t ]*(?:;[\t\x20-\x7e\x80-\xff]*)?\r?$/;

type State = 'size' | 'data' | 'data_end' | 'trailer';

/** Takes the chunked coding off a body (RFC 9112 §7.1), cut anywhere. */
export class ChunkedDecoder {
  readonly #sink: { onBody(bytes: Buffer): void };
  #state: State = 'size';
  #remaining = 0;
  #line = '';
  #trailerBytes = 0;
  #trailers: string[] = [];

  constructor(sink: { onBody(bytes: Buffer): void }) {
    this.#sink = sink;
  }

  reset(): void {
    this.#state = 'size';
    this.#remaining = 0;
    this.#line = '';
    this.#trailerBytes = 0;
    this.#trailers = [];
  }

  /** Raw name-value pairs behind the last chunk. */
  get trailers(): readonly string[] {
    return this.#trailers;
  }

  /**
   * Takes the next bytes.
   * @returns how many of them belong to this body when it is complete, -1 while it isn't
   * @throws ProtocolError
   */
  execute(bytes: Buffer): number {
    let at = 0;
    while (at < bytes.length) {
      if (this.#state === 'data') {
        const end = Math.min(bytes.length, at + this.#remaining);
        this.#remaining -= end - at;
        const piece = at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end);
        at = end;
        if (this.#remaining === 0) this.#state = 'data_end';
        this.#sink.onBody(piece);
        continue;
      }
      const lineFeed = bytes.indexOf(LF, at);
      const lineEnd = lineFeed === -1 ? bytes.length : lineFeed + 1;
      if (this.#line.length + lineEnd - at > MAX_LINE_BYTES) throw new ProtocolError('chunk line too long');
      this.#line += bytes.toString('latin1', at, lineEnd);
      at = lineEnd;
      if (lineFeed === -1) {
        this.#refuseUnlikelyLine();
        return -1;
      }
      const line = this.#line;
      this.#line = '';
      if (line.charCodeAt(line.length - 2) !== CR)
        throw new ProtocolError('line feed without carriage return');
      if (this.#takeLine(line.slice(0, -2))) return at;
    }
    return -1;
  }

  /** @returns true at the end of the body */
  #takeLine(line: string): boolean {
    switch (this.#state) {
      case 'data':
        return false;
      case 'data_end':
        if (line !== '') throw new ProtocolError('chunk longer than announced');
        this.#state = 'size';
        return false;
      case 'size':
        this.#remaining = parseSize(line);
        this.#state = this.#remaining === 0 ? 'trailer' : 'data';
        return false;
      case 'trailer':
        if (line === '') return true;
        this.#takeTrailer(line);
        return false;
    }
  }

  /** Refuses the beginning of what can't become a line now, not when a line feed or a timeout comes. */
  #refuseUnlikelyLine(): void {
    if (this.#state === 'size' && !SIZE_LINE_START.test(this.#line)) {
      throw new ProtocolError('malformed chunk size');
    }
    if (this.#state === 'data_end' && this.#line !== '\r')
      throw new ProtocolError('chunk longer than announced');
  }

  #takeTrailer(line: string): void {
    this.#trailerBytes += line.length;
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(0, colon));
    if (this.#trailerBytes > MAX_TRAILER_BYTES || !TOKEN.test(name) || FORBIDDEN_IN_VALUE.test(line)) {
      throw new ProtocolError('malformed trailer in the response');
    }
    this.#trailers.push(name, trimOws(line, colon + 1));
  }
}

function parseSize(line: string): number {
  if (!SIZE_LINE.test(line)) throw new ProtocolError('malformed chunk size');
  return Number.parseInt(line, 16); // stops behind the digits
}
