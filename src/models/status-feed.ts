import { type Clock, pause } from './clock.ts';
import type { ModelStatus } from './model-state.ts';

/** At most ten a second. */
const PACE_MS = 100;
/** The elapsed time goes on while nothing else does: silence would look like a hung load. */
const TICK_MS = 1_000;

export interface StatusSource {
  status(): ModelStatus;
  /** Calls back at each change. @returns stops it */
  subscribe(listener: () => void): () => void;
}

/**
 * The status at once, then each change of it, the newest where they come faster than ten a second; ends after ready,
 * failed or stopped. A load that has ended is told as it ended, whatever begins afterwards.
 */
export async function* statusFeed(
  source: StatusSource,
  clock: Clock,
  signal: AbortSignal | null,
): AsyncGenerator<ModelStatus, void, undefined> {
  let waiting: ModelStatus | null = null;
  let wake: () => void = () => {};
  const look = () => {
    if (waiting === null || !isFinal(waiting)) waiting = source.status();
    wake();
  };
  const hasLeft = () => signal?.aborted === true;
  const stop = source.subscribe(look);
  try {
    look();
    while (!hasLeft()) {
      const next: ModelStatus | null = waiting;
      waiting = null;
      if (next !== null) {
        yield next;
        if (isFinal(next)) return;
        await pause(clock, PACE_MS, signal);
      }
      if (waiting === null && !hasLeft()) {
        const changed = new AbortController();
        wake = () => changed.abort();
        signal?.addEventListener('abort', wake, { once: true });
        await pause(clock, TICK_MS - PACE_MS, changed.signal);
        signal?.removeEventListener('abort', wake);
        waiting ??= source.status();
      }
    }
  } finally {
    stop();
  }
}

function isFinal({ state }: ModelStatus): boolean {
  switch (state) {
    case 'ready':
    case 'failed':
    case 'stopped':
      return true;
    case 'starting':
    case 'stopping':
      return false;
  }
}
