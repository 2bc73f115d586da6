import type { IncomingMessage } from 'node:http';
import { type Outcome, RecordedRequest } from './record.ts';
import type { Watch } from './watch.ts';

/** Which requests a wait is about: a path (without query), or any question about the request. */
export type RequestMatch = string | ((request: RecordedRequest) => boolean);

export interface WaitOptions {
  /** When to give up, default 5,000. */
  readonly timeoutMs?: number;
}

/** Everything that arrived, and the waits of the tests for more. */
export class RequestLog {
  readonly requests: RecordedRequest[] = [];
  readonly #active = new Set<RecordedRequest>();
  readonly #watch: Watch;
  readonly #limit: number;
  #count = 0;

  /** @param limit how many finished requests are kept. */
  constructor(watch: Watch, limit: number) {
    this.#watch = watch;
    this.#limit = limit;
  }

  /** Requests without an outcome yet. */
  get active(): number {
    return this.#active.size;
  }

  add(message: IncomingMessage): RecordedRequest {
    this.#count += 1;
    const request = new RecordedRequest(this.#count, message, () => this.#watch.changed());
    this.requests.push(request);
    this.#active.add(request);
    this.#watch.changed();
    return request;
  }

  /** Gives an exchange its outcome; the first one stays. */
  settle(request: RecordedRequest, outcome: Exclude<Outcome, 'open'>): void {
    if (!this.#active.delete(request)) return;
    request.settle(outcome);
    while (this.requests.length - this.#active.size > this.#limit) this.#forgetOldest();
    this.#watch.changed();
  }

  /** Resolves with the first request that matches, past or future. */
  waitFor(what: string, match: RequestMatch, options: WaitOptions): Promise<RecordedRequest> {
    const matches = typeof match === 'string' ? (request: RecordedRequest) => request.path === match : match;
    const seen = () => this.requests.map((one) => `${one.method} ${one.url} (${one.outcome})`).join(', ');
    return this.#watch.until(
      () => this.requests.find(matches),
      () => `${what}${typeof match === 'string' ? ` on ${match}` : ''}; there were: ${seen() || 'none'}`,
      options.timeoutMs,
    );
  }

  #forgetOldest(): void {
    const oldest = this.requests.findIndex((request) => request.outcome !== 'open');
    this.requests.splice(oldest, 1);
  }
}
