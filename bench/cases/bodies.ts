import { bulkBytes, type RequestName } from '../load/exchange.ts';
import type { Case } from './case.ts';
import { loadSample } from './case.ts';

export const upload: Case = bodyCase('upload', 'upload', '10 MB application/octet-stream up');

/** The whole of a JSON body is searched for a second `model`, so this is the splice's throughput. */
export const uploadJson: Case = bodyCase('upload-json', 'upload-json', '10 MB JSON up, model name spliced');

export const download: Case = bodyCase('download', 'download', '10 MB down');

function bodyCase(name: string, request: RequestName, what: string): Case {
  return {
    name,
    summary: `${what}, 8 connections, closed loop`,
    metrics: [
      { key: 'megabytesPerSecond', label: 'MB/s', better: 'higher', digits: 0 },
      { key: 'cpuUsPerMegabyte', label: 'CPU µs/MB', better: 'lower', digits: 0 },
    ],
    isFreshEachRound: false,
    measureMs: 1_500,
    measure: async ({ laboratory, port, subject, warmUpMs, measureMs, reportSpan }) => {
      const job = { port, subject, request, connections: 8, warmUpMs, measureMs };
      const { window, answers, answerBodyBytes } = await laboratory.run('closedLoop', job);
      reportSpan(window.startUs, window.endUs);
      // Bytes down are counted as they come; bytes up are known to have arrived when their answer has.
      const megabytes = (request === 'download' ? answerBodyBytes : answers * bulkBytes) / 1e6;
      return {
        megabytesPerSecond: (megabytes * 1e6) / (window.endUs - window.startUs),
        cpuUsPerMegabyte: window.proxyCpuUs / megabytes,
        ...loadSample(window),
      };
    },
  };
}
