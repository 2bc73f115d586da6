import { setTimeout as sleep } from 'node:timers/promises';
import { processTree, rssKiB } from '../measure/processes.ts';
import type { Case, Setting } from './case.ts';

export const idleSse: Case = {
  name: 'idle-sse',
  summary: '4,000 server-sent event streams (quick: 1,000), each with its head and one chunk, then idle',
  metrics: [
    { key: 'rssKiBPerStream', label: 'RSS KiB/stream', better: 'lower', digits: 1 },
    { key: 'rssKiBPerFurtherStream', label: 'RSS KiB/stream, second half', better: 'lower', digits: 1 },
    { key: 'rssMiBBefore', label: 'RSS MiB before', better: 'lower', digits: 1 },
    { key: 'rssMiBWithStreams', label: 'RSS MiB with streams', better: 'lower', digits: 1 },
  ],
  isFreshEachRound: true,
  measureMs: null,
  measure: async (setting) => {
    const { laboratory, port, subject } = setting;
    const count = setting.isQuick ? 1_000 : 4_000;
    if (subject === null) return {};
    await warmUp(setting);
    const beforeKiB = await settledRssKiB(subject.rootPid);
    try {
      await laboratory.run('holdStreams', { port, count: count / 2 });
      const withHalfKiB = await settledRssKiB(subject.rootPid);
      await laboratory.run('holdStreams', { port, count: count / 2 });
      const withStreamsKiB = await settledRssKiB(subject.rootPid);
      return {
        streams: count,
        rssKiBPerStream: (withStreamsKiB - beforeKiB) / count,
        rssKiBPerFurtherStream: (withStreamsKiB - withHalfKiB) / (count / 2),
        rssMiBBefore: beforeKiB / 1024,
        rssMiBWithStreams: withStreamsKiB / 1024,
      };
    } finally {
      await laboratory.run('releaseStreams', null);
    }
  },
};

/**
 * Loads the code, and no more: a heap that many requests have grown would have room for thousands of streams, and
 * they would look as if they cost nothing. The second half of the streams shows what one costs when that is used up.
 */
async function warmUp({ laboratory, port }: Setting): Promise<void> {
  await laboratory.run('holdStreams', { port, count: 100 });
  await laboratory.run('releaseStreams', null);
}

/** Reads until three readings half a second apart are within one percent of each other, at most for six seconds. */
async function settledRssKiB(rootPid: number): Promise<number> {
  const readings: number[] = [];
  for (let i = 0; i < 12; i++) {
    await sleep(500);
    readings.push(rssKiB(processTree(rootPid)));
    const last = readings.slice(-3);
    if (last.length === 3 && Math.max(...last) - Math.min(...last) < Math.min(...last) / 100) break;
  }
  return readings.at(-1) ?? Number.NaN;
}
