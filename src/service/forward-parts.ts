import type { HttpHeader, HttpRequestHead } from '../../gen/sluice/v1/passthrough_pb.ts';
import type { ForwardRequest } from '../../gen/sluice/v1/passthrough_service_pb.ts';
import type { Limits } from '../base/config/config.ts';
import { SluiceError } from '../base/errors.ts';
import type { RequestPart, RequestParts } from '../relay/message-downstream.ts';
import { screenTrailers } from '../relay/request-screen.ts';
import { abortError } from './errors.ts';

/** By when something must have come. */
export interface Due {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
}

/** The messages of a Forward call: the head once, then chunks, trailers last. */
export class ForwardParts implements RequestParts {
  readonly #messages: AsyncIterator<ForwardRequest>;
  readonly #limits: Limits;
  #first: RequestPart | null = null;
  #hasTrailers = false;

  constructor(messages: AsyncIterable<ForwardRequest>, limits: Limits) {
    this.#messages = messages[Symbol.asyncIterator]();
    this.#limits = limits;
  }

  /** @throws SluiceError `invalid_request` when the first message is another, `request_timeout` when none comes */
  async readHead(due: Due): Promise<HttpRequestHead> {
    const { done, value } = await inTime(this.#messages.next(), due, 'The head');
    if (done !== true && value.part.case === 'head') return value.part.value;
    throw new SluiceError('invalid_request', 'The first message must have the head.', { param: 'head' });
  }

  /** Looks ahead whether the client has closed its side without a byte of body. Nothing is lost if not. */
  async isEmpty(due: Due): Promise<boolean> {
    do {
      this.#first = await inTime(this.#read(), due, 'A body, or the end of the call on its side,');
    } while (this.#first.kind === 'chunk' && this.#first.bytes.length === 0);
    return this.#first.kind === 'end';
  }

  async next(): Promise<RequestPart> {
    const first = this.#first;
    this.#first = null;
    return first ?? this.#read();
  }

  async #read(): Promise<RequestPart> {
    const { done, value } = await this.#messages.next();
    if (done === true) return END;
    const { part } = value;
    if (this.#hasTrailers) throw outOfOrder(part.case ?? 'message', 'behind the trailers');
    switch (part.case) {
      case 'chunk': {
        const { buffer, byteOffset, length } = part.value;
        return { kind: 'chunk', bytes: Buffer.from(buffer, byteOffset, length) };
      }
      case 'trailers': {
        const headers = rawPairs(part.value.headers);
        const fault = screenTrailers(headers, this.#limits);
        if (fault !== null) throw fault;
        this.#hasTrailers = true;
        return { kind: 'trailers', headers };
      }
      case 'head':
        throw outOfOrder('head', 'behind the first message');
      case undefined:
        throw new SluiceError('invalid_request', 'A message has neither chunk nor trailers.');
    }
  }
}

/** As raw name-value pairs. */
export function rawPairs(headers: readonly HttpHeader[]): string[] {
  const pairs: string[] = [];
  for (const { name, value } of headers) pairs.push(name, value);
  return pairs;
}

const END: RequestPart = { kind: 'end' };

function outOfOrder(what: string, where: string): SluiceError {
  return new SluiceError('invalid_request', `A ${what} came ${where}.`, { param: what });
}

/** A call that says nothing holds a stream and buffers: it is cut like a connection that sends no head. */
function inTime<T>(promise: Promise<T>, { signal, timeoutMs }: Due, what: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      const limit = `${timeoutMs / 1000} s (header_timeout)`;
      reject(new SluiceError('request_timeout', `${what} did not come in ${limit}.`));
    }, timeoutMs);
    const onAbort = (): void => reject(abortError(signal));
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    });
  });
}
