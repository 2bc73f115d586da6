/** Time as limiters see it; tests bring their own. */
export interface LimiterClock {
  /** Milliseconds that never step back; only differences mean anything. Rates go by it, whatever the wall clock does. */
  now(): number;
  /** Milliseconds since 1970: budgets begin anew by the calendar. */
  wall(): number;
  /** Calls back once after so many milliseconds; does not keep the process alive. @returns takes it back */
  after(delayMs: number, callback: () => void): () => void;
}

export const SYSTEM_LIMITER_CLOCK: LimiterClock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs).unref();
    return () => clearTimeout(timer);
  },
};
