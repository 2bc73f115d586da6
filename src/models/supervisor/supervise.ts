import { type Clock, pause } from '../clock.ts';

/** One run of something that serves until it ends. */
export interface Run<T> {
  /** Where it is reached. */
  readonly value: T;
  /** Resolves with the reason when it has ended by itself and nothing of it is left. */
  readonly ended: Promise<string>;
  /** Resolves when nothing of it is left. Never rejects; twice is harmless. */
  stop(): Promise<void>;
}

export interface RestartPolicy {
  /** Before the first restart; doubled for each further one. */
  readonly firstDelayMs: number;
  readonly maxDelayMs: number;
  /** Restarts in a row, after which it is given up. */
  readonly maxRestarts: number;
  /** Once it has run for so long, a row of restarts is over. */
  readonly stableMs: number;
}

export const RESTART_POLICY: RestartPolicy = {
  firstDelayMs: 1_000,
  maxDelayMs: 60_000,
  maxRestarts: 5,
  stableMs: 60_000,
};

export interface SuperviseOptions<T> {
  /** Resolves once it serves; rejects when it doesn't, or when `signal` aborts, and has left nothing then. */
  readonly launch: (signal: AbortSignal) => Promise<Run<T>>;
  readonly clock: Clock;
  readonly policy: RestartPolicy;
  readonly events: {
    /** It ended; `waiting` and then `recovered` or `failed` follow. */
    lost(reason: string): void;
    waiting(delayMs: number): void;
    recovered(value: T): void;
    /** It is given up; nothing runs. */
    failed(reason: string): void;
  };
}

/** Something that is started again when it ends. */
export interface Supervised<T> {
  /** Of the first run. */
  readonly value: T;
  /** Ends it, whatever it is about just now, and resolves when nothing runs. Never rejects; nothing is told afterwards. */
  stop(): Promise<void>;
}

/**
 * Launches and, once it serves, starts it again whenever it ends.
 * @throws what the first launch throws; that one is not repeated
 */
export async function supervise<T>(
  options: SuperviseOptions<T>,
  signal: AbortSignal,
): Promise<Supervised<T>> {
  const first = await options.launch(signal);
  const stopping = new AbortController();
  const over = keepRunning(first, options, stopping.signal);
  return {
    value: first.value,
    stop() {
      stopping.abort();
      return over;
    },
  };
}

/** Resolves when it is stopped or given up. Never rejects. */
async function keepRunning<T>(first: Run<T>, options: SuperviseOptions<T>, stop: AbortSignal): Promise<void> {
  const { clock, policy, events } = options;
  const stopped = new Promise<null>((resolve) => stop.addEventListener('abort', () => resolve(null)));
  let run = first;
  let restarts = 0;
  for (;;) {
    const runningSince = clock.now();
    const reason = await Promise.race([stopped, run.ended]);
    if (reason === null || stop.aborted) return run.stop();
    if (clock.now() - runningSince >= policy.stableMs) restarts = 0;
    events.lost(reason);
    let failure = reason;
    let next: Run<T> | null = null;
    while (next === null) {
      if (restarts >= policy.maxRestarts) {
        events.failed(`given up after ${restarts} restarts in a row: ${failure}`);
        return;
      }
      const delayMs = Math.min(policy.firstDelayMs * 2 ** restarts, policy.maxDelayMs);
      restarts++;
      events.waiting(delayMs);
      await pause(clock, delayMs, stop);
      if (stop.aborted) return;
      try {
        next = await options.launch(stop);
      } catch (error) {
        if (stop.aborted) return;
        failure = error instanceof Error ? error.message : String(error);
      }
    }
    if (stop.aborted) return next.stop();
    run = next;
    events.recovered(run.value);
  }
}
