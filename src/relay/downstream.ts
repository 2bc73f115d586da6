import type { SluiceError } from '../base/errors.ts';

/**
 * The client's side of an exchange, the same for HTTP/1.1 and HTTP/2, so that the relay has one way through.
 * Siblings: http1-downstream.ts, http2-downstream.ts, message-downstream.ts.
 */
export interface Downstream {
  readonly method: string;
  /** Raw name-value pairs without pseudo-headers; names as sent. */
  readonly headers: readonly string[];
  /** Those of the call that carries this exchange, where one does; see `Entry.callHeaders`. */
  readonly callHeaders?: readonly string[];
  readonly body: RequestBody;
  /** The client waits for `100 Continue` before it sends the body. */
  readonly expectsContinue: boolean;
  /** An unread rest of a body up to this size is read and dropped rather than given up. */
  readonly discardableBytes: number;
  /** True once the response's head has been handed over. */
  readonly headSent: boolean;
  /** Body bytes handed over so far. */
  readonly bytesOut: number;

  /** Who hears of the client; an object, since closures here were seen to outlive their exchange. */
  listener: DownstreamListener | null;

  /** Starts reading the request's body; without it none is read. */
  readBody(sink: BodySink): void;
  pauseBody(): void;
  resumeBody(): void;
  sendContinue(): void;

  /** Sends an informational response where the client's protocol and the moment allow it; else drops it. */
  writeInterim(status: number, reason: string, headers: readonly string[]): void;
  /** Sends the head at once; the body follows by `write` and `end`. */
  writeHead(status: number, reason: string, headers: readonly string[]): void;
  /** False: wait for `onClientDrain`. The chunk may be reused after the call. */
  write(chunk: Buffer): boolean;
  end(trailers: readonly string[]): void;
  /** Head and complete body in one go. */
  respond(status: number, reason: string, headers: readonly string[], body: Buffer): void;
  /**
   * Ends the response so that the client sees it broken: the connection closed without the final chunk on
   * HTTP/1.1, RST_STREAM on HTTP/2. Never a clean end.
   */
  break(): void;
  /** Asks that nothing more is read of an unfinished request body: the connection ends with the response. */
  closeAfterResponse(): void;
}

export interface DownstreamListener {
  /** The client has gone before the response was complete; called once. */
  onClientGone(): void;
  /** A write that returned false has been taken. */
  onClientDrain(): void;
}

export interface BodySink {
  onBodyData(chunk: Buffer): void;
  onBodyEnd(trailers: readonly string[]): void;
  /** What came can't be the rest of this body, or of this request: it is given up. May follow the body's end. */
  onBodyFault(fault: SluiceError): void;
}

/** How the client announced its body. */
export type RequestBody =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly length: number }
  | { readonly kind: 'unknown_length' };
