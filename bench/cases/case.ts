import type { Laboratory } from '../load/laboratory.ts';
import type { Subject } from '../measure/window.ts';

/** One thing to know about a proxy. `measure` takes one sample of one peer; the runner takes the rounds and medians. */
export interface Case {
  readonly name: string;
  readonly summary: string;
  readonly metrics: readonly Metric[];
  /** Start a peer anew for each round: for memory, where a second round would reuse what the first one took. */
  readonly isFreshEachRound: boolean;
  /** How long one window takes by default; null where the case has no window of a given length. */
  readonly measureMs: number | null;
  measure(setting: Setting): Promise<Sample>;
}

export interface Setting {
  readonly laboratory: Laboratory;
  readonly port: number;
  /** Null for the direct call. */
  readonly subject: Subject | null;
  /** Longer for a peer's first round, until its just-in-time compiler is done. */
  readonly warmUpMs: number;
  readonly measureMs: number;
  readonly isQuick: boolean;
  /** Says which span a profile should be cut to, on the monotonic clock. */
  reportSpan(startUs: number, endUs: number): void;
}

/** By metric key. NaN: does not apply to this peer (CPU of the direct call). More keys than metrics may be there. */
export type Sample = Readonly<Record<string, number>>;

export interface Metric {
  /** With its unit, as in the JSON: `cpuUsPerRequest`. */
  readonly key: string;
  readonly label: string;
  readonly better: 'lower' | 'higher';
  readonly digits: number;
  /** Report the difference to the direct call's sample of the same round and this key, instead of a sample. */
  readonly addedTo?: string;
}

/** What every case with a window records beside its own metrics. */
export function loadSample(window: {
  readonly proxyBusyPercent: number;
  readonly foreignBusyPercent: number;
}): Sample {
  return { proxyBusyPercent: window.proxyBusyPercent, foreignBusyPercent: window.foreignBusyPercent };
}
