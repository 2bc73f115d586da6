import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Limits } from '../base/config/config.ts';
import { SluiceError, sluiceErrorFrom } from '../base/errors.ts';
import { isLingering, linger } from '../base/linger.ts';
import { reset } from '../base/reset.ts';
import { screenRequest } from '../relay/request-screen.ts';
import type { Connection, Connections } from './port-connections.ts';
import { markExpectsContinue, type PortHandlers } from './port-handlers.ts';
import { refuse, refuseSocket } from './port-refusal.ts';

/**
 * Requests of one connection that are served at a time. A pipeline costs its client nothing, and each request in it is
 * one upstream connection: 15,000 of them came from a single client, past every limit.
 */
const MAX_PIPELINED = 100;

/** Between the wire and the handlers for HTTP/1. Sibling: port-http2.ts. */
export class Http1Gate {
  readonly #handlers: PortHandlers;
  readonly #connections: Connections;
  readonly #limits: Limits;
  draining = false;

  constructor(handlers: PortHandlers, connections: Connections, limits: Limits) {
    this.#handlers = handlers;
    this.#connections = connections;
    this.#limits = limits;
  }

  connection(socket: Socket): void {
    this.#connections.set(socket, { kind: 'http1', open: [], sealed: false, declinedUpgrade: null });
  }

  request(req: IncomingMessage, res: ServerResponse): void {
    const connection = this.#connections.get(req.socket);
    if (connection?.kind !== 'http1' || connection.sealed) return;
    if (connection.open.at(-1)?.shouldKeepAlive === false) {
      // The handler has decided to close behind the response before: this one could never be sent.
      connection.sealed = true;
      return;
    }
    this.#connections.beginHttp1(connection, res);
    if (this.draining || connection.declinedUpgrade === req) {
      connection.sealed = true;
      res.shouldKeepAlive = false;
    } else if (connection.open.length === MAX_PIPELINED) {
      // Those behind it go unanswered, which a client that pipelines must be ready for (RFC 9112 §9.3.2).
      connection.sealed = true;
      res.shouldKeepAlive = false;
      const { socket } = req;
      socket.destroySoon = () => linger(socket);
    }
    const target = screenRequest('http1', req, this.#limits);
    if (typeof target !== 'string') {
      connection.sealed = true;
      this.#report(target, refuse(res, target));
      return;
    }
    req.url = target;
    try {
      this.#handlers.request(req, res);
    } catch (thrown) {
      connection.sealed = true;
      const error = sluiceErrorFrom(thrown);
      this.#report(error, refuse(res, error));
    }
  }

  checkContinue(req: IncomingMessage, res: ServerResponse): void {
    markExpectsContinue(req);
    this.request(req, res);
  }

  /**
   * Node's `shouldUpgradeCallback`: a websocket handshake is taken, any other wish (h2c) passed over, as RFC 9110
   * §7.8 allows. A declined request is the last on its connection: what came behind it in the same packet is lost
   * inside Node's parser, and the next packet could begin in the middle of a request.
   */
  shouldUpgrade(req: IncomingMessage): boolean {
    if (wantsWebsocket(req)) return true;
    const connection = this.#connections.get(req.socket);
    if (connection?.kind === 'http1') connection.declinedUpgrade = req;
    return false;
  }

  upgrade(req: IncomingMessage, stream: Duplex, head: Buffer): void {
    const { socket } = req;
    const connection = this.#connections.get(socket);
    if (!mayAnswer(connection)) {
      socket.destroy();
      return;
    }
    const target = screenRequest('http1', req, this.#limits);
    if (typeof target !== 'string') {
      this.#refuseSocket(socket, target);
      return;
    }
    if (this.draining) {
      this.#refuseSocket(socket, new SluiceError('shutting_down', 'The server is shutting down.'));
      return;
    }
    req.url = target;
    this.#connections.set(socket, { kind: 'upgraded' });
    const written = socket.bytesWritten;
    try {
      this.#handlers.upgrade(req, stream, head);
    } catch (thrown) {
      const error = sluiceErrorFrom(thrown);
      if (socket.bytesWritten === written) this.#refuseSocket(socket, error);
      else {
        this.#report(error, null);
        reset(socket);
      }
    }
  }

  /** CONNECT; `screenRequest` has no way to let it pass on HTTP/1. */
  connect(req: IncomingMessage, socket: Socket): void {
    const refusal = screenRequest('http1', req, this.#limits);
    if (typeof refusal === 'string' || !mayAnswer(this.#connections.get(socket))) socket.destroy();
    else this.#refuseSocket(socket, refusal);
  }

  /** What Node's parser refused, or a head that didn't come in time, or a fault of the socket itself. */
  clientError(fault: NodeJS.ErrnoException, socket: Socket): void {
    if (isLingering(socket)) return;
    const connection = this.#connections.get(socket);
    if (!socket.writable || connection?.kind !== 'http1') {
      socket.destroy();
      return;
    }
    const [only, next] = connection.open;
    if (only === undefined && !connection.sealed) {
      this.#refuseSocket(socket, errorFromFault(fault));
      return;
    }
    // The fault is in the body of a request that has no answer yet: this is its answer. No lingering, so that the
    // handler learns at once. Any other bytes here would be taken for the answer to another request.
    if (only !== undefined && next === undefined && !only.headersSent && !only.req.complete) {
      connection.sealed = true;
      this.#refuseSocket(socket, errorFromFault(fault));
      socket.destroySoon();
      return;
    }
    reset(socket);
  }

  #refuseSocket(socket: Socket, error: SluiceError): void {
    this.#report(error, refuseSocket(socket, error));
  }

  #report(error: SluiceError, requestId: string | null): void {
    this.#handlers.report?.(error, requestId);
  }
}

/** Nothing else is owed on this connection, so that bytes written now are the answer to this request. */
function mayAnswer(connection: Connection | undefined): boolean {
  return connection?.kind === 'http1' && connection.open.length === 0 && !connection.sealed;
}

/** RFC 6455 §4.1: a GET of HTTP/1.1 or later; a body before the switch would leave it open where frames begin. */
function wantsWebsocket(req: IncomingMessage): boolean {
  const { headers } = req;
  return (
    req.method === 'GET' &&
    req.httpVersion === '1.1' &&
    headers.upgrade?.toLowerCase() === 'websocket' &&
    headers['content-length'] === undefined &&
    headers['transfer-encoding'] === undefined
  );
}

/** Node's fault stays behind: its `rawPacket` has the request's bytes, credentials among them, and causes are logged. */
function errorFromFault(fault: NodeJS.ErrnoException): SluiceError {
  switch (fault.code) {
    case 'HPE_HEADER_OVERFLOW':
      return new SluiceError('headers_too_large', "The request's headers are too large.", {
        cause: fault.code,
      });
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new SluiceError('request_timeout', "The request's head did not come in time.", {
        cause: fault.code,
      });
    default:
      return new SluiceError('malformed_http', `This is not HTTP: ${reasonOf(fault)}.`, {
        cause: fault.code,
      });
  }
}

/** llhttp's reasons are fixed texts, none of the request's bytes among them. */
function reasonOf(fault: Error): string {
  return 'reason' in fault && typeof fault.reason === 'string' && fault.reason !== ''
    ? fault.reason
    : 'the bytes end in the middle of a message';
}
