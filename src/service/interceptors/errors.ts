import type { ConnectError, ContextValues, Interceptor } from '@connectrpc/connect';
import { callKey } from '../call.ts';
import { connectErrorFrom } from '../errors.ts';

/** Outermost: whatever is thrown further in, at once or within a stream, leaves as a ConnectError. */
export const errorInterceptor: Interceptor = (next) => async (request) => {
  const { contextValues, signal } = request;
  try {
    const response = await next(request);
    if (!response.stream) return response;
    return { ...response, message: new MappedMessages(response.message, contextValues, signal) };
  } catch (thrown) {
    throw noteFailure(contextValues, connectErrorFrom(thrown, signal));
  }
};

/** Keeps what a call failed with for its record. */
export function noteFailure(values: ContextValues, error: ConnectError): ConnectError {
  const call = values.get(callKey);
  if (call !== null) call.failure ??= error;
  return error;
}

/** A class rather than a generator: a stream of many small messages pays for each layer with every one. */
class MappedMessages<T> implements AsyncIterableIterator<T> {
  readonly #inner: AsyncIterator<T>;
  readonly #values: ContextValues;
  readonly #signal: AbortSignal;
  readonly #fail: (thrown: unknown) => never;

  constructor(messages: AsyncIterable<T>, values: ContextValues, signal: AbortSignal) {
    this.#inner = messages[Symbol.asyncIterator]();
    this.#values = values;
    this.#signal = signal;
    this.#fail = (thrown) => {
      throw noteFailure(this.#values, connectErrorFrom(thrown, this.#signal));
    };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<T>> {
    return this.#inner.next().catch(this.#fail);
  }

  async return(value?: unknown): Promise<IteratorResult<T>> {
    return (await this.#inner.return?.(value)) ?? { done: true, value };
  }

  async throw(reason?: unknown): Promise<IteratorResult<T>> {
    if (this.#inner.throw === undefined) throw reason;
    return this.#inner.throw(reason).catch(this.#fail);
  }
}
