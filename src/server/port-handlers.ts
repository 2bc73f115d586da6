import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import type { Duplex } from 'node:stream';
import type { SluiceError } from '../base/errors.ts';

/**
 * What the port hands on. Everything that arrives here has passed `screenRequest`, and `req.url` is in origin-form.
 * A handler that throws is answered for with 500; a promise it may return is its own business.
 */
export interface PortHandlers {
  /** A request of either protocol; see `expectsContinue` for those whose client waits. */
  request(req: IncomingMessage | Http2ServerRequest, res: ServerResponse | Http2ServerResponse): void;
  /** An HTTP/1.1 websocket handshake: a GET without a body. The socket is the handler's from here on. */
  upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** A websocket over HTTP/2: CONNECT with `:protocol` websocket (RFC 8441). */
  tunnel(req: Http2ServerRequest, res: Http2ServerResponse): void;
  /**
   * Told of what the port answered itself or what went wrong below the requests, for the log.
   * `requestId` is the one that the client was given, if any.
   */
  report?(error: SluiceError, requestId: string | null): void;
}

const waiting = new WeakSet<object>();

/** Its client sent `Expect: 100-continue` and holds the body back until `res.writeContinue()`. */
export function expectsContinue(req: IncomingMessage | Http2ServerRequest): boolean {
  return waiting.has(req);
}

/** For the port's own use. */
export function markExpectsContinue(req: IncomingMessage | Http2ServerRequest): void {
  waiting.add(req);
}
