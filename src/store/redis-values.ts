import type { Json } from '../base/json.ts';

/*
 * Replies → values. What our own scripts return has the form that they document; anything else shows data that
 * somebody else has written, and is an error.
 */

export function textsFrom(reply: unknown): readonly string[] {
  if (Array.isArray(reply) && reply.every((item) => typeof item === 'string')) return reply;
  throw new TypeError('Redis holds something else than a list of texts');
}

export function textFrom(reply: unknown): string {
  if (typeof reply === 'string') return reply;
  throw new TypeError('Redis holds something else than a text');
}

export function numberFrom(reply: unknown): number {
  const number = Number(reply ?? 0);
  if (Number.isFinite(number)) return number;
  throw new TypeError('Redis holds something else than a number');
}

/** What the client makes of the pairs of a HGETALL. */
export function pairsFrom(reply: unknown): readonly (readonly [string, string])[] {
  if (typeof reply !== 'object' || reply === null)
    throw new TypeError('Redis holds something else than a hash');
  return Object.entries(reply).map(([name, value]) => [name, textFrom(value)] as const);
}

/** `order json`: the place in the order of creation, 16 digits, and the value. */
export function jsonBehindOrder(value: string): Json {
  return parseJson(value.slice(ORDER_LENGTH + 1));
}

const ORDER_LENGTH = 16;

/** Oldest first. */
export function inOrder(values: Iterable<string>): readonly string[] {
  return [...values].sort((a, b) => (a.slice(0, ORDER_LENGTH) < b.slice(0, ORDER_LENGTH) ? -1 : 1));
}

/** Mappings lose their prototype: `headers['constructor']` is what was stored under that name, or nothing. */
function parseJson(text: string): Json {
  return JSON.parse(text, (_name, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.setPrototypeOf(value, null)
      : value,
  );
}
