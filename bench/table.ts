import type { Case, Metric } from './cases/case.ts';
import type { MachineFacts } from './measure/machine.ts';
import { median } from './measure/stats.ts';
import type { Options } from './options.ts';
import type { CaseReport, MetricReport } from './report.ts';
import type { PeerSamples } from './runner.ts';

/** The case as a table for a terminal; lines without a line feed at the end. */
export function caseTable(one: Case, report: CaseReport): string {
  const header = ['', '', 'median', '× nginx', '× direct', 'from … to'];
  const rows = one.metrics.flatMap((metric) =>
    report.peers
      .filter((peer) => peer.metrics[metric.key] !== undefined)
      .map((peer, i) => [
        i === 0 ? `${metric.label} (${metric.better} is better)` : '',
        peer.name,
        ...cells(metric, peer.metrics[metric.key]),
      ]),
  );
  const lines = alignColumns([header, ...rows]).map((line) => `  ${line}`.trimEnd());
  return [`${one.name}: ${one.summary}`, ...lines, ...warnings(report)].join('\n');
}

function cells(metric: Metric, value: MetricReport | undefined): string[] {
  if (value === undefined) return [];
  const number = (n: number): string =>
    n.toLocaleString('en', { minimumFractionDigits: metric.digits, maximumFractionDigits: metric.digits });
  // A ratio of two differences, or to a difference of almost nothing, says nothing.
  const ratio = (n: number | null): string =>
    n === null || metric.addedTo !== undefined ? '' : n.toFixed(2);
  return [
    number(value.median),
    ratio(value.ratioToNginx),
    ratio(value.ratioToDirect),
    `${number(value.minimum)} … ${number(value.maximum)}`,
  ];
}

/** A core that others worked on makes delays and requests/s meaningless, and CPU numbers worse than they are. */
function warnings(report: CaseReport): string[] {
  return report.peers.flatMap(({ name, samples }) => {
    const foreign = median(samples.map((sample) => sample.foreignBusyPercent ?? Number.NaN));
    return foreign > 10
      ? [`  ! others used ${foreign.toFixed(0)} % of the proxy's core while ${name} was measured`]
      : [];
  });
}

export function profileTable(name: string, measured: PeerSamples): string {
  const rows = (measured.profile ?? []).map((one) => [
    `${one.sharePercent.toFixed(1)} %`,
    one.name,
    one.place,
  ]);
  const lines = alignColumns([['self', 'function', 'where'], ...rows], 1);
  return [`${name}: ${measured.peer.name}, self time of the main thread when busy`, ...lines]
    .map((line, i) => (i === 0 ? line : `  ${line.trimEnd()}`))
    .join('\n');
}

/** The first two columns flush left and the numbers flush right, or what `leftFrom` says otherwise. */
function alignColumns(rows: readonly (readonly string[])[], leftFrom?: number): string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length)),
  );
  return rows.map((row) =>
    widths
      .map((width, column) => {
        const cell = row[column] ?? '';
        const isLeft = leftFrom === undefined ? column < 2 : column >= leftFrom;
        return isLeft ? cell.padEnd(width) : cell.padStart(width);
      })
      .join('  '),
  );
}

export function machineLine(machine: MachineFacts, options: Options, date: string): string {
  const peersThere = [
    machine.nginxVersion === null ? [] : `nginx ${machine.nginxVersion}`,
    options.peers.some(({ name }) => name === 'haproxy') ? `haproxy ${machine.haproxyVersion}` : [],
  ].flat();
  return [
    date.slice(0, 16).replace('T', ' '),
    `commit ${machine.commit ?? 'unknown'}`,
    `${machine.cores} cores (${machine.cpuModel})`,
    `Linux ${machine.kernel}`,
    `Node ${machine.nodeVersion}`,
    ...peersThere,
    `load average ${machine.loadAverage1Min}`,
  ].join(', ');
}
