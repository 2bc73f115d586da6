import type { StreamResponse } from '@connectrpc/connect';
import type { BridgeResponse } from './bridge-response.ts';
import type { ErrorEncoder } from './encode-error.ts';
import type { ResponseEncoder } from './response-encoder.ts';
import { addRpcHeaders } from './rpc-headers.ts';
import type { StreamFraming } from './stream-frames.ts';

export interface StreamBodyOptions {
  readonly call: (signal: AbortSignal) => Promise<StreamResponse>;
  /** The client has gone. */
  readonly signal: AbortSignal;
  readonly framing: StreamFraming;
  readonly encoder: ResponseEncoder;
  readonly encodeError: ErrorEncoder;
  readonly headDelayMs: number;
  /** The head alone is wanted: the RPC is cancelled behind it. */
  readonly isHead: boolean;
}

/**
 * Starts a streaming RPC and waits a moment for its first message.
 * @returns the response, whose body takes a message when one is asked of it and not before
 * @throws whatever the RPC fails with before its first message
 */
export async function openStreamBody(options: StreamBodyOptions): Promise<BridgeResponse> {
  const body = new StreamBody(options);
  const header = await body.open();
  const headers = ['content-type', options.framing.contentType, 'cache-control', 'no-cache'];
  if (header !== null) addRpcHeaders(headers, header);
  if (options.isHead) await body.return();
  return {
    status: 200,
    headers,
    body,
    trailers: () => body.trailers,
    failure: () => body.failure,
  };
}

const utf8 = new TextEncoder();
const DONE = { done: true, value: undefined } as const;

type StreamMessage = StreamResponse['message'] extends AsyncIterable<infer M> ? M : never;

class StreamBody implements AsyncIterator<Uint8Array, void> {
  readonly trailers: string[] = [];
  failure: unknown = null;
  readonly #options: StreamBodyOptions;
  readonly #controller = new AbortController();
  readonly #clientGone = (): void => this.#controller.abort(this.#options.signal.reason);
  #response: StreamResponse | null = null;
  #messages: AsyncIterator<StreamMessage> | null = null;
  /** The first message, until someone takes it. */
  #first: Promise<IteratorResult<StreamMessage>> | null = null;
  #ended = false;

  constructor(options: StreamBodyOptions) {
    this.#options = options;
  }

  /** The RPC's headers, or null where it takes its time. */
  async open(): Promise<Headers | null> {
    const { signal, headDelayMs } = this.#options;
    signal.addEventListener('abort', this.#clientGone, { once: true });
    if (signal.aborted) this.#clientGone();
    try {
      this.#first = this.#start();
      // Should it fail behind the delay, whoever asks for it next hears of it.
      this.#first.catch(() => {});
      await withinDelay(this.#first, headDelayMs);
      return this.#response?.header ?? null;
    } catch (error) {
      this.#close();
      throw error;
    }
  }

  async next(): Promise<IteratorResult<Uint8Array, void>> {
    if (this.#ended) return DONE;
    try {
      const result = await this.#take();
      // Meanwhile the reader may have given up.
      if (this.#ended) return DONE;
      if (result.done !== true) {
        const { encoder, framing } = this.#options;
        return { done: false, value: utf8.encode(framing.result(encoder.json(result.value))) };
      }
      if (this.#response !== null) addRpcHeaders(this.trailers, this.#response.trailer);
      this.#close();
      return DONE;
    } catch (error) {
      if (this.#ended) return DONE;
      this.failure = error;
      this.#close();
      const { encodeError, framing } = this.#options;
      return { done: false, value: utf8.encode(framing.error(encodeError(error).error)) };
    }
  }

  /** Cancels the RPC. */
  async return(): Promise<IteratorResult<Uint8Array, void>> {
    this.#close();
    return DONE;
  }

  async #start(): Promise<IteratorResult<StreamMessage>> {
    const response = await this.#options.call(this.#controller.signal);
    this.#response = response;
    this.#messages = response.message[Symbol.asyncIterator]();
    return this.#messages.next();
  }

  #take(): Promise<IteratorResult<StreamMessage>> {
    const first = this.#first;
    this.#first = null;
    return first ?? this.#messages?.next() ?? Promise.resolve(DONE);
  }

  /** Behind a regular end the abort changes nothing; behind any other it stops the implementation. */
  #close(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#options.signal.removeEventListener('abort', this.#clientGone);
    this.#controller.abort();
    this.#messages?.return?.().catch(() => {});
  }
}

/** Resolves when the promise does or the delay is over; rejects when the promise does before. */
async function withinDelay(promise: Promise<unknown>, delayMs: number): Promise<void> {
  const { promise: over, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, delayMs);
  try {
    await Promise.race([promise, over]);
  } finally {
    clearTimeout(timer);
  }
}
