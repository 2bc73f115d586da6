import type { Case } from './case.ts';
import { loadSample } from './case.ts';

export const latency1500: Case = latencyCase(1_500);
export const latency500: Case = latencyCase(500);

function latencyCase(ratePerSecond: number): Case {
  return {
    name: `latency-${ratePerSecond}`,
    summary: `the relay case's request at a fixed ${ratePerSecond} requests/s (open loop), 64 connections`,
    metrics: [
      { key: 'addedP50Us', label: 'added p50 µs', better: 'lower', digits: 0, addedTo: 'p50Us' },
      { key: 'addedP99Us', label: 'added p99 µs', better: 'lower', digits: 0, addedTo: 'p99Us' },
      { key: 'p50Us', label: 'p50 µs', better: 'lower', digits: 0 },
      { key: 'p99Us', label: 'p99 µs', better: 'lower', digits: 0 },
      { key: 'p999Us', label: 'p99.9 µs', better: 'lower', digits: 0 },
    ],
    isFreshEachRound: false,
    measureMs: 3_000,
    measure: async ({ laboratory, port, subject, warmUpMs, measureMs, reportSpan }) => {
      const job = { port, subject, ratePerSecond, connections: 64, warmUpMs, measureMs };
      const { window, delays, lateness } = await laboratory.run('openLoop', job);
      reportSpan(window.startUs, window.endUs);
      return {
        p50Us: delays.p50Us,
        p99Us: delays.p99Us,
        p999Us: delays.p999Us,
        maxUs: delays.maxUs,
        arrivalLatenessP99Us: lateness.p99Us,
        requests: delays.count,
        ...loadSample(window),
      };
    },
  };
}
