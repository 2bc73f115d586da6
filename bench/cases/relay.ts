import type { Case } from './case.ts';
import { loadSample } from './case.ts';

export const relay: Case = {
  name: 'relay',
  summary: '1 KB JSON POST to /v1/chat/completions, 600 B answer, 64 keepalive connections, closed loop',
  metrics: [
    { key: 'cpuUsPerRequest', label: 'CPU µs/request', better: 'lower', digits: 1 },
    { key: 'requestsPerSecond', label: 'requests/s', better: 'higher', digits: 0 },
    { key: 'p50Us', label: 'p50 µs under full load', better: 'lower', digits: 0 },
    { key: 'p99Us', label: 'p99 µs under full load', better: 'lower', digits: 0 },
  ],
  isFreshEachRound: false,
  measureMs: 2_500,
  measure: async ({ laboratory, port, subject, warmUpMs, measureMs, reportSpan }) => {
    const result = await laboratory.run('closedLoop', {
      port,
      subject,
      request: 'chat',
      connections: 64,
      warmUpMs,
      measureMs,
    });
    const { window, answers, delays } = result;
    reportSpan(window.startUs, window.endUs);
    return {
      cpuUsPerRequest: window.proxyCpuUs / answers,
      requestsPerSecond: (answers * 1e6) / (window.endUs - window.startUs),
      p50Us: delays.p50Us,
      p99Us: delays.p99Us,
      ...loadSample(window),
    };
  },
};
