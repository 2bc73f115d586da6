import type { LookupFunction } from 'node:net';
import type {
  ClientOptions,
  Origin,
  UpstreamCall,
  UpstreamClient,
  UpstreamHandler,
  UpstreamRequest,
} from '../client.ts';
import { guardedLookup } from '../guarded-lookup.ts';
import { IdlePool } from '../idle-pool.ts';
import { Connection, type ConnectionOwner } from './connection.ts';
import { Exchange } from './exchange.ts';

/**
 * An HTTP/1.1 client on `node:net` and `node:tls`, made for relaying: raw bytes and raw headers both ways, one
 * static read buffer for all connections, no limit on connections (admission is the door's business, and a
 * queue in front of a GPU belongs to the GPU's own scheduler), the most recently used idle one first.
 */
export class Http1Client implements UpstreamClient, ConnectionOwner {
  readonly #options: ClientOptions;
  readonly #idle = new IdlePool<Connection>();
  readonly #tlsSessions = new Map<string, Buffer>();
  readonly #guardedLookup: LookupFunction;
  readonly #redispatch = (exchange: Exchange): void => this.#open(exchange.request).start(exchange);

  constructor(options: ClientOptions = {}) {
    this.#options = options;
    this.#guardedLookup = guardedLookup(options.lookup);
  }

  dispatch(request: UpstreamRequest, handler: UpstreamHandler): UpstreamCall {
    const exchange = new Exchange(request, handler, this.#redispatch);
    this.#connectionFor(request).start(exchange);
    return exchange;
  }

  close(): void {
    this.#idle.close();
  }

  release(connection: Connection): void {
    this.#idle.giveBack(connection);
  }

  discard(connection: Connection): void {
    this.#idle.remove(connection);
  }

  /** Idle connections held for an origin of the configuration file. */
  idleCount(origin: Origin): number {
    return this.#idle.count({ origin, guarded: false });
  }

  #connectionFor(request: UpstreamRequest): Connection {
    if (request.upgrade) return this.#open(request);
    let connection = this.#idle.lend(request);
    while (connection !== null && !connection.usable) {
      connection.destroy();
      connection = this.#idle.lend(request);
    }
    return connection ?? this.#open(request);
  }

  #open(request: UpstreamRequest): Connection {
    return new Connection(request.origin, this, {
      connectTimeoutMs: request.timeouts.connectTimeoutMs,
      upgrade: request.upgrade,
      guarded: request.guarded,
      lookup: request.guarded ? this.#guardedLookup : (this.#options.lookup ?? null),
      verifyTls: this.#options.verifyTls ?? true,
      ca: this.#options.ca ?? null,
      tlsSessions: this.#tlsSessions,
    });
  }
}
