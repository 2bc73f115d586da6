/**
 * `npm run bench`: measures the gateway against nginx and the direct call, in one run, case by case.
 * What is measured and how is in docs/performance.md; `npm run bench -- --help` lists the options.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Laboratory } from './load/laboratory.ts';
import { Children } from './measure/children.ts';
import { machineFacts, planCores } from './measure/machine.ts';
import { help, type Options, parseOptions } from './options.ts';
import { type BenchReport, caseReport } from './report.ts';
import { runCase } from './runner.ts';
import { caseTable, machineLine, profileTable } from './table.ts';

async function bench(options: Options, children: Children, directory: string): Promise<BenchReport> {
  const date = new Date().toISOString();
  const machine = machineFacts();
  const cores = planCores();
  console.log(machineLine(machine, options, date));
  console.log(
    cores.proxyCore === null
      ? '! nothing is pinned: that takes two cores and taskset; the ratios below are only a hint'
      : `proxy on core ${cores.proxyCore}, load generator and upstream on core ${cores.loadCore}`,
  );
  if (options.isProfiling) console.log('! profiling costs time of its own: compare functions, not totals');
  for (const peer of options.peers) console.log(`  ${peer.name}: ${peer.setup}`);

  const laboratory = await Laboratory.open(children, cores.loadCore);
  const reports = [];
  for (const one of options.cases) {
    const measured = await runCase({ options, children, laboratory, cores, directory }, one);
    const report = caseReport(one, measured);
    reports.push(report);
    console.log(`\n${caseTable(one, report)}`);
    for (const peer of measured) {
      if (peer.profile !== null) console.log(`\n${profileTable(one.name, peer)}`);
    }
  }
  const command = [
    'npm run bench',
    ...(process.argv.length > 2 ? ['--'] : []),
    ...process.argv.slice(2),
  ].join(' ');
  return { date, command, machine, rounds: options.rounds, isQuick: options.isQuick, cases: reports };
}

function writeReport(report: BenchReport, file: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
  console.log(`\nwritten to ${file}`);
}

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  if (options === 'help') {
    console.log(help);
    return;
  }
  const directory = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
  const children = new Children(directory, options.niceness);
  process.on('exit', () => {
    children.killAll();
    rmSync(directory, { recursive: true, force: true });
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
  try {
    const report = await bench(options, children, directory);
    const stamp = report.date.slice(0, 19).replaceAll(':', '-');
    writeReport(report, options.jsonFile ?? join(import.meta.dirname, 'results', `${stamp}.json`));
  } finally {
    await children.stopAll();
  }
}

main().catch((error: unknown) => {
  console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
});
