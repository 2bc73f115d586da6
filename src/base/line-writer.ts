import { write } from 'node:fs';

export interface LineWriterOptions {
  readonly fd: number;
  /** Lines wait at most this long to be written with others. */
  readonly flushIntervalMs: number;
  /** What may wait while the reader of the file descriptor doesn't read; beyond it lines are dropped and counted. */
  readonly maxPendingBytes: number;
  /**
   * Other processes write to the same pipe: pieces are then small enough for the kernel not to cut them (PIPE_BUF,
   * POSIX `write`), and end where a line ends, so that no line is torn by another. A single longer line may be.
   */
  readonly isShared?: boolean;
}

const PIECE_BYTES = 64 * 1024;
const SHARED_PIECE_BYTES = 4 * 1024;

/** A reader that is not ready: try again a little later. */
const RETRY_MS = 50;

/**
 * Writes log lines in large pieces off the event loop. Does what pino's own destination does, with less a line,
 * because a request's line is on the relay's hot path: the text becomes bytes at once, so that no collection of
 * garbage has to carry waiting strings along.
 */
export class LineWriter {
  readonly #options: LineWriterOptions;
  readonly #pieceBytes: number;
  #piece: Buffer;
  #used = 0;
  /** Full pieces in their order; the first one is being written. */
  #queue: Buffer[] = [];
  #queuedBytes = 0;
  #writing = false;
  #dropped = 0;
  #timer: NodeJS.Timeout | null = null;
  #whenDone: (() => void)[] = [];

  constructor(options: LineWriterOptions) {
    this.#options = options;
    this.#pieceBytes = options.isShared === true ? SHARED_PIECE_BYTES : PIECE_BYTES;
    this.#piece = Buffer.allocUnsafeSlow(this.#pieceBytes);
  }

  /** Lines lost because nobody read them. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Takes one line with its line end; pino calls this. */
  write(line: string): void {
    if (this.#queuedBytes > this.#options.maxPendingBytes) {
      this.#dropped++;
      return;
    }
    // UTF-8 takes three bytes a UTF-16 unit at most.
    if (this.#used + line.length * 3 > this.#pieceBytes) this.#rotate();
    if (line.length * 3 > this.#pieceBytes) this.#enqueue(Buffer.from(line));
    else {
      this.#used += this.#piece.write(line, this.#used);
      this.#timer ??= setTimeout(() => this.#rotate(), this.#options.flushIntervalMs).unref();
    }
  }

  /** Resolves when everything taken so far has been written or given up; before the process ends. */
  flush(): Promise<void> {
    this.#rotate();
    return new Promise((resolve) => {
      this.#whenDone.push(resolve);
      this.#writeNext();
    });
  }

  #rotate(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#used === 0) return;
    const full = this.#piece.subarray(0, this.#used);
    this.#piece = Buffer.allocUnsafeSlow(this.#pieceBytes);
    this.#used = 0;
    this.#enqueue(full);
  }

  #enqueue(bytes: Buffer): void {
    this.#queue.push(bytes);
    this.#queuedBytes += bytes.length;
    this.#writeNext();
  }

  #writeNext(): void {
    if (this.#writing) return;
    const [bytes] = this.#queue;
    if (bytes === undefined) {
      for (const done of this.#whenDone.splice(0)) done();
      return;
    }
    this.#writing = true;
    write(this.#options.fd, bytes, 0, bytes.length, null, (error, written) => {
      this.#writing = false;
      if (error !== null && isNotReady(error)) {
        setTimeout(() => this.#writeNext(), RETRY_MS);
        return;
      }
      // Any other error (a closed pipe, a full disk) loses this piece: a gateway doesn't stop for its log.
      const taken = error === null ? written : bytes.length;
      this.#queuedBytes -= taken;
      if (taken < bytes.length) this.#queue[0] = bytes.subarray(taken);
      else this.#queue.shift();
      this.#writeNext();
    });
  }
}

function isNotReady(error: NodeJS.ErrnoException): boolean {
  return error.code === 'EAGAIN' || error.code === 'EBUSY';
}
