import type { Json } from '../base/json.ts';

/** Parses what an upstream sent; undefined: not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export function isJsonObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Where a value that came as a protobuf Struct has a number that no JSON can have (NaN, an infinity), which would be
 * stored and sent as null: `model_kwargs.rope.factor`; null: nowhere.
 */
export function placeOfNonFinite(value: Json, place: string): string | null {
  if (typeof value === 'number') return Number.isFinite(value) ? null : place;
  if (value === null || typeof value !== 'object') return null;
  for (const [key, inner] of Object.entries(value)) {
    const found = placeOfNonFinite(inner, Array.isArray(value) ? `${place}[${key}]` : `${place}.${key}`);
    if (found !== null) return found;
  }
  return null;
}

/** How many lists and mappings stand within each other. */
export function depthOf(value: Json): number {
  if (value === null || typeof value !== 'object') return 0;
  const inner: readonly Json[] = Object.values(value);
  return 1 + inner.reduce<number>((deepest, one) => Math.max(deepest, depthOf(one)), 0);
}
