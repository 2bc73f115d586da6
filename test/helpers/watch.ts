/** Waits for conditions on a state that tells of its changes. */
export class Watch {
  readonly #checks = new Set<() => void>();

  /** Resolves as soon as `passes`, which is asked at once and at every change. */
  until(passes: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const check = (): void => {
        if (!passes()) return;
        this.#checks.delete(check);
        resolve();
      };
      this.#checks.add(check);
      check();
    });
  }

  changed(): void {
    for (const check of [...this.#checks]) check();
  }
}
