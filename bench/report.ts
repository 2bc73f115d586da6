import type { Case, Metric, Sample } from './cases/case.ts';
import type { MachineFacts } from './measure/machine.ts';
import { median } from './measure/stats.ts';
import type { PeerSamples } from './runner.ts';

/** What goes into the JSON file. */
export interface BenchReport {
  readonly date: string;
  readonly command: string;
  readonly machine: MachineFacts;
  readonly rounds: number;
  readonly isQuick: boolean;
  readonly cases: readonly CaseReport[];
}

export interface CaseReport {
  readonly name: string;
  readonly summary: string;
  readonly peers: readonly PeerReport[];
}

export interface PeerReport {
  readonly name: string;
  readonly setup: string;
  /** By metric, in the metric's unit; ratios are null where there is nothing to compare with. */
  readonly metrics: Readonly<Record<string, MetricReport>>;
  readonly samples: readonly Sample[];
}

export interface MetricReport {
  readonly median: number;
  readonly minimum: number;
  readonly maximum: number;
  readonly ratioToNginx: number | null;
  readonly ratioToDirect: number | null;
}

export function caseReport(one: Case, measured: readonly PeerSamples[]): CaseReport {
  const directSamples = measured.find(({ peer }) => peer.name === 'direct')?.samples ?? [];
  const values = measured.map(
    ({ samples }) =>
      (metric: Metric) =>
        valuesOf(metric, samples, directSamples),
  );
  const valuesOfPeer = (name: string) => values[measured.findIndex(({ peer }) => peer.name === name)];
  return {
    name: one.name,
    summary: one.summary,
    peers: measured.map(({ peer, samples }) => {
      const metrics: Record<string, MetricReport> = {};
      for (const metric of one.metrics) {
        const own = valuesOfPeer(peer.name)?.(metric) ?? [];
        if (own.length === 0) continue;
        const ratioTo = (name: string): number | null => {
          const other = valuesOfPeer(name)?.(metric) ?? [];
          return other.length === 0 ? null : median(own) / median(other);
        };
        metrics[metric.key] = {
          median: median(own),
          minimum: Math.min(...own),
          maximum: Math.max(...own),
          ratioToNginx: ratioTo('nginx'),
          ratioToDirect: ratioTo('direct'),
        };
      }
      return { name: peer.name, setup: peer.setup, metrics, samples };
    }),
  };
}

/** One value a round; none where the metric doesn't apply to the peer. */
function valuesOf(metric: Metric, samples: readonly Sample[], directSamples: readonly Sample[]): number[] {
  return samples
    .map((sample, round) => {
      if (metric.addedTo === undefined) return sample[metric.key] ?? Number.NaN;
      if (samples === directSamples) return Number.NaN;
      return (sample[metric.addedTo] ?? Number.NaN) - (directSamples[round]?.[metric.addedTo] ?? Number.NaN);
    })
    .filter((value) => !Number.isNaN(value));
}
