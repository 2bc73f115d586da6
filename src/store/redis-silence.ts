import { performance } from 'node:perf_hooks';

/** Silence while an answer is due that a server which is merely busy doesn't keep, ms. */
const LONG_MS = 150;

/** Tells one late answer from a server that says nothing any more. */
export class Silence {
  #due = 0;
  #since = 0;

  /** Something was asked. */
  asked(): void {
    if (this.#due++ === 0) this.#since = performance.now();
  }

  /** An answer has come, in time or not, or it never will. */
  answered(): void {
    this.#due--;
    this.#since = performance.now();
  }

  isLong(): boolean {
    return this.#due > 0 && performance.now() - this.#since >= LONG_MS;
  }
}
