import type { LookupFunction } from 'node:net';
import type {
  ClientOptions,
  UpstreamCall,
  UpstreamClient,
  UpstreamHandler,
  UpstreamRequest,
} from './client.ts';
import { guardedLookup } from './guarded-lookup.ts';
import { IdlePool } from './idle-pool.ts';
import { UndiciConnection } from './undici/undici-connection.ts';
import { type ConnectionLender, UndiciExchange } from './undici/undici-exchange.ts';

/**
 * The fallback client, on undici's parser and writer: another implementation to compare with, and to change to
 * should `Http1Client` fail somebody. It costs about a third more CPU a request, and undici writes heads in its own
 * way (Host first, Connection and framing its own, no request trailers); test/upstream/undici-client.test.ts lists
 * every difference.
 */
export class UndiciClient implements UpstreamClient {
  readonly #options: ClientOptions;
  readonly #idle = new IdlePool<UndiciConnection>();
  readonly #tlsSessions = new Map<string, Buffer>();
  readonly #guardedLookup: LookupFunction;
  readonly #lender: ConnectionLender = {
    borrow: (request, from) => (from === 'idle' ? this.#idle.lend(request) : null) ?? this.#open(request),
    giveBack: (connection) => this.#idle.giveBack(connection),
  };

  constructor(options: ClientOptions = {}) {
    this.#options = options;
    this.#guardedLookup = guardedLookup(options.lookup);
  }

  dispatch(request: UpstreamRequest, handler: UpstreamHandler): UpstreamCall {
    return new UndiciExchange(request, handler, this.#lender);
  }

  close(): void {
    this.#idle.close();
  }

  #open({ origin, guarded }: UpstreamRequest): UndiciConnection {
    const { verifyTls = true, ca = null } = this.#options;
    const lookup = guarded ? this.#guardedLookup : (this.#options.lookup ?? null);
    const options = { guarded, lookup, verifyTls, ca, tlsSessions: this.#tlsSessions };
    return new UndiciConnection(origin, options, (connection) => this.#discard(connection));
  }

  /** Forgets an idle connection that closed; one that is lent out opens another socket or fails its exchange. */
  #discard(connection: UndiciConnection): void {
    if (this.#idle.remove(connection)) connection.destroy();
  }
}
