/** Time as the models see it; tests bring their own. */
export interface Clock {
  /** Milliseconds; only differences mean anything. */
  now(): number;
  /** Calls back once after so many milliseconds; does not keep the process alive. @returns takes it back */
  after(delayMs: number, callback: () => void): () => void;
}

export const SYSTEM_CLOCK: Clock = {
  now: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs).unref();
    return () => clearTimeout(timer);
  },
};

/** Resolves after so many milliseconds, or as soon as `signal` aborts. Never rejects. */
export function pause(clock: Clock, delayMs: number, signal: AbortSignal | null): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) {
      resolve();
      return;
    }
    const over = () => {
      takeBack();
      signal?.removeEventListener('abort', over);
      resolve();
    };
    const takeBack = clock.after(delayMs, over);
    signal?.addEventListener('abort', over);
  });
}
