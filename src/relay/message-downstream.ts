import { SluiceError } from '../base/errors.ts';
import type { BodySink, Downstream, DownstreamListener, RequestBody } from './downstream.ts';
import { headerValue } from './raw-headers.ts';

/** What is told of a response, in this order: the head, chunks, perhaps trailers. Headers are raw pairs. */
export type ResponsePart =
  | {
      readonly kind: 'head';
      readonly status: number;
      readonly reason: string;
      readonly headers: readonly string[];
    }
  | { readonly kind: 'chunk'; readonly bytes: Buffer }
  | { readonly kind: 'trailers'; readonly headers: readonly string[] };

/** What follows a request's head. */
export type RequestPart =
  | { readonly kind: 'chunk'; readonly bytes: Buffer }
  | { readonly kind: 'trailers'; readonly headers: readonly string[] }
  /** The client has said all. */
  | { readonly kind: 'end' };

export interface RequestParts {
  /**
   * The next part; one call at a time, and none behind `end`. Rejects with a SluiceError where the client sent what
   * can't be, with anything else where it has left.
   */
  next(): Promise<RequestPart>;
}

export interface MessageDownstreamOptions {
  readonly method: string;
  readonly headers: readonly string[];
  readonly callHeaders: readonly string[];
  readonly body: RequestBody;
  readonly parts: RequestParts;
}

/** Chunks go out in this size or below: beyond it, messages get dearer than the calls they save. */
const CHUNK_BYTES = 16 * 1024;
/** What may wait for the client before the upstream does. */
const QUEUE_BYTES = 64 * 1024;
const QUEUE_CHUNKS = 32;
/** The upstream goes on when no more than this is left, so that it has come by the time it is gone. */
const RESUME_BYTES = QUEUE_BYTES / 4;

/** How the response ends once what is queued has been taken. */
type Ending =
  | { readonly kind: 'complete'; readonly trailers: readonly string[] }
  | { readonly kind: 'failed'; readonly error: unknown };

/**
 * An exchange whose two sides are sequences of messages, whatever these look like on their wire: the request's parts
 * are pulled one by one, the response's are pulled from here by `next`. No message is pulled while the upstream is
 * behind, and the upstream is held back while nobody pulls.
 */
export class MessageDownstream implements Downstream {
  listener: DownstreamListener | null = null;
  bytesOut = 0;
  /** A call costs nothing to give up. */
  readonly discardableBytes = 0;
  readonly expectsContinue = false;
  readonly method: string;
  headers: readonly string[];
  readonly callHeaders: readonly string[];
  readonly body: RequestBody;
  headSent = false;
  readonly #parts: RequestParts;
  #isPaused = false;
  #unpause: (() => void) | null = null;
  #head: ResponsePart | null = null;
  readonly #queue: Buffer[] = [];
  #queuedBytes = 0;
  #isFull = false;
  #ending: Ending | null = null;
  #wake: (() => void) | null = null;

  constructor(options: MessageDownstreamOptions) {
    this.method = options.method;
    this.headers = options.headers;
    this.callHeaders = options.callHeaders;
    this.body = options.body;
    this.#parts = options.parts;
  }

  // --- the client's side

