import type { LookupFunction } from 'node:net';
import type { Timeouts } from '../base/config/config.ts';

/**
 * The contract between the relay and whatever speaks HTTP to an upstream. Bytes in, bytes out: no header is
 * renamed, no body decoded. `test/upstream/client-contract.ts` is the contract's other half.
 */
export interface UpstreamClient {
  /** Starts one exchange; every outcome is reported to `handler`, none is thrown. */
  dispatch(request: UpstreamRequest, handler: UpstreamHandler): UpstreamCall;
  /** Closes idle connections; those in use close with their exchange. */
  close(): void;
}

/** What every client is made with. */
export interface ClientOptions {
  /** False: accept any certificate of an upstream. Default true. */
  readonly verifyTls?: boolean;
  /** PEM certificates to trust instead of the built-in roots. */
  readonly ca?: string | Buffer;
  /** How names are resolved; default `dns.lookup`, the system's way. */
  readonly lookup?: LookupFunction;
}

export interface UpstreamRequest {
  /** `http://host:port` or `https://host:port`; see `originFrom`. */
  readonly origin: Origin;
  readonly method: string;
  /** Origin-form: path and query as they go on the wire. */
  readonly path: string;
  /**
   * Raw name-value pairs exactly as they go on the wire, in order: Host and the framing header (Content-Length,
   * Transfer-Encoding: chunked) among them, because their place and case are the client's. They agree with `body`.
   */
  readonly headers: readonly string[];
  readonly body: UpstreamBody;
  readonly timeouts: Timeouts;
  /** Ask for a protocol switch; `onUpgrade` is then called on 101. */
  readonly upgrade: boolean;
  /**
   * The target was given through the API: an address that `isForbiddenAddress` knows is not connected to, whatever the
   * name resolves to now, and no connection is shared with requests to targets of the configuration file.
   */
  readonly guarded: boolean;
}

/**
 * How the request's body comes. A `whole` or `text` body can be sent again on a fresh connection when a kept-alive one
 * turns out to be dead; a `stream` can't.
 */
export type UpstreamBody =
  | { readonly kind: 'none' }
  | { readonly kind: 'whole'; readonly bytes: Buffer }
  /** A whole body that is small enough to travel with the head; one character a byte. */
  | { readonly kind: 'text'; readonly latin1: string }
  /** `length` null: chunked. */
  | { readonly kind: 'stream'; readonly length: number | null };

export interface Origin {
  /** Scheme, host and port, lower case: the key of the connection pool. */
  readonly key: string;
  readonly tls: boolean;
  /** Host name or address, brackets of IPv6 removed. */
  readonly hostname: string;
  readonly port: number;
  /** What the Host header says: port only where it isn't the scheme's own. */
  readonly host: string;
}

/** The handle on an exchange under way. All methods are harmless after its end. */
export interface UpstreamCall {
  /** Next bytes of a `stream` body. False: wait for `onDrain`. */
  write(chunk: Buffer): boolean;
  /** End of a `stream` body, with raw trailers (chunked only). */
  end(trailers?: readonly string[]): void;
  /** Stops and resumes reading the response. */
  pause(): void;
  resume(): void;
  /** Gives the exchange up: closes its connection at once; no further callback. */
  abort(): void;
}

export interface UpstreamHandler {
  /**
   * The final response's head, as it came: raw header pairs in wire order. `more`: the same read brought further
   * bytes, so `onData` or `onEnd` follows before this turn of the event loop ends and the head may wait for it.
   */
  onHead(head: UpstreamHead, more: boolean): void;
  /** An informational response before the final one, but 100 and 101 (RFC 9110 §15.2). May come several times. */
  onInterim?(head: UpstreamHead): void;
  /** Body bytes, framing removed. The buffer is only valid during the call: copy what is kept. False: pause. */
  onData(chunk: Buffer): boolean;
  /** The response is complete. */
  onEnd(trailers: readonly string[]): void;
  /** The exchange failed; nothing follows. */
  onError(failure: UpstreamFailure): void;
  /** The request body may be written again. */
  onDrain(): void;
  /** 101: the connection is the caller's now; `rest` are bytes that came behind the head. */
  onUpgrade?(head: UpstreamHead, socket: import('node:net').Socket, rest: Buffer): void;
}

export interface UpstreamHead {
  readonly status: number;
  readonly reason: string;
  /** Raw name-value pairs. */
  readonly headers: readonly string[];
  /** Body length if announced; null when chunked or ended by close. */
  readonly length: number | null;
}

/**
 * A kept-alive connection that its peer has closed answers a request with a reset within a round trip. One that dies
 * later died with the request, perhaps of it, and the request is not sent again: a model would run twice.
 */
export const STALE_WINDOW_MS = 1_000;

export type FailureKind =
  | 'connect'
  /** The request is `guarded`, and its origin is or resolves to a forbidden address. */
  | 'forbidden_address'
  | 'connect_timeout'
  | 'tls'
  | 'first_byte_timeout'
  | 'idle_timeout'
  | 'reset'
  | 'protocol';

/** Why an exchange failed. `message` may name the upstream's address: for the log, not for clients. */
export class UpstreamFailure extends Error {
  override readonly name = 'UpstreamFailure';
  readonly kind: FailureKind;

  constructor(kind: FailureKind, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.kind = kind;
  }
}
