import type { Http2ServerRequest, Http2ServerResponse, ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { Limits } from '../base/config/config.ts';
import { type SluiceError, sluiceErrorFrom } from '../base/errors.ts';
import { screenRequest } from '../relay/request-screen.ts';
import type { Connections } from './port-connections.ts';
import { markExpectsContinue, type PortHandlers } from './port-handlers.ts';
import { Http2Connection } from './port-http2-connection.ts';
import { refuse } from './port-refusal.ts';

/** Between the wire and the handlers for HTTP/2. Sibling: port-http1.ts. */
export class Http2Gate {
  readonly #handlers: PortHandlers;
  readonly #connections: Connections;
  readonly #limits: Limits;
  readonly #idleTimeoutMs: number;
  readonly #bySession = new WeakMap<object, Http2Connection>();
  draining = false;

  constructor(handlers: PortHandlers, connections: Connections, limits: Limits, idleTimeoutMs: number) {
    this.#handlers = handlers;
    this.#connections = connections;
    this.#limits = limits;
    this.#idleTimeoutMs = idleTimeoutMs;
  }

  connection(session: ServerHttp2Session, socket: Socket): void {
    const connection = new Http2Connection(session, socket, {
      prefaceTimeoutMs: this.#limits.headerTimeoutMs,
      idleTimeoutMs: this.#idleTimeoutMs,
    });
    this.#bySession.set(session, connection);
    this.#connections.set(socket, connection);
    if (this.draining) connection.close();
  }

  request(req: Http2ServerRequest, res: Http2ServerResponse): void {
    if (!this.#begin(req)) return;
    this.#serve(req, res, () => this.#handlers.request(req, res));
  }

  checkContinue(req: Http2ServerRequest, res: Http2ServerResponse): void {
    markExpectsContinue(req);
    this.request(req, res);
  }

  connect(req: Http2ServerRequest, res: Http2ServerResponse): void {
    if (!this.#begin(req)) return;
    this.#serve(req, res, () => this.#handlers.tunnel(req, res));
  }

  /** @returns false for a stream that was reset before anybody saw it, as in a rapid reset (CVE-2023-44487). */
  #begin(req: Http2ServerRequest): boolean {
    const { stream } = req;
    if (stream.destroyed || stream.closed || stream.session === undefined) return false;
    const connection = this.#bySession.get(stream.session);
    if (connection === undefined) return false;
    this.#connections.beginHttp2(connection, stream);
    return true;
  }

  #serve(req: Http2ServerRequest, res: Http2ServerResponse, handle: () => void): void {
    const target = screenRequest('http2', req, this.#limits);
    if (typeof target !== 'string') {
      this.#refuse(res, target);
      return;
    }
    try {
      handle();
    } catch (thrown) {
      this.#refuse(res, sluiceErrorFrom(thrown));
    }
  }

  #refuse(res: Http2ServerResponse, error: SluiceError): void {
    this.#handlers.report?.(error, refuse(res, error));
  }
}
