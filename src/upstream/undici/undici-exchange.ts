import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Dispatcher } from 'undici';
import { type Deadlined, unwatch, watch } from '../../base/deadlines.ts';
import {
  STALE_WINDOW_MS,
  type UpstreamCall,
  UpstreamFailure,
  type UpstreamHandler,
  type UpstreamHead,
  type UpstreamRequest,
} from '../client.ts';
import { trimOws } from '../http1/grammar.ts';
import { failureFrom } from './failure.ts';
import { RequestBody } from './request-body.ts';
import { dispatchOptions } from './request-options.ts';
import type { UndiciConnection } from './undici-connection.ts';

const NEVER = Number.POSITIVE_INFINITY;
const EMPTY = Buffer.alloc(0);

/** Who lends connections. */
export interface ConnectionLender {
  /** `fresh`: one that no request has used. */
  borrow(request: UpstreamRequest, from: 'idle' | 'fresh'): UndiciConnection;
  giveBack(connection: UndiciConnection): void;
}

/** `begun`: a byte of the final response has come. */
type Phase = 'connecting' | 'sending' | 'sent' | 'begun' | 'done';

/** One request and its response: the caller's handle, and undici's handler. */
export class UndiciExchange implements UpstreamCall, Dispatcher.DispatchHandler, Deadlined {
  deadlineAt = NEVER;
  watchIndex = -1;
  readonly #request: UpstreamRequest;
  readonly #handler: UpstreamHandler;
  readonly #lender: ConnectionLender;
  readonly #body: RequestBody | null;
  #connection: UndiciConnection;
  #controller: Dispatcher.DispatchController | null = null;
  #phase: Phase = 'connecting';
  #requestSent = false;
  #headReceived = false;
  #anyByte = false;
  #paused = false;
  #retried = false;
  #deadlineBefore = NEVER;

  constructor(request: UpstreamRequest, handler: UpstreamHandler, lender: ConnectionLender) {
    this.#request = request;
    this.#handler = handler;
    this.#lender = lender;
    this.#body = request.body.kind === 'stream' ? new RequestBody(() => this.#onDrain()) : null;
    this.#connection = lender.borrow(request, request.upgrade ? 'fresh' : 'idle');
    watch(this);
    this.#dispatch();
  }

  // --- the caller's side

