import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import { unwatch } from '../base/deadlines.ts';
import type { Http2Connection } from './port-http2-connection.ts';
import type { SniffedConnection } from './port-sniff.ts';

/** What a connection is at the moment; it goes from `sniffed` to one of the others, and from `http1` to `upgraded`. */
export type Connection = SniffedConnection | Http1Connection | Http2Connection | UpgradedConnection;

export interface Http1Connection {
  readonly kind: 'http1';
  /** Responses begun and not yet closed, in the order of their requests; several when the client pipelines. */
  readonly open: ServerResponse[];
  /** A response with `Connection: close` is under way or out: no request behind it is served (RFC 9112 §9.6). */
  sealed: boolean;
  /** The request whose wish for another protocol was passed over, see `Http1Gate.shouldUpgrade`. */
  declinedUpgrade: IncomingMessage | null;
}

/** A websocket: the socket is the handler's, and one exchange until it closes. */
export interface UpgradedConnection {
  readonly kind: 'upgraded';
}

/** Every connection of the port and the exchanges under way on them: what a drain needs to know, and nothing else. */
export class Connections {
  /** As the kernel gave them: under TLS, the sockets below the TLS sockets. */
  readonly accepted = new Set<Socket>();
  /** By the socket that speaks HTTP. */
  readonly #bySocket = new Map<Socket, Connection>();
  #ended = 0;
  #onEmpty: (() => void) | null = null;
  readonly #responseClosed: (this: ServerResponse) => void;
  readonly #socketClosed: (this: Socket) => void;

  constructor() {
    const connections = this;
    // Shared listeners that find their object by `this`: no closure a request.
    this.#responseClosed = function (this: ServerResponse) {
      connections.#endHttp1(this);
    };
    this.#socketClosed = function (this: Socket) {
      connections.#close(this);
    };
  }

  accept(socket: Socket): void {
    this.accepted.add(socket);
    this.#watchSocket(socket);
  }

  /** `socket` is a `connection` from now on, whatever it was. */
  set(socket: Socket, connection: Connection): void {
    if (!this.#bySocket.has(socket) && !this.accepted.has(socket)) this.#watchSocket(socket);
    this.#bySocket.set(socket, connection);
  }

  get(socket: Socket): Connection | undefined {
    return this.#bySocket.get(socket);
  }

  entries(): IterableIterator<[Socket, Connection]> {
    return this.#bySocket.entries();
  }

  beginHttp1(connection: Http1Connection, res: ServerResponse): void {
    connection.open.push(res);
    res.on('close', this.#responseClosed);
  }

  beginHttp2(connection: Http2Connection, stream: ServerHttp2Stream): void {
    connection.begin(stream);
    stream.on('close', () => {
      // Streams of a connection that closed before them were counted with it.
      if (connection.end(stream)) this.#ended++;
    });
  }

  /** Exchanges that have ended since the port opened, however they ended. */
  get ended(): number {
    return this.#ended;
  }

  /** Exchanges under way. */
  get inFlight(): number {
    let count = 0;
    for (const connection of this.#bySocket.values()) count += exchangesOf(connection);
    return count;
  }

  /** Calls back when no connection is left, at once if there is none. */
  whenEmpty(callback: () => void): void {
    if (this.accepted.size === 0) callback();
    else this.#onEmpty = callback;
  }

  #watchSocket(socket: Socket): void {
    socket.on('close', this.#socketClosed);
    // For the socket's whole life: Node takes its own listener away on an upgrade, and an `error` without a listener
    // ends the process. What follows an error is the close, and that one counts.
    socket.on('error', ignore);
  }

  #endHttp1(res: ServerResponse): void {
    const { socket } = res.req;
    const connection = this.#bySocket.get(socket);
    if (connection?.kind !== 'http1') return;
    const index = connection.open.indexOf(res);
    if (index === -1) return;
    connection.open.splice(index, 1);
    this.#ended++;
    if (connection.sealed && connection.open.length === 0) socket.destroySoon();
  }

  #close(socket: Socket): void {
    const connection = this.#bySocket.get(socket);
    if (connection !== undefined) {
      this.#bySocket.delete(socket);
      this.#ended += exchangesOf(connection);
      if (connection.kind === 'sniffed' || connection.kind === 'http2') unwatch(connection);
      if (connection.kind === 'http2') connection.forget();
    }
    this.accepted.delete(socket);
    if (this.accepted.size === 0) this.#onEmpty?.();
  }
}

function exchangesOf(connection: Connection): number {
  switch (connection.kind) {
    case 'sniffed':
      return 0;
    case 'http1':
      return connection.open.length;
    case 'http2':
      return connection.open;
    case 'upgraded':
      return 1;
  }
}

function ignore(): void {}
