import type { UpstreamHead } from '../client.ts';
import { ChunkedDecoder } from './chunked-decoder.ts';
import { ProtocolError } from './grammar.ts';
import { parseHead } from './response-head.ts';

/** What a parser finds, in order: one head, any number of body pieces, one completion (or, on 101, an upgrade). */
export interface ResponseSink {
  onHead(head: UpstreamHead, more: boolean): void;
  /** A 1xx, but 100 and 101. */
  onInterim?(head: UpstreamHead): void;
  onBody(bytes: Buffer): void;
  onComplete(trailers: readonly string[]): void;
  /** The peer switched protocols; `rest` are bytes of the new one. */
  onSwitch(head: UpstreamHead, rest: Buffer): void;
}

type State = 'idle' | 'head' | 'length' | 'chunked' | 'until_close' | 'complete';

const EMPTY = Buffer.alloc(0);
const MAX_HEAD_BYTES = 256 * 1024;
const NO_TRAILERS: readonly string[] = [];
const HEAD_START = Buffer.from('HTTP/1.', 'latin1');
const CR = 0x0d;
const LF = 0x0a;
const ZERO = 0x30;

/**
 * An incremental parser of HTTP/1.1 responses on one connection. Strict where leniency is how responses get
 * smuggled: two lengths, a length beside chunked, odd line ends and odd names are errors.
 */
export class ResponseParser {
  readonly #sink: ResponseSink;
  readonly #chunked: ChunkedDecoder;
  #state: State = 'idle';
  #bodyless = false;
  #interim = false;
  #mayUpgrade = false;
  #keepAlive = false;
  #keepAliveHintMs: number | null = null;
  #remaining = 0;
  #head: Buffer = EMPTY;
  #headLength = 0;

  constructor(sink: ResponseSink) {
    this.#sink = sink;
    this.#chunked = new ChunkedDecoder(sink);
  }

  /** Prepares for the response to a request of this method (HEAD's has no body; RFC 9110 §6.4.1). */
  expect(method: string, mayUpgrade: boolean): void {
    this.#state = 'head';
    this.#bodyless = method === 'HEAD';
    this.#interim = false;
    this.#mayUpgrade = mayUpgrade;
  }

  /** True when the last response is complete and the peer keeps the connection open for another. */
  get reusable(): boolean {
    return this.#state === 'complete' && this.#keepAlive;
  }

  /** The peer's own `Keep-Alive: timeout`, or null. */
  get keepAliveHintMs(): number | null {
    return this.#keepAliveHintMs;
  }

  /** True once a byte of the final response has come. */
  get begun(): boolean {
    return this.#state !== 'head' || this.#headLength > 0;
  }

  /** True until any byte has come, an interim response's among them: the peer may not have seen the request. */
  get silent(): boolean {
    return !this.begun && !this.#interim;
  }

  /**
   * Takes the next bytes; the sink is called before this returns, with views into `bytes`.
   * @throws ProtocolError
   */
  execute(bytes: Buffer): void {
    let rest = bytes;
    while (rest.length > 0) {
      switch (this.#state) {
        case 'head':
          rest = this.#takeHead(rest);
          break;
        case 'length':
          rest = this.#takeLength(rest);
          break;
        case 'chunked': {
          const used = this.#chunked.execute(rest);
          if (used === -1) return;
          rest = rest.subarray(used);
          this.#complete(this.#chunked.trailers, rest);
          return;
        }
        case 'until_close':
          this.#sink.onBody(rest);
          return;
        case 'idle':
        case 'complete':
          return; // bytes that nobody asked for
      }
    }
  }

