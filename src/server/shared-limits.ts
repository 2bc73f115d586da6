import type { Logger } from 'pino';
import { createMemoryLimiter } from '../access/memory-limiter.ts';
import { serveLimiter } from '../access/serve-limiter.ts';
import type { Channel } from '../base/channel.ts';
import type { StateConfig } from '../base/config/config.ts';
import { openStore } from '../store/open-store.ts';

/** What a supervisor counts for its workers, so that limits hold for all of them together. */
export interface SharedLimits {
  /** Counts for the worker at the other end. */
  serve(channel: Channel): void;
  /** Writes out what was spent; after the last worker's end. */
  close(): Promise<void>;
}

/**
 * Begins to count.
 * @returns null: the state is on Redis, which counts for all
 * @throws StoreOpenError of one line
 */
export async function openSharedLimits(state: StateConfig, logger: Logger): Promise<SharedLimits | null> {
  if (state.kind === 'redis') return null;
  const { store } = await openStore(state);
  const limiter = createMemoryLimiter({ store, logger });
  return {
    serve: (channel) => serveLimiter(limiter, channel),
    async close() {
      await limiter.close();
      await store.close();
    },
  };
}
