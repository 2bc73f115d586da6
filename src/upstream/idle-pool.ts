import type { Origin } from './client.ts';

/** What a pool needs of a connection. */
interface Poolable {
  readonly origin: Origin;
  /** The address was checked when it was opened; see `UpstreamRequest.guarded`. */
  readonly guarded: boolean;
  destroy(): void;
}

/** What a connection is lent for: one that was opened unguarded must never carry a guarded request. */
export type PoolKey = Pick<Poolable, 'origin' | 'guarded'>;

/** Connections without an exchange, by origin; the most recently used one is lent first. */
export class IdlePool<Connection extends Poolable> {
  readonly #stacks = new Map<string, Connection[]>();
  #closed = false;

  /** Takes out the connection that was used last; null if there is none. */
  lend(key: PoolKey): Connection | null {
    return this.#stacks.get(stackName(key))?.pop() ?? null;
  }

  /** Takes a connection back; after `close` it is destroyed instead. */
  giveBack(connection: Connection): void {
    if (this.#closed) {
      connection.destroy();
      return;
    }
    const name = stackName(connection);
    const stack = this.#stacks.get(name);
    if (stack === undefined) this.#stacks.set(name, [connection]);
    else stack.push(connection);
  }

  /** Forgets a connection that closed. @returns false when it wasn't idle here */
  remove(connection: Connection): boolean {
    const name = stackName(connection);
    const stack = this.#stacks.get(name);
    const index = stack?.indexOf(connection) ?? -1;
    if (stack === undefined || index === -1) return false;
    stack.splice(index, 1);
    if (stack.length === 0) this.#stacks.delete(name);
    return true;
  }

  /** Connections held. */
  count(key: PoolKey): number {
    return this.#stacks.get(stackName(key))?.length ?? 0;
  }

  /** Destroys what is idle, and from now on whatever comes back. */
  close(): void {
    this.#closed = true;
    for (const stack of this.#stacks.values()) for (const connection of [...stack]) connection.destroy();
  }
}

function stackName({ origin, guarded }: PoolKey): string {
  return guarded ? `guarded ${origin.key}` : origin.key;
}
