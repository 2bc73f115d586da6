import { type Server, Server as TcpServer } from 'node:net';
import { reset } from '../base/reset.ts';
import type { Connections } from './port-connections.ts';

/** How the exchanges that were under way at a drain ended. */
export interface Drained {
  /** Came to their end before the deadline. */
  readonly completed: number;
  /** Were cut off at the deadline. */
  readonly broken: number;
}

/** How long frames that say "broken" get to leave before their connection is reset. */
const BREAK_GRACE_MS = 100;

export interface DrainOptions {
  readonly server: Server & { closeIdleConnections(): void };
  readonly connections: Connections;
}

/** The way from serving to closed. */
export class Drain {
  readonly done: Promise<Drained>;
  readonly #server: DrainOptions['server'];
  readonly #connections: Connections;
  readonly #endedBefore: number;
  #completed = 0;
  #broken = 0;
  #late = false;
  #deadline: NodeJS.Timeout | null = null;
  #deadlineAt = Number.POSITIVE_INFINITY;

  constructor(options: DrainOptions) {
    this.#server = options.server;
    this.#connections = options.connections;
    this.#endedBefore = options.connections.ended;
    // Not the HTTP servers' own `close`, which would stop watching headersTimeout, and would close the connections that
    // look idle at once: a request may be in the kernel already.
    TcpServer.prototype.close.call(this.#server);
    this.done = new Promise((resolve) => {
      // Two, because the first comes before the event loop has looked at the sockets again.
      setImmediate(() => {
        setImmediate(() => {
          this.#closeIdle();
          this.#connections.whenEmpty(() => resolve(this.#finish()));
        });
      });
    });
  }

  /** Breaks what is left in `ms`; of several calls the earliest deadline holds. */
  within(ms: number): void {
    const at = performance.now() + ms;
    if (at >= this.#deadlineAt || this.#late) return;
    this.#deadlineAt = at;
    if (this.#deadline !== null) clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => this.#breakAll(), ms);
  }

  #finish(): Drained {
    if (this.#deadline !== null) clearTimeout(this.#deadline);
    if (!this.#late) this.#completed = this.#connections.ended - this.#endedBefore;
    // Has stopped listening long ago; this ends the timer that watches headersTimeout.
    this.#server.close();
    return { completed: this.#completed, broken: this.#broken };
  }

  #closeIdle(): void {
    // Node knows which connections have no request on them, half a head being one.
    this.#server.closeIdleConnections();
    for (const [socket, connection] of this.#connections.entries()) {
      switch (connection.kind) {
        case 'sniffed':
          if (connection.silent) socket.destroy();
          break;
        case 'http1': {
          const last = connection.open.at(-1);
          if (last !== undefined) {
            connection.sealed = true;
            // Too late where the head is out: the connection then closes behind the response.
            if (!last.headersSent) last.shouldKeepAlive = false;
          } else if (socket.bytesRead === 0) socket.destroy();
          break;
        }
        case 'http2':
          connection.close();
          break;
        case 'upgraded':
          break;
      }
    }
  }

  #breakAll(): void {
    this.#late = true;
    this.#completed = this.#connections.ended - this.#endedBefore;
    this.#broken = this.#connections.inFlight;
    let frames = false;
    for (const [socket, connection] of this.#connections.entries()) {
      if (connection.kind === 'http2') {
        frames = true;
        connection.break();
      } else reset(socket);
    }
    // TLS handshakes have no entry above; and a peer that does not take our frames is not waited for.
    setTimeout(() => this.#breakAccepted(), frames ? BREAK_GRACE_MS : 0);
  }

  #breakAccepted(): void {
    // From the top: below TLS, a socket doesn't know that its end is on its way.
    for (const [socket] of this.#connections.entries()) reset(socket);
    for (const socket of this.#connections.accepted) reset(socket);
  }
}
