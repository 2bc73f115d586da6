import { SluiceError } from '../base/errors.ts';

/**
 * Cuts a request body at places where Connect can take it in: its own decoder looks at all it holds again with every
 * chunk (60 KB in chunks of one byte took 17 s), and allocates a message as soon as its length is announced.
 */
export interface Framer {
  /**
   * Takes the next bytes and appends what is whole now to `out`. The chunk may be kept, and is not changed.
   * @throws SluiceError `body_too_large` as soon as a length is announced or reached that is above the limit
   */
  push(chunk: Uint8Array, out: Uint8Array[]): void;
  /**
   * The body has ended; appends what is left to `out`.
   * @throws SluiceError `invalid_request` when it ended within a message
   */
  end(out: Uint8Array[]): void;
  /** Lowers the limit, before anything is pushed. */
  limit(maxBytes: number): void;
  /** Bytes have come that wait for others. */
  readonly partial: boolean;
}

/** Flags, and the length in four bytes, the highest first: gRPC's, gRPC-Web's and Connect's streams share it. */
const PREFIX_BYTES = 5;
/** What is set aside for a message whose bytes have not come, whatever length it announces. */
const FIRST_BYTES = 16 * 1024;

/** For bodies of enveloped messages: passes on whole envelopes, those of one chunk together. */
export class EnvelopeFramer implements Framer {
  #maxBytes: number;
  readonly #pending = new GrowingBuffer();
  /** Length of the pending envelope, prefix included; 0 while its prefix isn't whole. */
  #wanted = 0;

  /** `maxBytes`: of one message, without its prefix. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get partial(): boolean {
    return this.#pending.length > 0;
  }

  limit(maxBytes: number): void {
    this.#maxBytes = Math.min(this.#maxBytes, maxBytes);
  }

  push(chunk: Uint8Array, out: Uint8Array[]): void {
    let start = 0;
    while (this.#pending.length > 0 && start < chunk.length) start = this.#complete(chunk, start, out);
    let end = start;
    while (chunk.length - end >= PREFIX_BYTES) {
      const next = end + PREFIX_BYTES + this.#announced(chunk, end);
      if (next > chunk.length) break;
      end = next;
    }
    if (end > start) out.push(chunk.subarray(start, end));
    if (end < chunk.length) this.#begin(chunk, end);
  }

  end(): void {
    if (this.partial) throw new SluiceError('invalid_request', 'The request body ends within a message.');
  }

  #begin(chunk: Uint8Array, start: number): void {
    this.#wanted = 0;
    if (chunk.length - start >= PREFIX_BYTES) this.#wanted = PREFIX_BYTES + this.#announced(chunk, start);
    this.#pending.append(chunk, start, chunk.length, this.#wanted);
  }

  /** Adds to the pending envelope what belongs to it. @returns where the rest of the chunk begins */
  #complete(chunk: Uint8Array, start: number, out: Uint8Array[]): number {
    const pending = this.#pending;
    const wanted = this.#wanted === 0 ? PREFIX_BYTES : this.#wanted;
    const end = Math.min(chunk.length, start + wanted - pending.length);
    pending.append(chunk, start, end, wanted);
    if (pending.length < wanted) return end;
    if (this.#wanted === 0) this.#wanted = PREFIX_BYTES + this.#announced(pending.bytes, 0);
    if (pending.length === this.#wanted) out.push(pending.take());
    return end;
  }

  #announced(bytes: Uint8Array, at: number): number {
    let length = 0;
    for (let i = at + 1; i < at + PREFIX_BYTES; i++) length = length * 256 + (bytes[i] ?? 0);
    if (length > this.#maxBytes) throw tooLarge(this.#maxBytes, length);
    return length;
  }
}

/** For bodies that are one message: passes it on when it is whole. */
export class WholeFramer implements Framer {
  #maxBytes: number;
  readonly #pending = new GrowingBuffer();
  #only: Uint8Array | null = null;
  #length = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get partial(): boolean {
    return true;
  }

  limit(maxBytes: number): void {
    this.#maxBytes = Math.min(this.#maxBytes, maxBytes);
  }

  push(chunk: Uint8Array): void {
    this.#length += chunk.length;
    if (this.#length > this.#maxBytes) throw tooLarge(this.#maxBytes, null);
    if (this.#length === chunk.length) {
      this.#only = chunk;
      return;
    }
    if (this.#only !== null) this.#pending.append(this.#only, 0, this.#only.length, 0);
    this.#only = null;
    this.#pending.append(chunk, 0, chunk.length, 0);
  }

  end(out: Uint8Array[]): void {
    if (this.#only !== null) out.push(this.#only);
    else if (this.#pending.length > 0) out.push(this.#pending.take());
  }
}

/** Grows by doubling, so that appending stays linear and unsent bytes cost nothing. */
class GrowingBuffer {
  bytes: Uint8Array = EMPTY;
  length = 0;

  /** `wanted`: how long it will be at last, 0 for unknown. */
  append(chunk: Uint8Array, start: number, end: number, wanted: number): void {
    const length = this.length + end - start;
    if (length > this.bytes.length) {
      const doubled = Math.max(length, 2 * this.bytes.length, Math.min(wanted, FIRST_BYTES), 64);
      const grown = Buffer.allocUnsafeSlow(
        wanted === 0 ? doubled : Math.min(doubled, Math.max(wanted, length)),
      );
      grown.set(this.bytes.subarray(0, this.length));
      this.bytes = grown;
    }
    this.bytes.set(start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end), this.length);
    this.length = length;
  }

  take(): Uint8Array {
    const taken = this.bytes.subarray(0, this.length);
    this.bytes = EMPTY;
    this.length = 0;
    return taken;
  }
}

const EMPTY = new Uint8Array(0);

export function tooLarge(maxBytes: number, announced: number | null): SluiceError {
  const size = announced === null ? 'The request message' : `A request message of ${announced} bytes`;
  return new SluiceError('body_too_large', `${size} is larger than the ${maxBytes} bytes that are allowed.`);
}
