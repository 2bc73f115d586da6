import type { Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib';
import { headerValue } from './raw-headers.ts';
import { laterUsage, type Usage, usageFrom } from './usage.ts';
import { UsageScanner } from './usage-scanner.ts';

/** Reads the tokens out of an answer while it passes: the bytes are looked at, not kept and not changed. */
export interface UsageTap {
  /** The next bytes of the body; they may be reused after the call. */
  scan(chunk: Buffer): void;
  /**
   * The answer is over, complete or not; `done` is called once, at once but for compressed answers, with what it said,
   * or with a guess where a stream said nothing; null: nothing to be known.
   */
  end(done: (usage: Usage | null) => void): void;
}

/** How much of a compressed answer may wait for its decoder; a client's answer waits for nobody. */
const MAX_UNDECODED_BYTES = 4 * 1024 * 1024;

/**
 * Makes a tap for an answer, or null when nothing in it can tell.
 * @param headers the upstream's response headers, raw pairs
 * @param requestBytes length of the request's body, for a guess at the prompt
 */
export function createUsageTap(headers: readonly string[], requestBytes: () => number): UsageTap | null {
  const type = headerValue(headers, 'content-type')?.toLowerCase() ?? '';
  const encoding = headerValue(headers, 'content-encoding')?.trim().toLowerCase() ?? 'identity';
  let plain: UsageTap;
  if (type.startsWith('text/event-stream')) plain = new EventStreamTap(requestBytes);
  else if (/^application\/(?:[\w.-]+\+)?json\b/.test(type)) plain = new JsonTap();
  else return null;
  if (encoding === 'identity' || encoding === '') return plain;
  const decoder = decoderFor(encoding);
  return decoder === null ? null : new DecodingTap(plain, decoder);
}

class JsonTap implements UsageTap {
  readonly #scanner = new UsageScanner();

  scan(chunk: Buffer): void {
    this.#scanner.scan(chunk);
  }

  end(done: (usage: Usage | null) => void): void {
    done(usageFrom(this.#scanner.found));
  }
}

const LF = 0x0a;
const CR = 0x0d;
const DATA = Buffer.from('data:');
const DONE = Buffer.from('[DONE]');

/** Characters of a prompt a token, of English; of the request's body the JSON around it counts as well. */
const BYTES_PER_TOKEN = 4;

/** Server-sent events (WHATWG HTML §9.2), each `data` line a JSON text. */
class EventStreamTap implements UsageTap {
  readonly #scanner = new UsageScanner();
  readonly #requestBytes: () => number;
  /** Bytes of the current line that agree with `data:` so far; -1: it is another line; 5: its data is being read. */
  #matched = 0;
  #lineBytes = 0;
  /** The line's data so far is the beginning of `[DONE]`, this many bytes of it. */
  #isDone = true;
  #doneBytes = 0;
  #events = 0;
  #usage: Usage | null = null;

  constructor(requestBytes: () => number) {
    this.#requestBytes = requestBytes;
  }

  scan(chunk: Buffer): void {
    const { length } = chunk;
    let at = 0;
    // Each kind of line end is looked for again only behind the last one found, so that this stays linear.
    let lf = -1;
    let cr = -1;
    while (at < length) {
      if (lf < at) lf = indexOrEnd(chunk, LF, at);
      if (cr < at) cr = indexOrEnd(chunk, CR, at);
      const end = Math.min(lf, cr);
      if (end > at) this.#readLine(chunk, at, end);
      if (end === length) return;
      // Between CR and LF stands an empty line, which does no harm.
      this.#endLine();
      at = end + 1;
    }
  }

  #readLine(chunk: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end && this.#matched >= 0 && this.#matched < DATA.length) {
      this.#matched = chunk[at] === DATA[this.#matched] ? this.#matched + 1 : -1;
      at++;
    }
    this.#lineBytes += end - start;
    if (this.#matched !== DATA.length || at >= end) return;
    for (let i = at; i < end && this.#isDone && this.#doneBytes < DONE.length; i++) {
      if (this.#doneBytes === 0 && chunk[i] === 0x20) continue;
      this.#isDone = chunk[i] === DONE[this.#doneBytes];
      this.#doneBytes++;
    }
    this.#scanner.scan(chunk, at, end);
  }

  #endLine(): void {
    if (this.#matched === DATA.length) {
      if (!(this.#isDone && this.#doneBytes === DONE.length)) this.#events++;
      const usage = usageFrom(this.#scanner.found);
      if (usage !== null) this.#usage = laterUsage(this.#usage, usage);
      this.#scanner.reset();
    }
    this.#matched = 0;
    this.#lineBytes = 0;
    this.#isDone = true;
    this.#doneBytes = 0;
  }

  end(done: (usage: Usage | null) => void): void {
    if (this.#lineBytes > 0) this.#endLine();
    done(this.#usage ?? this.#guess());
  }

  /** vLLM and OpenAI send about an event a token, and one more at each end. */
  #guess(): Usage | null {
    if (this.#events === 0) return null;
    return {
      promptTokens: Math.ceil(this.#requestBytes() / BYTES_PER_TOKEN),
      completionTokens: this.#events,
      cachedTokens: 0,
      cacheWrittenTokens: 0,
      told: false,
    };
  }
}

function indexOrEnd(chunk: Buffer, byte: number, from: number): number {
  const at = chunk.indexOf(byte, from);
  return at === -1 ? chunk.length : at;
}

function decoderFor(encoding: string): Transform | null {
  switch (encoding) {
    case 'gzip':
    case 'x-gzip':
      return createGunzip();
    case 'deflate':
      return createInflate();
    case 'br':
      return createBrotliDecompress();
    case 'zstd':
      return createZstdDecompress();
    default:
      return null;
  }
}

/** Decodes a copy on the side: without it a client could escape its limits by asking for a compressed answer. */
class DecodingTap implements UsageTap {
  readonly #plain: UsageTap;
  readonly #decoder: Transform;
  #givenUp = false;
  #done: ((usage: Usage | null) => void) | null = null;

  constructor(plain: UsageTap, decoder: Transform) {
    this.#plain = plain;
    this.#decoder = decoder;
    decoder.on('data', (chunk: Buffer) => plain.scan(chunk));
    // A stream that breaks off is an error to the decoder; what it has read until then counts.
    decoder.on('error', () => this.#finish());
    decoder.on('end', () => this.#finish());
  }

  scan(chunk: Buffer): void {
    if (this.#givenUp || this.#decoder.destroyed) return;
    if (this.#decoder.writableLength > MAX_UNDECODED_BYTES) {
      this.#givenUp = true;
      this.#decoder.destroy();
      return;
    }
    this.#decoder.write(Buffer.from(chunk));
  }

  end(done: (usage: Usage | null) => void): void {
    this.#done = done;
    if (this.#decoder.destroyed || this.#decoder.errored !== null) this.#finish();
    else this.#decoder.end();
  }

  #finish(): void {
    const done = this.#done;
    this.#done = null;
    if (done !== null) this.#plain.end(done);
  }
}
