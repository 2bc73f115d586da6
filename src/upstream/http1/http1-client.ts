import type { Origin, UpstreamCall, UpstreamClient, UpstreamHandler, UpstreamRequest } from '../client.ts';
import { Connection, type ConnectionOwner } from './connection.ts';
import { Exchange } from './exchange.ts';

export interface Http1ClientOptions {
  /** False: accept any certificate of an upstream. Default true. */
  readonly verifyTls?: boolean;
  /** PEM certificates to trust instead of the built-in roots. */
  readonly ca?: string | Buffer;
}

/**
 * An HTTP/1.1 client on `node:net` and `node:tls`, made for relaying: raw bytes and raw headers both ways, one
 * static read buffer for all connections, no limit on connections (admission is the door's business, and a
 * queue in front of a GPU belongs to the GPU's own scheduler), the most recently used idle one first.
 */
export class Http1Client implements UpstreamClient, ConnectionOwner {
  readonly #options: Http1ClientOptions;
  readonly #idle = new Map<string, Connection[]>();
  readonly #tlsSessions = new Map<string, Buffer>();
  readonly #redispatch = (exchange: Exchange): void => this.#open(exchange.request).start(exchange);
  #closed = false;

  constructor(options: Http1ClientOptions = {}) {
    this.#options = options;
  }

  dispatch(request: UpstreamRequest, handler: UpstreamHandler): UpstreamCall {
    const exchange = new Exchange(request, handler, this.#redispatch);
    this.#connectionFor(request).start(exchange);
    return exchange;
  }

  close(): void {
    this.#closed = true;
    for (const stack of this.#idle.values()) for (const connection of [...stack]) connection.destroy();
  }

  release(connection: Connection): void {
    if (this.#closed) {
      connection.destroy();
      return;
    }
    const stack = this.#idle.get(connection.origin.key);
    if (stack === undefined) this.#idle.set(connection.origin.key, [connection]);
    else stack.push(connection);
  }

  discard(connection: Connection): void {
    const stack = this.#idle.get(connection.origin.key);
    if (stack === undefined) return;
    const index = stack.indexOf(connection);
    if (index !== -1) stack.splice(index, 1);
    if (stack.length === 0) this.#idle.delete(connection.origin.key);
  }

  /** Idle connections held for an origin. */
  idleCount(origin: Origin): number {
    return this.#idle.get(origin.key)?.length ?? 0;
  }

  #connectionFor(request: UpstreamRequest): Connection {
    if (!request.upgrade) {
      const stack = this.#idle.get(request.origin.key);
      let connection = stack?.pop();
      while (connection !== undefined) {
        if (connection.usable) return connection;
        connection.destroy();
        connection = stack?.pop();
      }
    }
    return this.#open(request);
  }

  #open(request: UpstreamRequest): Connection {
    return new Connection(request.origin, this, {
      connectTimeoutMs: request.timeouts.connectTimeoutMs,
      upgrade: request.upgrade,
      verifyTls: this.#options.verifyTls ?? true,
      ca: this.#options.ca ?? null,
      tlsSessions: this.#tlsSessions,
    });
  }
}