  /**
   * The response's next part, null behind the last one; one call at a time. Rejects once what came has been taken, if
   * the response broke off; at once if it was the request's fault or the client left.
   */
  async next(): Promise<ResponsePart | null> {
    for (;;) {
      const head = this.#head;
      if (head !== null) {
        this.#head = null;
        return head;
      }
      if (this.#queue.length > 0) return { kind: 'chunk', bytes: this.#takeChunk() };
      const ending = this.#ending;
      if (ending?.kind === 'failed') throw ending.error;
      if (ending?.kind === 'complete') {
        if (ending.trailers.length === 0) return null;
        this.#ending = COMPLETE;
        return { kind: 'trailers', headers: ending.trailers };
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** The client has left, or will hear no more: the upstream is let go at once, and `next` rejects with `reason`. */
  leave(reason: unknown): void {
    if (this.#ending?.kind === 'failed') return;
    const { listener } = this;
    this.#drop(reason);
    listener?.onClientGone();
  }

  // --- the request's way in

  readBody(sink: BodySink): void {
    void this.#pump(sink);
  }

  pauseBody(): void {
    this.#isPaused = true;
  }

  resumeBody(): void {
    this.#isPaused = false;
    this.#unpause?.();
    this.#unpause = null;
  }

  sendContinue(): void {}

  async #pump(sink: BodySink): Promise<void> {
    const counter = new BodyCounter(this.body, sink);
    try {
      while (await this.#goesOn()) {
        const part = await this.#parts.next();
        if (!(await this.#goesOn()) || !counter.take(part)) return;
      }
    } catch (thrown) {
      if (this.#ending !== null) return;
      if (thrown instanceof SluiceError) {
        this.#drop(thrown);
        sink.onBodyFault(thrown);
      } else this.leave(thrown);
    }
  }

  /** Waits while the upstream is behind. @returns false when nothing more is wanted of the request */
  async #goesOn(): Promise<boolean> {
    while (this.#isPaused && this.#ending === null) {
      await new Promise<void>((resolve) => {
        this.#unpause = resolve;
      });
    }
    return this.#ending === null;
  }

  // --- the response's way out

  /** There is no message for it. */
  writeInterim(): void {}

  writeHead(status: number, reason: string, headers: readonly string[]): void {
    if (this.#ending !== null) return;
    this.headSent = true;
    // A long stream keeps nothing that it has no more use for.
    this.headers = NO_HEADERS;
    this.#head = { kind: 'head', status, reason, headers: withDate(headers) };
    this.#notify();
  }

  write(chunk: Buffer): boolean {
    if (this.#ending !== null || this.method === 'HEAD') return true;
    this.bytesOut += chunk.length;
    this.#queue.push(Buffer.from(chunk));
    this.#queuedBytes += chunk.length;
    this.#isFull = this.#queuedBytes >= QUEUE_BYTES || this.#queue.length >= QUEUE_CHUNKS;
    this.#notify();
    return !this.#isFull;
  }

  end(trailers: readonly string[]): void {
    if (this.#ending !== null) return;
    this.#finish({ kind: 'complete', trailers });
  }

  respond(status: number, reason: string, headers: readonly string[], body: Buffer): void {
    this.writeHead(status, reason, headers);
    if (body.length > 0) this.write(body);
    this.end(NO_HEADERS);
  }

  break(): void {
    if (this.#ending !== null) return;
    const error = new SluiceError(
      'upstream_broken',
      'The exchange broke off before the response was complete.',
    );
    this.#finish({ kind: 'failed', error });
  }

  /** Nothing more is read once the response has ended. */
  closeAfterResponse(): void {}

  /** Fails at once: what waits is of no use to anybody. */
  #drop(error: unknown): void {
    this.#head = null;
    this.#queue.length = 0;
    this.#queuedBytes = 0;
    this.#finish({ kind: 'failed', error });
  }

  #finish(ending: Ending): void {
    this.#ending = ending;
    this.#unpause?.();
    this.#notify();
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }

  /** The next bytes: a large chunk is cut, and small ones that wait anyway go together. */
  #takeChunk(): Buffer {
    const queue = this.#queue;
    const first = queue[0] as Buffer;
    let length = first.length;
    let bytes = first;
    if (length > CHUNK_BYTES) {
      length = CHUNK_BYTES;
      bytes = first.subarray(0, length);
      queue[0] = first.subarray(length);
    } else {
      let count = 1;
      for (
        let next = queue[1];
        next !== undefined && length + next.length <= CHUNK_BYTES;
        next = queue[count]
      ) {
        length += next.length;
        count++;
      }
      const taken = queue.splice(0, count);
      if (count > 1) bytes = Buffer.concat(taken, length);
    }
    this.#queuedBytes -= length;
    if (this.#isFull && this.#queuedBytes <= RESUME_BYTES) {
      this.#isFull = false;
      this.listener?.onClientDrain();
    }
    return bytes;
  }
}

/** Holds a body to what was announced, and tells where it ends. */
class BodyCounter {
  readonly #sink: BodySink;
  /** Null: unknown. */
  #left: number | null;
  #ended = false;

  constructor(body: RequestBody, sink: BodySink) {
    this.#sink = sink;
    this.#left = body.kind === 'length' ? body.length : null;
    if (this.#left === 0) this.#end(NO_HEADERS);
  }

  /** @returns false behind the last part. @throws SluiceError `invalid_request` for more or less than announced */
  take(part: RequestPart): boolean {
    switch (part.kind) {
      case 'chunk':
        this.#takeChunk(part.bytes);
        return true;
      case 'trailers':
        this.#refuseShort();
        this.#end(part.headers);
        return true;
      case 'end':
        this.#refuseShort();
        this.#end(NO_HEADERS);
        return false;
    }
  }

  #takeChunk(bytes: Buffer): void {
    if (bytes.length === 0) return;
    if (this.#left !== null) {
      if (bytes.length > this.#left) throw lengthMismatch('longer');
      this.#left -= bytes.length;
    }
    this.#sink.onBodyData(bytes);
    // The last byte is the end; that nothing follows shows later.
    if (this.#left === 0) this.#end(NO_HEADERS);
  }

  #refuseShort(): void {
    if (this.#left !== null && this.#left > 0) throw lengthMismatch('shorter');
  }

  #end(trailers: readonly string[]): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#sink.onBodyEnd(trailers);
  }
}

/** The body isn't as long as its Content-Length says. */
export function lengthMismatch(relation: 'longer' | 'shorter'): SluiceError {
  return new SluiceError('invalid_request', `The body is ${relation} than its Content-Length says.`, {
    param: 'content-length',
  });
}

/** A response that has no Date gets one (RFC 9110 §6.6.1); the HTTP server has Node do it. */
function withDate(headers: readonly string[]): readonly string[] {
  return headerValue(headers, 'date') === null ? [...headers, 'Date', new Date().toUTCString()] : headers;
}

const NO_HEADERS: readonly string[] = [];
const COMPLETE: Ending = { kind: 'complete', trailers: NO_HEADERS };