  write(chunk: Buffer): boolean {
    if (this.#body === null || this.#phase === 'done') return true;
    const more = this.#body.write(chunk);
    // An upstream that takes no more of the request owes a sign of life like one that has all of it.
    if (!more && this.deadlineAt === NEVER) this.#awaitFirstByte();
    return more;
  }

  end(): void {
    if (this.#phase !== 'done') this.#body?.end(); // undici writes no trailers
  }

  pause(): void {
    if (this.#phase === 'done' || this.#paused) return;
    this.#paused = true;
    if (this.#phase !== 'connecting') this.deadlineAt = NEVER; // the client is slow, not the upstream
    this.#controller?.pause();
  }

  resume(): void {
    if (this.#phase === 'done' || !this.#paused) return;
    this.#paused = false;
    if (this.#requestSent) this.#awaitFirstByte();
    this.#touch();
    this.#controller?.resume();
  }

  abort(): void {
    if (this.#phase === 'done') return;
    this.#finish();
    this.#controller?.abort(new Error('given up'));
    this.#connection.destroy();
  }

  expire(): void {
    const { connectTimeoutMs, firstByteTimeoutMs, idleTimeoutMs } = this.#request.timeouts;
    const { key } = this.#request.origin;
    const failure =
      this.#phase === 'connecting'
        ? new UpstreamFailure('connect_timeout', `no connection to ${key} in ${connectTimeoutMs} ms`)
        : this.#phase === 'begun'
          ? new UpstreamFailure('idle_timeout', `${key} sent nothing for ${idleTimeoutMs} ms`)
          : new UpstreamFailure('first_byte_timeout', `no answer from ${key} in ${firstByteTimeoutMs} ms`);
    this.#fail(failure);
  }

  // --- undici's side

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    this.#phase = 'sending';
    this.deadlineAt = NEVER;
    if (this.#paused) controller.pause();
    this.#body?.releaseEnd();
  }

  onRequestSent(): void {
    this.#requestSent = true;
    if (this.#phase !== 'sending') return;
    this.#phase = 'sent';
    this.#awaitFirstByte();
  }

  /** The first byte of a response, an interim one among them. */
  onResponseStarted(): void {
    if (this.#phase === 'done') return;
    this.#anyByte = true;
    this.#deadlineBefore = this.deadlineAt;
    this.#phase = 'begun';
    this.#touch();
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    reason = '',
  ): void {
    if (this.#phase === 'done') return;
    if (status < 200) {
      // The final response is still to come (RFC 9110 §15.2), and its time runs on.
      this.#phase = this.#requestSent ? 'sent' : 'sending';
      this.deadlineAt = this.#deadlineBefore;
      this.#handler.onInterim?.(headFrom(status, reason, rawPairs(controller.rawHeaders)));
      return;
    }
    this.#headReceived = true;
    this.#touch();
    const head = headFrom(status, reason, rawPairs(controller.rawHeaders));
    if (hasOtherCoding(head.headers)) {
      const { key } = this.#request.origin;
      this.#fail(
        new UpstreamFailure('protocol', `${key}: transfer-encoding other than chunked in the response`),
      );
    } else this.#handler.onHead(head, false);
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    // undici's parser reports nothing as a piece of the body when it goes on after a pause.
    if (this.#phase === 'done' || chunk.length === 0) return;
    this.#touch();
    if (!this.#handler.onData(chunk)) this.pause();
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    if (this.#phase === 'done') return;
    const connection = this.#connection;
    if (connection.broken) {
      const { key } = this.#request.origin;
      this.#fail(new UpstreamFailure('reset', `${key}: reset in a body that ends with the connection`));
      return;
    }
    this.#finish();
    connection.used = true;
    // An answer that came before the whole request leaves the rest of it on the wire: not to be used again.
    if (this.#requestSent && connection.flushed) this.#lender.giveBack(connection);
    else connection.destroy();
    this.#handler.onEnd(rawPairs(controller.rawTrailers));
  }

  onRequestUpgrade(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    socket: Duplex,
  ): void {
    if (this.#phase === 'done') {
      socket.destroy();
      return;
    }
    this.#finish();
    this.#connection.release();
    this.#connection.destroy();
    const rest = (socket.read() as Buffer | null) ?? EMPTY;
    // undici keeps the reason to itself
    const head = headFrom(status, 'Switching Protocols', rawPairs(controller.rawHeaders));
    this.#handler.onUpgrade?.(head, socket as Socket, rest);
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    if (this.#phase === 'done') return;
    const progress = { connected: this.#phase !== 'connecting', headReceived: this.#headReceived };
    const failure = failureFrom(error, this.#request.origin.key, progress);
    // undici reports what it refuses to send before `dispatch` returns; the contract knows no such thing.
    if (progress.connected) this.#fail(failure);
    else queueMicrotask(() => this.#fail(failure));
  }

  // ---

  #dispatch(): void {
    this.deadlineAt = performance.now() + this.#request.timeouts.connectTimeoutMs;
    this.#connection.client.dispatch(dispatchOptions(this.#request, this.#body), this);
  }

  /** Ends the exchange with a failure, or sends it again where nobody can have acted on it. */
  #fail(failure: UpstreamFailure): void {
    if (this.#phase === 'done') return;
    const connection = this.#connection;
    // A kept-alive connection that dies under a request without one byte of answer was closed by the peer before
    // it read the request (RFC 9112 §9.3.1): uvicorn does so after 5 s idle.
    const sentAt = this.#requestSent ? this.deadlineAt - this.#request.timeouts.firstByteTimeoutMs : NEVER;
    const isRecent = performance.now() - sentAt <= STALE_WINDOW_MS;
    const stale = connection.used && !this.#anyByte && failure.kind === 'reset' && isRecent;
    if (stale && !this.#retried && this.#body === null) {
      this.#retried = true;
      this.#requestSent = false;
      this.#controller = null;
      this.#phase = 'connecting';
      this.#connection = this.#lender.borrow(this.#request, 'fresh');
      connection.destroy();
      this.#dispatch();
      return;
    }
    this.#finish();
    this.#controller?.abort(failure);
    connection.destroy();
    this.#handler.onError(failure);
  }

  #finish(): void {
    this.#phase = 'done';
    this.deadlineAt = NEVER;
    unwatch(this);
  }

  #onDrain(): void {
    if (this.#phase === 'done') return;
    if (this.#phase === 'sending') this.deadlineAt = NEVER;
    this.#handler.onDrain();
  }

  #awaitFirstByte(): void {
    if (this.#paused || (this.#phase !== 'sending' && this.#phase !== 'sent')) return;
    this.deadlineAt = performance.now() + this.#request.timeouts.firstByteTimeoutMs;
  }

  #touch(): void {
    if (this.#paused || this.#phase !== 'begun') return;
    this.deadlineAt = performance.now() + this.#request.timeouts.idleTimeoutMs;
  }
}

function headFrom(status: number, reason: string, headers: readonly string[]): UpstreamHead {
  let length: number | null = null;
  for (let i = 0; i < headers.length; i += 2) {
    if ((headers[i] as string).toLowerCase() === 'content-length') length = Number(headers[i + 1]);
  }
  return { status, reason, headers, length };
}

/** undici reads such a body to the end of the connection, the coding on it: others may find another end. */
function hasOtherCoding(headers: readonly string[]): boolean {
  return headers.some(
    (name, i) =>
      i % 2 === 0 &&
      name.toLowerCase() === 'transfer-encoding' &&
      headers[i + 1]?.toLowerCase() !== 'chunked',
  );
}

/** What undici's parser collected, as raw name-value pairs; it leaves the white space behind a value. */
function rawPairs(raw: unknown): string[] {
  if (!Array.isArray(raw)) return [];
  return raw.map((text: Buffer | string) =>
    trimOws(typeof text === 'string' ? text : text.toString('latin1'), 0),
  );
}
