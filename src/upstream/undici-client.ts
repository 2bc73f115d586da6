import type { UpstreamCall, UpstreamClient, UpstreamHandler, UpstreamRequest } from './client.ts';
import { UndiciConnection } from './undici/undici-connection.ts';
import { type ConnectionLender, UndiciExchange } from './undici/undici-exchange.ts';

export interface UndiciClientOptions {
  /** False: accept any certificate of an upstream. Default true. */
  readonly verifyTls?: boolean;
  /** PEM certificates to trust instead of the built-in roots. */
  readonly ca?: string | Buffer;
}

/**
 * The fallback client, on undici's parser and writer: another implementation to compare with, and to change to
 * should `Http1Client` fail somebody. It costs about a third more CPU a request, and undici writes heads in its own
 * way (Host first, Connection and framing its own, no request trailers); test/upstream/undici-client.test.ts lists
 * every difference.
 */
export class UndiciClient implements UpstreamClient {
  readonly #options: UndiciClientOptions;
  readonly #idle = new Map<string, UndiciConnection[]>();
  readonly #tlsSessions = new Map<string, Buffer>();
  readonly #lender: ConnectionLender = {
    borrow: (request, from) => (from === 'idle' ? this.#idleFor(request) : null) ?? this.#open(request),
    giveBack: (connection) => this.#giveBack(connection),
  };
  #closed = false;

  constructor(options: UndiciClientOptions = {}) {
    this.#options = options;
  }

  dispatch(request: UpstreamRequest, handler: UpstreamHandler): UpstreamCall {
    return new UndiciExchange(request, handler, this.#lender);
  }

  close(): void {
    this.#closed = true;
    for (const stack of this.#idle.values()) for (const connection of stack) connection.destroy();
    this.#idle.clear();
  }

  #idleFor({ origin }: UpstreamRequest): UndiciConnection | null {
    const stack = this.#idle.get(origin.key);
    const connection = stack?.pop() ?? null;
    if (stack?.length === 0) this.#idle.delete(origin.key);
    return connection;
  }

  #open({ origin }: UpstreamRequest): UndiciConnection {
    const { verifyTls = true, ca = null } = this.#options;
    const options = { verifyTls, ca, tlsSessions: this.#tlsSessions };
    return new UndiciConnection(origin, options, (connection) => this.#discard(connection));
  }

  #giveBack(connection: UndiciConnection): void {
    if (this.#closed) {
      connection.destroy();
      return;
    }
    const stack = this.#idle.get(connection.origin.key);
    if (stack === undefined) this.#idle.set(connection.origin.key, [connection]);
    else stack.push(connection);
  }

  /** Forgets an idle connection that closed; one that is lent out opens another socket or fails its exchange. */
  #discard(connection: UndiciConnection): void {
    const stack = this.#idle.get(connection.origin.key);
    const index = stack?.indexOf(connection) ?? -1;
    if (stack === undefined || index === -1) return;
    stack.splice(index, 1);
    if (stack.length === 0) this.#idle.delete(connection.origin.key);
    connection.destroy();
  }
}
