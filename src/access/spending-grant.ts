import type { Grant, Used } from './limiter.ts';

const NO_HEADERS: readonly string[] = [];

/** What a key without limits takes: nothing, but what it spends is told. */
export class SpendingGrant implements Grant {
  readonly headers = NO_HEADERS;
  readonly counts = true;
  readonly #id: string;
  readonly #book: { add(id: string, usd: number): void };
  #isSettled = false;

  /** @param id the key's */
  constructor(id: string, book: { add(id: string, usd: number): void }) {
    this.#id = id;
    this.#book = book;
  }

  settle({ costUsd }: Used): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#book.add(this.#id, costUsd);
  }
}
