/**
 * Timeouts for things that live by the thousand. A timer each would cost an allocation and two list operations
 * per request and some hundred bytes per idle stream; here each holder keeps one number, and a single sweep
 * compares them. A deadline fires at most one sweep late.
 */
export interface Deadlined {
  /** When `expire` is due, in milliseconds of `performance.now()`; `Infinity` for never. */
  deadlineAt: number;
  /** Called once by a sweep after `deadlineAt`, which has been set to `Infinity` before. */
  expire(): void;
}

const SWEEP_INTERVAL_MS = 100;

const watched = new Set<Deadlined>();
let sweeper: NodeJS.Timeout | null = null;

/** Watches `holder` until `unwatch`; its `deadlineAt` may be moved at any time at no cost. */
export function watch(holder: Deadlined): void {
  watched.add(holder);
  sweeper ??= setInterval(sweep, SWEEP_INTERVAL_MS).unref();
}

/** Stops watching; harmless when it isn't watched. */
export function unwatch(holder: Deadlined): void {
  watched.delete(holder);
}

function sweep(): void {
  if (watched.size === 0 && sweeper !== null) {
    clearInterval(sweeper);
    sweeper = null;
    return;
  }
  const now = performance.now();
  for (const holder of watched) {
    if (holder.deadlineAt > now) continue;
    holder.deadlineAt = Number.POSITIVE_INFINITY;
    holder.expire();
  }
}
