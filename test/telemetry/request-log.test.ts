import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { createRequestLog, type RequestRecord } from '../../src/telemetry/request-log.ts';

const RECORD: RequestRecord = {
  id: 'abc-1',
  method: 'POST',
  path: '/v1/chat/completions',
  route: 'v1',
  target: 'qwen#0',
  model: 'qwen',
  status: 200,
  outcome: 'complete',
  why: null,
  bytesIn: 10,
  bytesOut: 20,
  firstByteMs: 1.23456,
  durationMs: 2.34567,
  cause: null,
};

function linesOf(record: RequestRecord, direct: boolean): string[] {
  const lines: string[] = [];
  const write = (line: string): void => void lines.push(line);
  const options = {
    base: null,
    timestamp: false,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  createRequestLog(pino(options, { write }), direct ? write : null)(record);
  return lines;
}

const withoutTime = (line: string): string => line.replace(/"time":"[^"]+",/, '');

describe('the line of a request', () => {
  test.each([
    ['a usual one', {}],
    [
      'quotes, controls and lone surrogates in what the client chose',
      { path: '/a"\\\n\u2028', model: '"\ud800\u0000"' },
    ],
    ['nothing known', { route: null, target: null, model: null, firstByteMs: null, why: null }],
    ['refused', { outcome: 'refused', status: 404, why: 'model_not_found' }],
  ] as const)('is the same to the byte put together here and by pino: %s', (_, change) => {
    const record = { ...RECORD, ...change };
    const [direct] = linesOf(record, true);
    const [logged] = linesOf(record, false);
    expect(withoutTime(direct as string)).toBe(logged);
    expect(JSON.parse(direct as string).path).toBe(record.path);
  });

  test('is a warning with its cause when something failed', () => {
    const [line] = linesOf(
      { ...RECORD, outcome: 'upstream_failed', cause: new Error('refused by 10.0.0.1') },
      true,
    );
    expect(JSON.parse(line as string)).toMatchObject({ level: 'warn', cause: 'refused by 10.0.0.1' });
  });
});