  /**
   * The peer closed its side.
   * @throws ProtocolError when a response is cut short by it.
   */
  finish(): void {
    if (this.#state === 'until_close') this.#complete(NO_TRAILERS, EMPTY);
    else if (this.#state !== 'complete' && this.#state !== 'idle') {
      throw new ProtocolError(
        this.begun
          ? 'connection closed before the response was complete'
          : 'connection closed before a response',
      );
    }
  }

  #takeHead(bytes: Buffer): Buffer {
    let source = bytes;
    const held = this.#headLength;
    if (held > 0) {
      this.#hold(bytes);
      source = this.#head.subarray(0, this.#headLength);
    }
    // The end mark may lie across the border: look at the last three held bytes again, never at all of them.
    const end = source.indexOf('\r\n\r\n', Math.max(0, held - 3), 'latin1');
    if ((end === -1 ? source.length : end) > MAX_HEAD_BYTES) {
      throw new ProtocolError('response head over 256 KiB');
    }
    if (end === -1) {
      refuseUnlikelyHead(source, held);
      if (held === 0) this.#hold(bytes);
      return EMPTY;
    }
    const parsed = parseHead(source, end);
    const rest = source.subarray(end + 4);
    this.#head = EMPTY;
    this.#headLength = 0;
    const { head } = parsed;
    if (head.status === 101) {
      if (!this.#mayUpgrade) throw new ProtocolError('101 without a request to upgrade');
      this.#state = 'idle';
      this.#keepAlive = false;
      this.#sink.onSwitch(head, rest);
      return EMPTY;
    }
    if (head.status < 200) {
      this.#interim = true; // the final response is still to come (RFC 9110 §15.2)
      // Nobody asked for a 100: `Expect` doesn't go on.
      if (head.status !== 100) this.#sink.onInterim?.(head);
      return rest;
    }
    this.#keepAlive = parsed.keepAlive;
    this.#keepAliveHintMs = parsed.keepAliveHintMs;
    if (this.#bodyless || head.status === 204 || head.status === 304) {
      // A 204 has no content (RFC 9110 §15.3.5), but where one is announced it may well follow.
      if (head.status === 204 && (parsed.chunked || (head.length ?? 0) > 0)) this.#keepAlive = false;
      this.#sink.onHead(head, true);
      this.#complete(NO_TRAILERS, rest);
      return EMPTY;
    }
    if (parsed.chunked) {
      this.#state = 'chunked';
      this.#chunked.reset();
    } else if (head.length !== null) {
      this.#state = 'length';
      this.#remaining = head.length;
    } else {
      this.#state = 'until_close';
      this.#keepAlive = false;
    }
    if (head.length === 0) {
      this.#sink.onHead(head, true);
      this.#complete(NO_TRAILERS, rest);
      return EMPTY;
    }
    this.#sink.onHead(head, parsed.chunked ? bringsChunkData(rest) : rest.length > 0);
    return rest;
  }

  #takeLength(bytes: Buffer): Buffer {
    if (bytes.length < this.#remaining) {
      this.#remaining -= bytes.length;
      this.#sink.onBody(bytes);
      return EMPTY;
    }
    const body = bytes.length === this.#remaining ? bytes : bytes.subarray(0, this.#remaining);
    const rest = bytes.subarray(body.length);
    this.#remaining = 0;
    this.#sink.onBody(body);
    this.#complete(NO_TRAILERS, rest);
    return EMPTY;
  }

  /**
   * `rest` came behind the response and nobody asked for it: a response smuggled behind another. It is dropped here,
   * before the sink hears of the end, because by then the connection may carry the next exchange.
   */
  #complete(trailers: readonly string[], rest: Buffer): void {
    this.#state = 'complete';
    if (rest.length > 0) this.#keepAlive = false;
    this.#sink.onComplete(trailers);
  }

  #hold(bytes: Buffer): void {
    const needed = this.#headLength + bytes.length;
    if (needed > this.#head.length) {
      const grown = Buffer.allocUnsafe(Math.max(1024, needed * 2));
      this.#head.copy(grown, 0, 0, this.#headLength);
      this.#head = grown;
    }
    bytes.copy(this.#head, this.#headLength);
    this.#headLength = needed;
  }
}

/**
 * Whether the bytes behind a head hold some of a chunked body's data, or an empty body's end: not every byte of the
 * framing does. A size that begins with a zero may go unnoticed, at the cost of one write more.
 */
function bringsChunkData(bytes: Buffer): boolean {
  const lineFeed = bytes.indexOf(LF);
  if (lineFeed === -1 || lineFeed === bytes.length - 1) return false;
  return bytes[0] !== ZERO || bytes.indexOf('\r\n\r\n', 0, 'latin1') === bytes.length - 4;
}

/**
 * Refuses the beginning of what can't become a head, so that garbage and bare line feeds, which the end mark never
 * follows, fail at once instead of by a timeout. Bytes before `from` have been looked at before.
 * @throws ProtocolError
 */
function refuseUnlikelyHead(bytes: Buffer, from: number): void {
  const length = Math.min(HEAD_START.length, bytes.length);
  if (from < length && HEAD_START.compare(bytes, 0, length, 0, length) !== 0) {
    throw new ProtocolError('not an HTTP/1 status line');
  }
  for (let at = bytes.indexOf(LF, from); at !== -1; at = bytes.indexOf(LF, at + 1)) {
    if (bytes[at - 1] !== CR) throw new ProtocolError('line feed without carriage return');
  }
}
