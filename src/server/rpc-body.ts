import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import type { ConnectError } from '@connectrpc/connect';
import { type Deadlined, unwatch, watch } from '../base/deadlines.ts';
import { SluiceError } from '../base/errors.ts';
import { connectErrorFrom } from '../service/errors.ts';
import { expectsContinue } from './port-handlers.ts';
import type { Framer } from './rpc-reframe.ts';

export type RpcRequest = IncomingMessage | Http2ServerRequest;
export type RpcResponse = ServerResponse | Http2ServerResponse;

/** Framed bytes that may wait for Connect before no more are read. */
const READ_AHEAD_BYTES = 64 * 1024;

export interface RpcBodyOptions {
  readonly request: RpcRequest;
  readonly response: RpcResponse;
  readonly framer: Framer;
  /** How long nothing may come while a message is awaited that has to come. */
  readonly timeoutMs: number;
  /** More than one message may come, whenever the client likes: only one that has begun has to go on. */
  readonly streaming: boolean;
}

/** A request's body as Connect reads it: nothing is read before it is asked for, and then in whole messages. */
export class RpcBody implements AsyncIterableIterator<Uint8Array>, Deadlined {
  deadlineAt = Number.POSITIVE_INFINITY;
  watchIndex = -1;
  /** Bytes read. */
  bytes = 0;
  readonly #options: RpcBodyOptions;
  readonly #ready: Uint8Array[] = [];
  #readyBytes = 0;
  #started = false;
  #ended = false;
  #givenUp = false;
  #failure: ConnectError | null = null;
  #waiting: Waiting | null = null;
  /** What an HTTP/1 client announced, NaN for chunks. */
  readonly #length: number;

  constructor(options: RpcBodyOptions) {
    this.#options = options;
    const { headers } = options.request;
    const unannounced = headers['transfer-encoding'] === undefined ? 0 : Number.NaN;
    this.#length = Number(headers['content-length'] ?? unannounced);
  }

  /** Why reading it was given up; null when it wasn't. */
  get failure(): ConnectError | null {
    return this.#failure;
  }

  /** All of it has arrived, whether anybody has read it or not. */
  get arrived(): boolean {
    const { request } = this.#options;
    if ((this.#ended && !this.#givenUp) || request.complete) return true;
    // Node says `complete` when its parser goes on, which is after the promises that the body's last chunk set off.
    return request.httpVersionMajor === 1 && this.bytes + request.readableLength === this.#length;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Uint8Array>> {
    if (!this.#started) this.#start();
    const piece = this.#ready.shift();
    if (piece !== undefined) {
      this.#readyBytes -= piece.length;
      return Promise.resolve({ done: false, value: piece });
    }
    if (this.#failure !== null) return Promise.reject(this.#failure);
    if (this.#ended) return Promise.resolve(DONE);
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#expect();
      this.#options.request.resume();
    });
  }

  return(): Promise<IteratorResult<Uint8Array>> {
    this.#ready.length = 0;
    if (!this.#ended) {
      this.#ended = true;
      this.giveUp();
      if (this.#started) this.#options.request.pause();
    }
    this.#settle();
    return Promise.resolve(DONE);
  }

  /** No more will come; whoever waits is told why. Harmless when all has come. */
  fail(error: ConnectError): void {
    if (!this.#ended) this.#failure ??= error;
    this.#settle();
  }

  /** The answer is out and the connection or stream is ending: what still comes is dropped, so that it can end. */
  discard(): void {
    this.giveUp();
    this.#options.request.resume();
  }

  /** Nobody wants what still comes. */
  giveUp(): void {
    this.#givenUp = true;
  }

  expire(): void {
    this.fail(connectErrorFrom(new SluiceError('request_timeout', 'The request body did not come in time.')));
  }

  #start(): void {
    this.#started = true;
    const { request, response } = this.#options;
    if (expectsContinue(request)) response.writeContinue();
    // What came together with the head is there already, and often it is all.
    const first: Uint8Array | null = request.httpVersionMajor === 1 ? request.read() : null;
    if (first !== null) this.#take(first);
    if (request.httpVersionMajor === 1 && this.arrived && request.readableLength === 0) {
      this.#end();
      return;
    }
    request.on('data', (chunk: Buffer) => this.#take(chunk));
    request.on('end', () => this.#end());
  }

  #take(chunk: Uint8Array): void {
    if (this.#ended || this.#givenUp || this.#failure !== null) return;
    this.bytes += chunk.length;
    const { framer, request } = this.#options;
    const before = this.#ready.length;
    try {
      framer.push(chunk, this.#ready);
    } catch (thrown) {
      request.pause();
      this.fail(framingError(thrown));
      return;
    }
    for (let i = before; i < this.#ready.length; i++) this.#readyBytes += this.#ready[i]?.length ?? 0;
    if (this.#ready.length > 0) this.#settle();
    else this.#expect();
    if (this.#readyBytes > READ_AHEAD_BYTES) request.pause();
    // The last byte is the end; Node's own event comes two turns of the event loop later.
    if (request.httpVersionMajor === 1 && this.bytes === this.#length) this.#end();
  }

  #end(): void {
    if (this.#ended || this.#givenUp || this.#failure !== null) return;
    try {
      this.#options.framer.end(this.#ready);
      this.#ended = true;
    } catch (thrown) {
      this.fail(framingError(thrown));
      return;
    }
    this.#settle();
  }

  /** Sets the clock for bytes that have to come. */
  #expect(): void {
    const { framer, streaming, timeoutMs } = this.#options;
    if (this.#waiting === null || (streaming && !framer.partial)) return;
    this.deadlineAt = performance.now() + timeoutMs;
    watch(this);
  }

  /** Gives whoever waits what there is. */
  #settle(): void {
    const waiting = this.#waiting;
    if (this.watchIndex !== -1) unwatch(this);
    if (waiting === null) return;
    const piece = this.#ready.shift();
    if (piece !== undefined) {
      this.#readyBytes -= piece.length;
      waiting.resolve({ done: false, value: piece });
    } else if (this.#failure !== null) waiting.reject(this.#failure);
    else if (this.#ended) waiting.resolve(DONE);
    else return;
    this.#waiting = null;
  }
}

/** Without details, as Connect itself would have refused it (conformance suite, "Server Message Size"). */
function framingError(thrown: unknown): ConnectError {
  const error = connectErrorFrom(thrown);
  error.details = [];
  return error;
}

interface Waiting {
  resolve(result: IteratorResult<Uint8Array>): void;
  reject(reason: unknown): void;
}

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };
