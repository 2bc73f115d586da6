import type { UpstreamCall, UpstreamFailure, UpstreamHandler, UpstreamRequest } from '../client.ts';

/** What an exchange needs of the connection that carries it. */
export interface Carrier {
  writeBody(exchange: Exchange, chunk: Buffer): boolean;
  endBody(exchange: Exchange, trailers: readonly string[]): void;
  pause(): void;
  resume(): void;
  destroy(): void;
}

const NO_BODY = { kind: 'none' } as const;

/** One request and its response: the caller's handle, and what the connection needs to know of it. */
export class Exchange implements UpstreamCall {
  request: UpstreamRequest;
  readonly handler: UpstreamHandler;
  /** Where it runs at present; null before the start and after the end. */
  connection: Carrier | null = null;
  /** The whole request has been handed to the socket. */
  sent = false;
  readonly #redispatch: (exchange: Exchange) => void;
  #retried = false;

  /** `redispatch` sends the exchange once more, on a connection that no earlier request has used. */
  constructor(request: UpstreamRequest, handler: UpstreamHandler, redispatch: (exchange: Exchange) => void) {
    this.request = request;
    this.handler = handler;
    this.#redispatch = redispatch;
  }

  write(chunk: Buffer): boolean {
    return this.connection?.writeBody(this, chunk) ?? true;
  }

  end(trailers: readonly string[] = []): void {
    this.connection?.endBody(this, trailers);
  }

  pause(): void {
    this.connection?.pause();
  }

  resume(): void {
    this.connection?.resume();
  }

  abort(): void {
    const { connection } = this;
    this.connection = null;
    connection?.destroy();
  }

  /** Lets go of what can't be sent again any more: an answer may stream for many minutes, by the thousand. */
  forgetRequest(): void {
    if (this.request.headers.length === 0) return;
    const body = this.request.body.kind === 'stream' ? this.request.body : NO_BODY;
    this.request = { ...this.request, path: '', headers: [], body };
  }

  /** Ends the exchange with a failure, or sends it again where nobody can have acted on it. */
  fail(failure: UpstreamFailure, staleConnection: boolean): void {
    this.connection = null;
    // A kept-alive connection that dies under a request without one byte of answer was closed by the peer before
    // it read the request (RFC 9112 §9.3.1): uvicorn does so after 5 s idle.
    if (staleConnection && !this.#retried && this.request.body.kind !== 'stream') {
      this.#retried = true;
      this.sent = false;
      this.#redispatch(this);
      return;
    }
    this.handler.onError(failure);
  }
}
