import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { cases, casesNamed } from './cases/all.ts';
import type { Case } from './cases/case.ts';
import { defaultPeerNames, peers } from './peers/all.ts';
import type { Peer } from './peers/peer.ts';

export interface Options {
  readonly cases: readonly Case[];
  readonly peers: readonly Peer[];
  readonly rounds: number;
  /** Null: each case's own. */
  readonly measureMs: number | null;
  readonly isQuick: boolean;
  readonly jsonFile: string | null;
  readonly proxyCommand: readonly string[];
  readonly nodeFlags: readonly string[];
  readonly isProfiling: boolean;
  readonly niceness: number;
}

export const help = `Usage: npm run bench [-- OPTIONS]

  --case NAME[,NAME]    which cases (repeatable; names may also stand alone); default: all
                        ${cases.map((one) => one.name).join(', ')}
  --peers NAME[,NAME]   whom to measure; default: ${defaultPeerNames.join(',')}
                        also there: ${peers.flatMap(({ name }) => (defaultPeerNames.includes(name) ? [] : [name])).join(', ')}
  --runs N              rounds, of which the median counts; default 3
  --duration S          seconds of each measured window; default 1.5 to 3, as the case needs
  --quick               0.6 s windows, fewer cases and idle streams, no node-pipe: under 90 s, for orientation
  --json FILE           where the results go; default bench/results/<date>.json
  --proxy-cmd COMMAND   the gateway's command line, to which --config FILE --port P is added;
                        default: "node bin/sluice.js", or "node src/cli/main.ts" where that isn't there
  --node-flags FLAGS    for the proxies that run on Node: --node-flags=--max-semi-space-size=32
  --profile             run Node proxies with --cpu-prof and print their costliest functions
  --nice=N              priority of everything measured, as root: --nice=-10 on a machine with other work
  --help
`;

/** @throws an Error with one line for the user */
export function parseOptions(args: readonly string[]): Options | 'help' {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      case: { type: 'string', multiple: true, default: [] },
      peers: { type: 'string', multiple: true, default: [] },
      runs: { type: 'string', default: '3' },
      duration: { type: 'string' },
      quick: { type: 'boolean', default: false },
      json: { type: 'string' },
      'proxy-cmd': { type: 'string' },
      'node-flags': { type: 'string', default: '' },
      profile: { type: 'boolean', default: false },
      nice: { type: 'string', default: '0' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return 'help';
  const caseNames = words([...values.case, ...positionals], ',');
  const peerNames = words(values.peers, ',');
  const quickPeers = defaultPeerNames.filter((name) => name !== 'node-pipe');
  return {
    cases: caseNames.length === 0 ? defaultCases(values.quick) : unique(caseNames.flatMap(caseFrom)),
    peers: unique(
      (peerNames.length > 0 ? peerNames : values.quick ? quickPeers : defaultPeerNames).map(peerFrom),
    ),
    rounds: positive('--runs', values.runs),
    measureMs: values.duration === undefined ? null : positive('--duration', values.duration) * 1e3,
    isQuick: values.quick,
    jsonFile: values.json ?? null,
    proxyCommand: words([values['proxy-cmd'] ?? defaultProxyCommand()], ' '),
    nodeFlags: words([values['node-flags']], ' '),
    isProfiling: values.profile,
    niceness: Math.trunc(Number(values.nice)) || 0,
  };
}

/** Those of the quick run answer the questions that a change is likely to be about. */
function defaultCases(isQuick: boolean): readonly Case[] {
  const skipped = ['relay-paced', 'upload-json', 'latency-500'];
  return isQuick ? cases.filter(({ name }) => !skipped.includes(name)) : cases;
}

function caseFrom(name: string): readonly Case[] {
  const found = casesNamed(name);
  if (found.length === 0) {
    throw new Error(`no case ${name}; there are ${cases.map((one) => one.name).join(', ')}`);
  }
  return found;
}

function peerFrom(name: string): Peer {
  const found = peers.find((peer) => peer.name === name);
  if (found === undefined) {
    throw new Error(`no peer ${name}; there are ${peers.map((peer) => peer.name).join(', ')}`);
  }
  return found;
}

function defaultProxyCommand(): string {
  return existsSync('bin/sluice.js') ? 'node bin/sluice.js' : 'node src/cli/main.ts';
}

function positive(option: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`${option}: not a positive number: ${text}`);
  return value;
}

function words(texts: readonly string[], separator: string): string[] {
  return texts.flatMap((text) => text.split(separator)).filter(Boolean);
}

function unique<T>(values: readonly T[]): readonly T[] {
  return [...new Set(values)];
}
