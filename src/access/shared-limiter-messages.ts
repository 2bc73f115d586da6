import type { Reason } from '../base/errors.ts';
import type { LimitedKey } from './limit-answers.ts';

/** From a process that asks: all that happened in one turn of its event loop, in order. */
export interface Batch {
  /** What the takes refer to by position, each key once. */
  readonly keys: readonly LimitedKey[];
  readonly steps: readonly Step[];
  /** A number to be sent back once all of this is counted; null: none. */
  readonly receipt: number | null;
}

/** Takes are numbered by the one that asks. */
export type Step =
  | readonly ['take', take: number, keyAt: number]
  | readonly ['settle', take: number, tokens: number | null, costUsd: number]
  | readonly ['spend', keyId: string, usd: number];

/** From the process that counts. */
export interface Answers {
  readonly answers: readonly Answer[];
  readonly receipt: number | null;
}

export type Answer =
  | readonly ['granted', take: number, counts: boolean, headers: readonly string[]]
  | readonly ['refused', take: number, reason: Reason, message: string, headers: readonly string[]];
