import type { Json } from '../base/json.ts';

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Node's timers take 32 bits of milliseconds; a longer one would fire at once. */
const MAX_MS = 2_147_483_647;

/**
 * `"30s"`, `"5m"`, `"1h30m"` (units ms, s, m, h, d, the larger one first), or a number of seconds → milliseconds.
 * Null: not a duration, zero, or more than 24 days.
 */
export function parseDuration(value: Json): number | null {
  const milliseconds = typeof value === 'string' ? durationFrom(value.trim()) : secondsFrom(value);
  if (milliseconds === null || !(milliseconds > 0) || milliseconds > MAX_MS) return null;
  return Math.max(1, Math.round(milliseconds));
}

function secondsFrom(value: Json): number | null {
  return typeof value === 'number' ? value * 1_000 : null;
}

function durationFrom(text: string): number | null {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1_000;
  if (!/^(?:\d+(?:\.\d+)?(?:ms|[smhd]))+$/.test(text)) return null;
  let total = 0;
  let before = Number.POSITIVE_INFINITY;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhd])/g)) {
    const size = UNITS[unit ?? ''] ?? 0;
    if (size >= before) return null;
    before = size;
    total += Number(amount) * size;
  }
  return total;
}
