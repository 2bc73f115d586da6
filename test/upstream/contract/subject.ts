import type { LookupFunction } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import type { UpstreamClient } from '../../../src/upstream/client.ts';

export interface ClientOptions {
  readonly ca?: string | Buffer;
  readonly verifyTls?: boolean;
  readonly lookup?: LookupFunction;
}

/** A client that is held to the contract. */
export interface Subject {
  readonly create: (options?: ClientOptions) => UpstreamClient;
  /** By a row's sentence: what this client does where it can't hold the row. */
  readonly gaps: ReadonlyMap<string, Gap>;
}

export interface Gap {
  /** What happens instead, as a sentence. */
  readonly instead: string;
  /** Shows it. */
  readonly run: (client: UpstreamClient) => Promise<void>;
}

/** Registers the contract's rows for one subject; a row that it can't hold is replaced by the test of its gap. */
export class Rows {
  readonly #subject: Subject;
  readonly #names = new Set<string>();

  constructor(subject: Subject) {
    this.#subject = subject;
  }

  /** A row of the contract: what every client does. */
  readonly row = (name: string, run: (client: UpstreamClient) => Promise<void>): void => {
    if (this.#names.has(name)) throw new Error(`two rows are called ${JSON.stringify(name)}`);
    this.#names.add(name);
    const gap = this.#subject.gaps.get(name);
    if (gap === undefined) test(name, () => run(this.client()));
    else test(`known gap: ${gap.instead}`, () => gap.run(this.client()));
  };

  /** A client that is closed when the test is over. */
  readonly client = (options?: ClientOptions): UpstreamClient => {
    const client = this.#subject.create(options);
    onTestFinished(() => client.close());
    return client;
  };

  /** A gap without a row would hide that the row is gone or renamed. */
  checkGaps(): void {
    test('has a row for each of its known gaps', () => {
      expect([...this.#subject.gaps.keys()].filter((name) => !this.#names.has(name))).toEqual([]);
    });
  }
}
