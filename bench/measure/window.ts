import { clockUs } from '../load/exchange.ts';
import { coreBusyUs, cpuUs, processTree } from './processes.ts';

/** Whose CPU a window counts; null for the direct call, which has no proxy. */
export interface Subject {
  readonly rootPid: number;
  /** The core that it is pinned to, if it is. */
  readonly core: number | null;
}

/** A measured span of time on the monotonic clock, with what the proxy used in it. */
export interface WindowReading {
  readonly startUs: number;
  readonly endUs: number;
  /** All threads and processes of the proxy; NaN without one. */
  readonly proxyCpuUs: number;
  /** Share of its core that the proxy used. */
  readonly proxyBusyPercent: number;
  /** Share of that core that went to anyone else: above some 10 the latencies are not to be trusted. */
  readonly foreignBusyPercent: number;
}

/**
 * Opens a window now; the returned function closes it. The load generator calls both in the same turn in which it
 * sets and reads its own counters, so that work and CPU time are of the same span to within a millisecond.
 */
export function openWindow(subject: Subject | null): () => WindowReading {
  const pids = subject === null ? [] : processTree(subject.rootPid);
  const startBusyUs = subject === null ? Number.NaN : busyUs(subject.core);
  const startCpuUs = cpuUs(pids);
  const startUs = clockUs();
  return () => {
    const endUs = clockUs();
    const elapsedUs = endUs - startUs;
    if (subject === null) {
      const none = Number.NaN;
      return { startUs, endUs, proxyCpuUs: none, proxyBusyPercent: none, foreignBusyPercent: none };
    }
    const proxyCpuUs = cpuUs(pids) - startCpuUs;
    const foreignUs = Math.max(0, busyUs(subject.core) - startBusyUs - proxyCpuUs);
    return {
      startUs,
      endUs,
      proxyCpuUs,
      proxyBusyPercent: (100 * proxyCpuUs) / elapsedUs,
      foreignBusyPercent: (100 * foreignUs) / elapsedUs,
    };
  };
}

function busyUs(core: number | null): number {
  return core === null ? Number.NaN : coreBusyUs(core);
}
