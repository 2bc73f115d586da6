/** A length of time as calendars count it: months of 28 to 31 days, everything else exact. One of the two is 0. */
export interface Duration {
  readonly months: number;
  readonly ms: number;
}

const UNITS: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** Longer is a slip of the finger, and the years of a date have four digits. */
const MAX_MONTHS = 1_200;
const MAX_MS = 36_525 * 86_400_000;

/** What a duration looks like, for messages. */
export const DURATION_FORMS = '30s, 5m, 2h, 7d, 2w or 1mo';

/** `30s`, `5m`, `2h`, `7d`, `2w`, `1mo`: a whole number above 0 and a unit. Null: it isn't, or beyond 100 years. */
export function parseDuration(text: string): Duration | null {
  const [, digits, unit] = /^(\d{1,12})(mo|[smhdw])$/.exec(text) ?? [];
  if (digits === undefined || unit === undefined) return null;
  const amount = Number(digits);
  if (amount === 0) return null;
  if (unit === 'mo') return amount > MAX_MONTHS ? null : { months: amount, ms: 0 };
  const ms = amount * (UNITS[unit] ?? 0);
  return ms > MAX_MS ? null : { months: 0, ms };
}

/**
 * The moment that is a duration after another, both ms since 1970. Months are those of UTC's calendar; a day that the
 * month doesn't have becomes its last (31 January and a month: 28 or 29 February).
 */
export function addDuration(ms: number, duration: Duration): number {
  return addMonths(ms, duration.months) + duration.ms;
}

/**
 * The first moment after `now` that is a whole number of durations after `ms`; `ms` itself, if it is after `now`. Takes
 * the same time however long ago `ms` was.
 */
export function advance(ms: number, duration: Duration, now: number): number {
  if (ms > now) return ms;
  if (duration.months === 0) return ms + (Math.floor((now - ms) / duration.ms) + 1) * duration.ms;
  // From the beginning each time, lest a 31st stay a 28th for ever once a February was passed on the way.
  let periods = Math.max(1, Math.floor(monthsBetween(ms, now) / duration.months));
  while (addMonths(ms, periods * duration.months) <= now) periods += 1;
  return addMonths(ms, periods * duration.months);
}

function addMonths(ms: number, months: number): number {
  if (months === 0) return ms;
  const date = new Date(ms);
  const day = date.getUTCDate();
  date.setUTCDate(1);
  date.setUTCMonth(date.getUTCMonth() + months);
  date.setUTCDate(Math.min(day, daysOfMonth(date)));
  return date.getTime();
}

function daysOfMonth(date: Date): number {
  return new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate();
}

/** Calendar months that begin after one moment and not after the other: at most one more than there are whole ones. */
function monthsBetween(from: number, to: number): number {
  const [first, last] = [new Date(from), new Date(to)];
  return (last.getUTCFullYear() - first.getUTCFullYear()) * 12 + last.getUTCMonth() - first.getUTCMonth();
}
