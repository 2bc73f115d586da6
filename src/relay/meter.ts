import type { Grant, Used } from '../access/limiter.ts';
import type { UpstreamHead } from '../upstream/client.ts';
import { costOf, type Usage } from './usage.ts';
import { createUsageTap, type UsageTap } from './usage-tap.ts';

type Prices = Readonly<Record<string, number>>;

const NOTHING: Used = { tokens: 0, costUsd: 0 };

/** A usage in which every price of tokens shows. */
const OF_EACH: Usage = {
  promptTokens: 3,
  completionTokens: 1,
  cachedTokens: 1,
  cacheWrittenTokens: 1,
  told: true,
};

/** What one exchange has taken of its key's limits, and what it uses; settled once, at its end. */
export class Meter {
  readonly #grant: Grant;
  readonly #limitsTokens: boolean;
  #tap: UsageTap | null = null;

  constructor(grant: Grant, { tpmLimit }: { readonly tpmLimit: number | null }) {
    this.#grant = grant;
    this.#limitsTokens = tpmLimit !== null;
  }

  /** Raw name-value pairs for the response. */
  get headers(): readonly string[] {
    return this.#grant.headers;
  }

  /** The answer begins; its bytes are read for their usage where anybody counts it. */
  begin({ status, headers }: UpstreamHead, prices: Prices, requestBytes: () => number): void {
    if (!this.#grant.counts || status >= 400) return;
    if (this.#limitsTokens || costOf(prices, OF_EACH) !== costOf(prices, null)) {
      this.#tap = createUsageTap(headers, requestBytes);
    }
  }

  /** The next bytes of the answer. */
  scan(chunk: Buffer): void {
    this.#tap?.scan(chunk);
  }

  /** The exchange is over. `prices` null: nothing of it is to be paid for. */
  settle(prices: Prices | null): void {
    const grant = this.#grant;
    if (prices === null) grant.settle(NOTHING);
    else if (this.#tap === null) grant.settle({ tokens: null, costUsd: costOf(prices, null) });
    else {
      this.#tap.end((usage) => {
        const tokens = usage === null ? null : usage.promptTokens + usage.completionTokens;
        grant.settle({ tokens, costUsd: costOf(prices, usage) });
      });
    }
  }
}

/** For what was taken too late: its request has gone. */
export function giveBack(grant: Grant): void {
  grant.settle(NOTHING);
}
