/**
 * Waiting for a state instead of sleeping: whoever changes something calls `changed`, and each waiter's probe
 * is asked again.
 */
export class Watch {
  readonly #probes = new Set<() => void>();

  changed(): void {
    for (const probe of [...this.#probes]) probe();
  }

  /**
   * Resolves with what `probe` returns once that is not undefined: at once, or after a change.
   *
   * @throws Error with `describe()` when it has not come after `timeoutMs`, so that a test that waits in vain
   *   says for what.
   */
  until<T>(probe: () => T | undefined, describe: () => string, timeoutMs = 5_000): Promise<T> {
    return new Promise((resolve, reject) => {
      const finish = () => {
        clearTimeout(timer);
        this.#probes.delete(ask);
      };
      const ask = () => {
        const value = probe();
        if (value === undefined) return;
        finish();
        resolve(value);
      };
      const timer = setTimeout(() => {
        finish();
        reject(new Error(`waited ${timeoutMs} ms for ${describe()}`));
      }, timeoutMs);
      this.#probes.add(ask);
      ask();
    });
  }
}
