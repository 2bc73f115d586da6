import type { UpstreamHead } from '../client.ts';
import { ChunkedDecoder } from './chunked-decoder.ts';
import { ProtocolError } from './grammar.ts';
import { parseHead } from './response-head.ts';

/** What a parser finds, in order: one head, any number of body pieces, one completion (or, on 101, an upgrade). */
export interface ResponseSink {
  onHead(head: UpstreamHead, more: boolean): void;
  onBody(bytes: Buffer): void;
  onComplete(trailers: readonly string[]): void;
  /** The peer switched protocols; `rest` are bytes of the new one. */
  onSwitch(head: UpstreamHead, rest: Buffer): void;
}

type State = 'idle' | 'head' | 'length' | 'chunked' | 'until_close' | 'complete';

const EMPTY = Buffer.alloc(0);
const MAX_HEAD_BYTES = 256 * 1024;
const NO_TRAILERS: readonly string[] = [];

/**
 * An incremental parser of HTTP/1.1 responses on one connection. Strict where leniency is how responses get
 * smuggled: two lengths, a length beside chunked, odd line ends and odd names are errors.
 */
export class ResponseParser {
  readonly #sink: ResponseSink;
  readonly #chunked: ChunkedDecoder;
  #state: State = 'idle';
  #bodyless = false;
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

  /** True once a byte of the response has come. */
  get begun(): boolean {
    return this.#state !== 'head' || this.#headLength > 0;
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
          this.#complete(this.#chunked.trailers);
          break;
        }
        case 'until_close':
          this.#sink.onBody(rest);
          return;
        case 'idle':
        case 'complete':
          // Bytes that nobody asked for: a response smuggled behind another. Never read them as the next one's.
          this.#keepAlive = false;
          return;
      }
    }
  }

  /**
   * The peer closed its side.
   * @throws ProtocolError when a response is cut short by it.
   */
  finish(): void {
    if (this.#state === 'until_close') this.#complete(NO_TRAILERS);
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
    let searchFrom = 0;
    if (this.#headLength > 0) {
      // The end mark may lie across the border: look at the last three held bytes again, never at all of them.
      searchFrom = Math.max(0, this.#headLength - 3);
      this.#hold(bytes);
      source = this.#head.subarray(0, this.#headLength);
    }
    const end = source.indexOf('\r\n\r\n', searchFrom, 'latin1');
    if (end === -1) {
      if (source === bytes) this.#hold(bytes);
      if (this.#headLength > MAX_HEAD_BYTES) throw new ProtocolError('response head over 256 KiB');
      return EMPTY;
    }
    const parsed = parseHead(source.toString('latin1', 0, end));
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
    if (head.status < 200) return rest; // 1xx: the final response is still to come (RFC 9110 §15.2)
    this.#keepAlive = parsed.keepAlive;
    this.#keepAliveHintMs = parsed.keepAliveHintMs;
    if (this.#bodyless || head.status === 204 || head.status === 304) {
      this.#state = 'complete';
      this.#sink.onHead(head, true);
      this.#sink.onComplete(NO_TRAILERS);
      return rest;
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
    this.#sink.onHead(head, rest.length > 0 || head.length === 0);
    if (head.length === 0 && !parsed.chunked) this.#complete(NO_TRAILERS);
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
    this.#complete(NO_TRAILERS);
    return rest;
  }

  #complete(trailers: readonly string[]): void {
    this.#state = 'complete';
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
