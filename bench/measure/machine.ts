import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';

/** Where the processes of a measurement run; null when there is only one core, or no taskset, to pin them with. */
export interface CorePlan {
  readonly loadCore: number | null;
  readonly proxyCore: number | null;
}

/** Of the cores that this process may use, the first for the load and the second for the proxy. */
export function planCores(): CorePlan {
  const allowed = /^Cpus_allowed_list:\s*(.+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '';
  const cores = allowed.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
  const [loadCore, proxyCore] = cores;
  if (loadCore === undefined || proxyCore === undefined || versionOf('taskset', '--version') === null) {
    return { loadCore: null, proxyCore: null };
  }
  return { loadCore, proxyCore };
}

export interface MachineFacts {
  readonly cpuModel: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly nodeVersion: string;
  readonly nginxVersion: string | null;
  readonly haproxyVersion: string | null;
  /** Of this repository, with `+` when files differ from the commit; null outside a checkout. */
  readonly commit: string | null;
  /** Others' work on the machine when the run began. */
  readonly loadAverage1Min: number;
}

export function machineFacts(): MachineFacts {
  const isModified = (output('git', ['status', '--porcelain', '--untracked-files=no']) ?? '') !== '';
  const commit = output('git', ['rev-parse', '--short', 'HEAD']);
  return {
    cpuModel: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    nodeVersion: process.version,
    nginxVersion: versionOf('nginx', '-v'),
    haproxyVersion: versionOf('haproxy', '-v'),
    commit: commit === null ? null : commit + (isModified ? '+' : ''),
    loadAverage1Min: Math.round((loadavg()[0] ?? 0) * 100) / 100,
  };
}

/** The first thing in a program's version message that looks like a version; null when it isn't installed. */
export function versionOf(program: string, flag: string): string | null {
  const text = output(program, [flag]);
  return text === null ? null : (/\d+(?:\.\d+)+/.exec(text)?.[0] ?? text);
}

/** nginx prints its version to standard error, others to standard output. */
function output(program: string, args: readonly string[]): string | null {
  const result = spawnSync(program, args, { encoding: 'utf8' });
  return result.error === undefined && result.status === 0 ? (result.stdout + result.stderr).trim() : null;
}
