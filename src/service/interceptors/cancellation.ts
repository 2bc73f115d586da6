import type { Interceptor } from '@connectrpc/connect';
import { abortError } from '../errors.ts';

/**
 * Connect's deadlines and shutdown do no more than abort `context.signal`. Here, in addition, the answer of a unary
 * call with a deadline doesn't wait for an implementation that heeds no signal, and a stream's wait for the next
 * request message ends when the signal aborts (`for await (const request of requests)` would go on waiting).
 */
export const cancellationInterceptor: Interceptor = (next) => (request) => {
  if (!request.stream)
    return hasDeadline(request.header) ? raced(next(request), request.signal) : next(request);
  return next({ ...request, message: new AbortableMessages(request.message, request.signal) });
};

function hasDeadline(header: Headers): boolean {
  return header.has('connect-timeout-ms') || header.has('grpc-timeout');
}

/** Settles as `promise` does, or rejects with the abort's reason, whichever comes first. */
export function raced<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(abortError(signal));
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

class AbortableMessages<T> implements AsyncIterableIterator<T> {
  readonly #inner: AsyncIterator<T>;
  readonly #signal: AbortSignal;
  #reject: ((reason: unknown) => void) | null = null;

  constructor(messages: AsyncIterable<T>, signal: AbortSignal) {
    this.#inner = messages[Symbol.asyncIterator]();
    this.#signal = signal;
    // One listener a stream, not one a message.
    signal.addEventListener('abort', () => this.#reject?.(abortError(signal)), { once: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<T>> {
    if (this.#signal.aborted) return Promise.reject(abortError(this.#signal));
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      this.#inner.next().then(resolve, reject);
    });
  }

  async return(value?: unknown): Promise<IteratorResult<T>> {
    return (await this.#inner.return?.(value)) ?? { done: true, value };
  }
}
