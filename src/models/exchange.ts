import type { Timeouts } from '../base/config/config.ts';
import type { UpstreamCall, UpstreamClient, UpstreamFailure, UpstreamHead } from '../upstream/client.ts';
import { joinPath, targetFrom } from '../upstream/origin.ts';

/** A request of the gateway's own to an upstream. */
export interface Question {
  readonly method: 'GET' | 'POST';
  /** Absolute URL without a trailing slash. */
  readonly apiBase: string;
  /** See `UpstreamRequest.guarded`. */
  readonly guarded: boolean;
  /** Joined with the base as on the data plane: `v1/models`, without a second `v1` where the base ends in one. */
  readonly endpoint: string;
  /** Raw name-value pairs: the credential, what is configured. */
  readonly headers: readonly string[];
  /** JSON to send. */
  readonly json?: string;
  readonly timeouts: Timeouts;
}

/** An answer, its body as it comes. */
export interface Answer {
  readonly status: number;
  /** Raw name-value pairs. */
  readonly headers: readonly string[];
  /** To be read once. Ends with the body; throws `UpstreamFailure`, or the signal's reason. */
  readonly body: AsyncIterable<Buffer>;
  /** Gives up what is not read. Harmless after the end. */
  close(): void;
}

/** So much may wait for its reader before the upstream is paused. */
const HIGH_WATER_BYTES = 64 * 1024;

/**
 * Asks, and resolves with the answer's head.
 * @throws UpstreamFailure, or the reason of `signal`, whose abort closes the connection at once
 */
export async function ask(client: UpstreamClient, question: Question, signal: AbortSignal): Promise<Answer> {
  return new Exchange(client, question, signal).answer;
}

class Exchange implements Answer {
  status = 0;
  headers: readonly string[] = [];
  readonly #signal: AbortSignal;
  readonly #call: UpstreamCall;
  readonly #head = Promise.withResolvers<Answer>();
  readonly #chunks: Buffer[] = [];
  #waitingBytes = 0;
  #over: 'no' | 'ended' | { readonly error: unknown } = 'no';
  #news: () => void = () => {};

  constructor(client: UpstreamClient, question: Question, signal: AbortSignal) {
    this.#signal = signal;
    signal.throwIfAborted();
    const { json, timeouts, method } = question;
    const { origin, path } = targetFrom(question.apiBase);
    const headers = ['Host', origin.host, 'Accept-Encoding', 'identity', ...question.headers];
    if (json !== undefined) {
      headers.push('Content-Type', 'application/json', 'Content-Length', String(Buffer.byteLength(json)));
    }
    signal.addEventListener('abort', this.#onAbort);
    this.#call = client.dispatch(
      {
        origin,
        method,
        path: joinPath(path, question.endpoint),
        headers,
        body: json === undefined ? { kind: 'none' } : { kind: 'whole', bytes: Buffer.from(json) },
        timeouts,
        upgrade: false,
        guarded: question.guarded,
      },
      {
        onHead: (head) => this.#onHead(head),
        onData: (chunk) => this.#onData(chunk),
        onEnd: () => this.#finish('ended'),
        onError: (failure) => this.#onError(failure),
        onDrain() {},
      },
    );
  }

  get answer(): Promise<Answer> {
    return this.#head.promise;
  }

  get body(): AsyncIterable<Buffer> {
    return this.#read();
  }

  close(): void {
    this.#call.abort();
    this.#finish('ended');
  }

  async *#read(): AsyncGenerator<Buffer, void, undefined> {
    try {
      for (;;) {
        const chunk = this.#chunks.shift();
        if (chunk !== undefined) {
          this.#waitingBytes -= chunk.length;
          if (this.#waitingBytes === 0) this.#call.resume();
          yield chunk;
        } else if (this.#over === 'no') {
          await new Promise<void>((resolve) => {
            this.#news = resolve;
          });
        } else if (this.#over === 'ended') {
          return;
        } else throw this.#over.error;
      }
    } finally {
      this.close();
    }
  }

  #onHead(head: UpstreamHead): void {
    this.status = head.status;
    this.headers = head.headers;
    this.#head.resolve(this);
  }

  #onData(chunk: Buffer): boolean {
    this.#chunks.push(Buffer.from(chunk));
    this.#waitingBytes += chunk.length;
    this.#news();
    return this.#waitingBytes < HIGH_WATER_BYTES;
  }

  #onError(failure: UpstreamFailure): void {
    this.#finish({ error: failure });
    this.#head.reject(failure);
  }

  readonly #onAbort = () => {
    const { reason } = this.#signal;
    this.#call.abort();
    this.#chunks.length = 0;
    this.#finish({ error: reason });
    this.#head.reject(reason);
  };

  #finish(how: 'ended' | { readonly error: unknown }): void {
    if (this.#over !== 'no') return;
    this.#over = how;
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.#news();
  }
}

/**
 * Reads a whole body as UTF-8 text.
 * @returns null when it is longer than `maxBytes`; the rest is given up then
 */
export async function textOf(answer: Answer, maxBytes: number): Promise<string | null> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of answer.body) {
    length += chunk.length;
    if (length > maxBytes) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** A header's value, the first one; null where there is none. */
export function headerOf(answer: Answer, name: string): string | null {
  const { headers } = answer;
  for (let index = 0; index < headers.length; index += 2) {
    if (headers[index]?.toLowerCase() === name) return headers[index + 1] ?? null;
  }
  return null;
}
