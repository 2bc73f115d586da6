import type { Case } from './case.ts';
import { loadSample } from './case.ts';

export const sse: Case = {
  name: 'sse',
  summary: 'server-sent events, one 200 B chunk every 5 ms on each of 64 streams',
  metrics: [
    { key: 'cpuUsPerChunk', label: 'CPU µs/chunk', better: 'lower', digits: 1 },
    { key: 'chunkDelayP50Us', label: 'chunk delay p50 µs', better: 'lower', digits: 0 },
    { key: 'chunkDelayP99Us', label: 'chunk delay p99 µs', better: 'lower', digits: 0 },
    { key: 'chunksPerSecond', label: 'chunks/s (12,800 due)', better: 'higher', digits: 0 },
  ],
  isFreshEachRound: false,
  measureMs: 2_500,
  measure: async ({ laboratory, port, subject, warmUpMs, measureMs, reportSpan }) => {
    const result = await laboratory.run('streams', { port, subject, streams: 64, warmUpMs, measureMs });
    const { window, events, delays } = result;
    reportSpan(window.startUs, window.endUs);
    return {
      cpuUsPerChunk: window.proxyCpuUs / events,
      chunkDelayP50Us: delays.p50Us,
      chunkDelayP99Us: delays.p99Us,
      chunksPerSecond: (events * 1e6) / (window.endUs - window.startUs),
      ...loadSample(window),
    };
  },
};
