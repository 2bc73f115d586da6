import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { addDuration, advance, type Duration, parseDuration } from '../../src/base/duration.ts';

const DAY = 86_400_000;
const at = (text: string): number => Date.parse(text);
const duration = (text: string): Duration => {
  const parsed = parseDuration(text);
  if (parsed === null) throw new Error(`${text} is no duration`);
  return parsed;
};

describe('parseDuration', () => {
  test.each([
    ['30s', 30_000],
    ['5m', 300_000],
    ['2h', 7_200_000],
    ['7d', 7 * DAY],
    ['2w', 14 * DAY],
    ['090s', 90_000],
    ['36525d', 36_525 * DAY],
  ])('reads %s', (text, ms) => {
    expect(parseDuration(text)).toEqual({ months: 0, ms });
  });

  test.each([
    ['1mo', 1],
    ['18mo', 18],
    ['1200mo', 1_200],
  ])('reads %s as months', (text, months) => {
    expect(parseDuration(text)).toEqual({ months, ms: 0 });
  });

  test.each([
    '',
    '30',
    's',
    '0s',
    '000h',
    '0mo',
    '-5m',
    '+5m',
    '1.5h',
    '1e3s',
    '5 m',
    ' 5m',
    '5m\n',
    '5M',
    '5ms',
    '1y',
    '1h30m',
    '٣s',
    '36526d',
    '1201mo',
    '9999999999999s',
    '99999999999999999999mo',
  ])('refuses %j', (text) => {
    expect(parseDuration(text)).toBeNull();
  });
});

describe('addDuration', () => {
  test.each([
    ['2026-03-10T10:00:00Z', '30s', '2026-03-10T10:00:30Z'],
    ['2026-03-29T00:30:00Z', '1d', '2026-03-30T00:30:00Z'],
    ['2026-01-15T10:20:30.456Z', '1mo', '2026-02-15T10:20:30.456Z'],
    ['2026-01-31T00:00:00Z', '1mo', '2026-02-28T00:00:00Z'],
    ['2028-01-31T23:59:59.999Z', '1mo', '2028-02-29T23:59:59.999Z'],
    ['2026-03-31T12:00:00Z', '1mo', '2026-04-30T12:00:00Z'],
    ['2026-12-31T12:00:00Z', '2mo', '2027-02-28T12:00:00Z'],
    ['2028-02-29T12:00:00Z', '12mo', '2029-02-28T12:00:00Z'],
    ['2026-10-31T12:00:00Z', '1mo', '2026-11-30T12:00:00Z'],
  ])('%s and %s is %s', (from, text, to) => {
    expect(new Date(addDuration(at(from), duration(text)))).toEqual(new Date(to));
  });
});

describe('advance', () => {
  test.each([
    ['2026-03-10T10:00:00Z', '1h', '2026-03-10T09:59:59Z', '2026-03-10T10:00:00Z'],
    ['2026-03-10T10:00:00Z', '1h', '2026-03-10T10:00:00Z', '2026-03-10T11:00:00Z'],
    ['2026-03-10T10:00:00Z', '1h', '2026-03-10T12:59:59.999Z', '2026-03-10T13:00:00Z'],
    ['2026-01-31T00:00:00Z', '1mo', '2026-02-28T00:00:00Z', '2026-03-31T00:00:00Z'],
    ['2026-01-31T00:00:00Z', '1mo', '2026-02-27T00:00:00Z', '2026-02-28T00:00:00Z'],
    ['2026-01-31T00:00:00Z', '1mo', '2026-02-01T00:00:00Z', '2026-02-28T00:00:00Z'],
    ['2020-01-31T00:00:00Z', '5mo', '2026-07-31T00:00:00Z', '2026-09-30T00:00:00Z'],
  ])('from %s by %s after %s is %s', (from, text, now, expected) => {
    expect(new Date(advance(at(from), duration(text), at(now)))).toEqual(new Date(expected));
  });

  test('lands after now, within one duration, wherever it begins', () => {
    const moment = fc.integer({ min: at('2000-01-01'), max: at('2090-01-01') });
    fc.assert(
      fc.property(moment, moment, fc.constantFrom('1s', '7d', '1mo', '5mo', '12mo'), (from, now, text) => {
        const period = duration(text);
        const next = advance(from, period, now);
        expect(next).toBeGreaterThan(now);
        if (from > now) expect(next).toBe(from);
        // Clamping may lose up to three days of a month.
        else expect(next).toBeLessThanOrEqual(addDuration(now, period) + 3 * DAY);
      }),
    );
  });
});
