/** The middle value (the mean of the two middle ones of an even number); NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  const lower = sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN;
  return (upper + lower) / 2;
}

export interface Delays {
  readonly count: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
  readonly maxUs: number;
}

/** Every single delay of a window: the tail is the question, so nothing is put into buckets. */
export class DelayRecorder {
  readonly #delaysUs: number[] = [];

  add(delayUs: number): void {
    this.#delaysUs.push(delayUs);
  }

  summary(): Delays {
    const sorted = Float64Array.from(this.#delaysUs).sort();
    const quantile = (share: number): number =>
      sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
    return {
      count: sorted.length,
      p50Us: quantile(0.5),
      p99Us: quantile(0.99),
      p999Us: quantile(0.999),
      maxUs: quantile(1),
    };
  }
}
