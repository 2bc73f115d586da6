/** What a {@link MessageReader} reports, synchronously, while it is fed. */
export interface MessageSink {
  /** First line and header lines, without the empty line. */
  onHead(head: string): void;
  /** Body bytes `chunk[start..end)`, chunk framing removed; only valid during the call. */
  onBody(chunk: Buffer, start: number, end: number): void;
  onEnd(): void;
}

type State = 'head' | 'length' | 'chunk-size' | 'chunk-data' | 'chunk-end' | 'trailer';

const emptyLine = Buffer.from('\r\n\r\n');
const contentLengthPattern = /^content-length:[ \t]*(\d+)/im;
const chunkedPattern = /^transfer-encoding:[ \t]*chunked/im;
const CR = 13;
const LF = 10;

/**
 * Reads HTTP/1.1 messages one after the other, as far as a load generator needs it: Content-Length and chunked
 * bodies, no body otherwise. It trusts its peer and checks little: Node's own parser costs more than all of nginx,
 * and the load must stay cheaper than what it measures.
 */
export class MessageReader {
  readonly #sink: MessageSink;
  #state: State = 'head';
  #pendingHead: Buffer | null = null;
  #remainingBytes = 0;
  #lineBytes = 0;

  constructor(sink: MessageSink) {
    this.#sink = sink;
  }

  feed(bytes: Buffer, length: number): void {
    let chunk = bytes;
    let end = length;
    if (this.#pendingHead !== null) {
      chunk = Buffer.concat([this.#pendingHead, bytes.subarray(0, length)]);
      end = chunk.length;
      this.#pendingHead = null;
    }
    let at = 0;
    while (at < end) {
      switch (this.#state) {
        case 'head':
          at = this.#readHead(chunk, at, end);
          break;
        case 'length':
          at = this.#readCounted(chunk, at, end);
          if (this.#remainingBytes === 0) this.#finish();
          break;
        case 'chunk-size':
          at = this.#readChunkSize(chunk, at, end);
          break;
        case 'chunk-data':
          at = this.#readCounted(chunk, at, end);
          if (this.#remainingBytes === 0) this.#state = 'chunk-end';
          break;
        case 'chunk-end':
          if (chunk[at++] === LF) this.#state = 'chunk-size';
          break;
        case 'trailer':
          at = this.#readTrailer(chunk, at, end);
          break;
      }
    }
  }

  #readHead(chunk: Buffer, at: number, end: number): number {
    const headEnd = chunk.indexOf(emptyLine, at);
    if (headEnd === -1 || headEnd + 4 > end) {
      this.#pendingHead = Buffer.from(chunk.subarray(at, end));
      return end;
    }
    const head = chunk.toString('latin1', at, headEnd);
    this.#sink.onHead(head);
    const length = contentLengthPattern.exec(head);
    if (length !== null) {
      this.#remainingBytes = Number(length[1]);
      this.#state = 'length';
      if (this.#remainingBytes === 0) this.#finish();
    } else if (chunkedPattern.test(head)) {
      this.#state = 'chunk-size';
    } else {
      this.#finish();
    }
    return headEnd + 4;
  }

  #readCounted(chunk: Buffer, at: number, end: number): number {
    const stop = Math.min(end, at + this.#remainingBytes);
    this.#remainingBytes -= stop - at;
    this.#sink.onBody(chunk, at, stop);
    return stop;
  }

  #readChunkSize(chunk: Buffer, from: number, end: number): number {
    let at = from;
    while (at < end) {
      const byte = chunk[at++] ?? 0;
      if (byte === LF) {
        this.#state = this.#remainingBytes === 0 ? 'trailer' : 'chunk-data';
        this.#lineBytes = 0;
        return at;
      }
      if (byte === CR) continue;
      // '0'-'9' are 0x30-0x39; letters of either case have their value in the low four bits, less 9.
      this.#remainingBytes = this.#remainingBytes * 16 + (byte <= 0x39 ? byte - 0x30 : (byte & 0xf) + 9);
    }
    return at;
  }

  /** Trailer lines up to the empty one. */
  #readTrailer(chunk: Buffer, from: number, end: number): number {
    let at = from;
    while (at < end) {
      const byte = chunk[at++];
      if (byte === LF) {
        if (this.#lineBytes === 0) {
          this.#finish();
          return at;
        }
        this.#lineBytes = 0;
      } else if (byte !== CR) {
        this.#lineBytes++;
      }
    }
    return at;
  }

  #finish(): void {
    this.#state = 'head';
    this.#remainingBytes = 0;
    this.#sink.onEnd();
  }
}
