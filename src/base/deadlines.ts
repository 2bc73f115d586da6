/**
 * Timeouts for things that live by the thousand. A timer each would cost an allocation and two list operations
 * per request and some hundred bytes per idle stream; here each holder keeps one number, and a single sweep
 * compares them. A deadline fires at most one sweep late.
 */
export interface Deadlined {
  /** When `expire` is due, in milliseconds of `performance.now()`; `Infinity` for never. */
  deadlineAt: number;
  /** Its place among the watched; kept by `watch` and `unwatch`, begins as -1. */
  watchIndex: number;
  /** Called once by a sweep after `deadlineAt`, which has been set to `Infinity` before. */
  expire(): void;
}

const SWEEP_INTERVAL_MS = 100;

/**
 * An array, not a Set: under a steady coming and going a Set's table is copied again and again, and the dead copies
 * in the old generation keep whole exchanges alive until the next major collection (measured: 15 µs a request).
 */
const watched: Deadlined[] = [];
let sweeper: NodeJS.Timeout | null = null;

/** Watches `holder` until `unwatch`; its `deadlineAt` may be moved at any time at no cost. */
export function watch(holder: Deadlined): void {
  if (holder.watchIndex !== -1) return;
  holder.watchIndex = watched.length;
  watched.push(holder);
  sweeper ??= setInterval(sweep, SWEEP_INTERVAL_MS).unref();
}

/** Stops watching; harmless when it isn't watched. */
export function unwatch(holder: Deadlined): void {
  const { watchIndex } = holder;
  if (watchIndex === -1) return;
  holder.watchIndex = -1;
  const last = watched.pop();
  if (last === undefined || last === holder) return;
  watched[watchIndex] = last;
  last.watchIndex = watchIndex;
}

function sweep(): void {
  if (watched.length === 0 && sweeper !== null) {
    clearInterval(sweeper);
    sweeper = null;
    return;
  }
  const now = performance.now();
  // Expiring one may take any of them off the list: look at a copy of those that are due.
  for (const holder of watched.filter(({ deadlineAt }) => deadlineAt <= now)) {
    if (holder.watchIndex === -1 || holder.deadlineAt > now) continue;
    holder.deadlineAt = Number.POSITIVE_INFINITY;
    holder.expire();
  }
}
