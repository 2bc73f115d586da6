import type { IncomingMessage } from 'node:http';
import { Gone } from './reply.ts';

/**
 * How an exchange ended, or `open`. `aborted`: the client left before it had the whole answer. `broken`: the
 * simulator broke the answer off, as a fault or a script told it to.
 */
export type Outcome = 'open' | 'answered' | 'aborted' | 'broken';

/** One request as it arrived, for tests to look at while it runs and afterwards. */
export class RecordedRequest {
  /** Counts from 1 in the order of arrival. */
  readonly id: number;
  readonly method: string;
  /** The request target as it stood in the request line. */
  readonly url: string;
  readonly httpVersion: string;
  /** Name-value pairs as they arrived: case, order and duplicates kept. */
  readonly rawHeaders: readonly string[];
  readonly arrivedAtMs: number = performance.now();
  /** Resolves with the outcome once there is one. */
  readonly ended: Promise<Exclude<Outcome, 'open'>>;
  /** The request has arrived to its last byte. */
  complete = false;
  /** Raw name-value pairs behind a chunked body. */
  rawTrailers: readonly string[] = [];
  #outcome: Outcome = 'open';
  #abortedAtMs: number | null = null;
  readonly #end: (outcome: Exclude<Outcome, 'open'>) => void;
  readonly #chunks: Buffer[] = [];
  readonly #message: IncomingMessage;
  readonly #changed: () => void;
  #reading: Promise<Buffer> | null = null;

  /** @param changed told of each piece of the body that has been read. */
  constructor(id: number, message: IncomingMessage, changed: () => void) {
    const ended = Promise.withResolvers<Exclude<Outcome, 'open'>>();
    this.ended = ended.promise;
    this.#end = ended.resolve;
    this.id = id;
    this.#message = message;
    this.#changed = changed;
    this.method = message.method ?? '';
    this.url = message.url ?? '';
    this.httpVersion = message.httpVersion;
    this.rawHeaders = [...message.rawHeaders];
    // An abort is seen on the socket; without a listener it would also be an uncaught error here.
    message.on('error', () => {});
  }

  get outcome(): Outcome {
    return this.#outcome;
  }

  get aborted(): boolean {
    return this.#outcome === 'aborted';
  }

  /** When the client was seen to have left, on the clock of `performance.now()`. */
  get abortedAtMs(): number | null {
    return this.#abortedAtMs;
  }

  /** Gives the exchange its outcome; the first one stays. */
  settle(outcome: Exclude<Outcome, 'open'>): void {
    if (this.#outcome !== 'open') return;
    this.#outcome = outcome;
    if (outcome === 'aborted') this.#abortedAtMs = performance.now();
    this.#end(outcome);
  }

  /** The path without the query. */
  get path(): string {
    return this.url.split('?', 1)[0] ?? '';
  }

  /** The body's bytes, as many as have been read. */
  get body(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  /** The first header of that name (any case), or undefined. */
  header(name: string): string | undefined {
    return this.headers(name)[0];
  }

  /** The values of every header of that name (any case), in order. */
  headers(name: string): readonly string[] {
    const wanted = name.toLowerCase();
    return this.rawHeaders.filter(
      (_, index) => index % 2 === 1 && this.rawHeaders[index - 1]?.toLowerCase() === wanted,
    );
  }

  /**
   * Reads the body to its end. Nothing is read before the first call, so that a script can leave an upload in
   * the pipe.
   *
   * @throws Gone when the client leaves before the end.
   */
  whole(): Promise<Buffer> {
    this.#reading ??= new Promise((resolve, reject) => {
      this.#message.on('data', (chunk: Buffer) => {
        this.#chunks.push(chunk);
        this.#changed();
      });
      this.#message.on('end', () => {
        this.complete = true;
        this.rawTrailers = [...this.#message.rawTrailers];
        this.#changed();
        resolve(this.body);
      });
      this.#message.on('close', () => reject(new Gone()));
    });
    return this.#reading;
  }
}
