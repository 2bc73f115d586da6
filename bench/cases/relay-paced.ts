import type { Case } from './case.ts';
import { loadSample } from './case.ts';

const ratePerSecond = 5_000;

/**
 * The relay case at one rate for all. Under full load a proxy finds many requests at each wake-up, and a fast one
 * gets still cheaper by it; here each of them wakes up about as often as the others.
 */
export const relayPaced: Case = {
  name: 'relay-paced',
  summary: `the relay case's request at the same ${ratePerSecond.toLocaleString('en')} requests/s for everyone (open loop)`,
  metrics: [
    { key: 'cpuUsPerRequest', label: 'CPU µs/request', better: 'lower', digits: 1 },
    { key: 'proxyBusyPercent', label: 'proxy core busy %', better: 'lower', digits: 0 },
  ],
  isFreshEachRound: false,
  measureMs: 2_000,
  measure: async ({ laboratory, port, subject, warmUpMs, measureMs, reportSpan }) => {
    const job = { port, subject, ratePerSecond, connections: 64, warmUpMs, measureMs };
    const { window, delays } = await laboratory.run('openLoop', job);
    reportSpan(window.startUs, window.endUs);
    return { cpuUsPerRequest: window.proxyCpuUs / delays.count, ...loadSample(window) };
  },
};
