/** What the kernel knows of a process and its descendants, read from /proc (Linux only). */
import { readdirSync, readFileSync } from 'node:fs';

/** `root` and all its descendants: nginx's workers, a launcher's server, a cluster's members. */
export function processTree(root: number): number[] {
  const pids = [root];
  for (const pid of pids) {
    for (const task of threads(pid)) {
      const children = read(`/proc/${pid}/task/${task}/children`) ?? '';
      pids.push(...children.split(' ').filter(Boolean).map(Number));
    }
  }
  return pids;
}

/**
 * CPU time of all threads, user and system, in microseconds. `schedstat` counts nanoseconds where `stat` has ticks
 * of 10 ms; a thread that ended takes its time with it, which the few long-lived threads of a proxy don't.
 */
export function cpuUs(pids: readonly number[]): number {
  let totalNs = 0;
  for (const pid of pids) {
    for (const task of threads(pid)) {
      totalNs += Number((read(`/proc/${pid}/task/${task}/schedstat`) ?? '0').split(' ')[0]);
    }
  }
  return totalNs / 1e3;
}

/** Resident memory in KiB; `smaps_rollup` is exact where VmRSS may lag by some pages for each thread. */
export function rssKiB(pids: readonly number[]): number {
  let total = 0;
  for (const pid of pids) {
    const rollup = read(`/proc/${pid}/smaps_rollup`) ?? read(`/proc/${pid}/status`) ?? '';
    total += Number(/^(?:Rss|VmRSS):\s+(\d+) kB/m.exec(rollup)?.[1] ?? Number.NaN);
  }
  return total;
}

/** Busy time of one core since boot, all processes, in microseconds (resolution 10 ms). */
export function coreBusyUs(core: number): number {
  const line = new RegExp(`^cpu${core} (.*)$`, 'm').exec(read('/proc/stat') ?? '');
  const ticks = (line?.[1] ?? '').split(' ').map(Number);
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = ticks;
  return (user + nice + system + irq + softirq) * 1e4;
}

function threads(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

/** Null when the process or thread has gone in the meantime. */
function read(path: string): string | null {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return null;
  }
}
