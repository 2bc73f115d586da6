import { performance } from 'node:perf_hooks';

/** How long a server has said nothing while answers were due. */
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

  get ms(): number {
    return this.#due > 0 ? performance.now() - this.#since : 0;
  }
}
