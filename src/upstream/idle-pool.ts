import type { Origin } from './client.ts';

/** What a pool needs of a connection. */
interface Poolable {
  readonly origin: Origin;
  destroy(): void;
}

/** Connections without an exchange, by origin; the most recently used one is lent first. */
export class IdlePool<Connection extends Poolable> {
  readonly #stacks = new Map<string, Connection[]>();
  #closed = false;

  /** Takes out the connection that was used last; null if there is none. */
  lend(origin: Origin): Connection | null {
    return this.#stacks.get(origin.key)?.pop() ?? null;
  }

  /** Takes a connection back; after `close` it is destroyed instead. */
  giveBack(connection: Connection): void {
    if (this.#closed) {
      connection.destroy();
      return;
    }
    const stack = this.#stacks.get(connection.origin.key);
    if (stack === undefined) this.#stacks.set(connection.origin.key, [connection]);
    else stack.push(connection);
  }

  /** Forgets a connection that closed. @returns false when it wasn't idle here */
  remove(connection: Connection): boolean {
    const stack = this.#stacks.get(connection.origin.key);
    const index = stack?.indexOf(connection) ?? -1;
    if (stack === undefined || index === -1) return false;
    stack.splice(index, 1);
    if (stack.length === 0) this.#stacks.delete(connection.origin.key);
    return true;
  }

  /** Connections held for an origin. */
  count(origin: Origin): number {
    return this.#stacks.get(origin.key)?.length ?? 0;
  }

  /** Destroys what is idle, and from now on whatever comes back. */
  close(): void {
    this.#closed = true;
    for (const stack of this.#stacks.values()) for (const connection of [...stack]) connection.destroy();
  }
}
