import { Readable } from 'node:stream';

/** A streamed request body: what the caller writes, undici reads. */
export class RequestBody extends Readable {
  readonly #onDrain: () => void;
  #full = false;
  #mayEnd = false;
  #ended = false;

  constructor(onDrain: () => void) {
    super({ highWaterMark: 64 * 1024 });
    this.#onDrain = onDrain;
    this.on('error', () => {}); // undici destroys it with the exchange's error, which is reported elsewhere
  }

  /** @returns false when the caller should wait for `onDrain`. */
  write(chunk: Buffer): boolean {
    if (this.#ended || this.destroyed || chunk.length === 0) return true;
    this.#full = !this.push(chunk);
    return !this.#full;
  }

  end(): void {
    if (this.#ended || this.destroyed) return;
    this.#ended = true;
    if (this.#mayEnd) this.push(null);
  }

  /**
   * The framing has been chosen. Until then the end is held back: undici would send a stream that has ended with a
   * Content-Length where the caller asked for chunks.
   */
  releaseEnd(): void {
    this.#mayEnd = true;
    if (this.#ended) this.push(null);
  }

  override _read(): void {
    if (!this.#full) return;
    this.#full = false;
    this.#onDrain();
  }
}
