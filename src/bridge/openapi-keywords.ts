import { type DescEnum, toJson } from '@bufbuild/protobuf';
import { isReflectList, isReflectMessage, type ReflectMessage } from '@bufbuild/protobuf/reflect';
import type { Schema } from './openapi-document.ts';

/** The rules that are set, by their proto names, as plain values. */
type Given = ReadonlyMap<string, unknown>;

/**
 * Translates the typed rules of one value (`StringRules`, `Int32Rules`, … of buf/validate/validate.proto).
 * @param kind the name of the field of `FieldRules` that holds them: `string`, `int32`, `map`, …
 * @param enumeration of an enum field: its names stand for the numbers in its rules
 */
export function keywordsOf(
  kind: string,
  rules: ReflectMessage,
  enumeration: DescEnum | null,
): { readonly keywords: Schema; readonly words: readonly string[] } {
  const given = givenIn(rules);
  switch (kind) {
    case 'string':
      return { keywords: stringKeywords(given), words: wordsFor(given, STRING_WORDS) };
    case 'bytes':
      return { keywords: bytesKeywords(given), words: wordsFor(given, BYTES_WORDS) };
    case 'repeated':
      return {
        keywords: renamed(given, { min_items: 'minItems', max_items: 'maxItems', unique: 'uniqueItems' }),
        words: [],
      };
    case 'map':
      return {
        keywords: renamed(given, { min_pairs: 'minProperties', max_pairs: 'maxProperties' }),
        words: [],
      };
    case 'enum':
      return { keywords: chosenFrom(given, (number) => enumeration?.value[Number(number)]?.name), words: [] };
    case 'bool':
      return { keywords: chosenFrom(given, (value) => value), words: [] };
    case 'float':
    case 'double':
    case 'int32':
    case 'uint32':
    case 'sint32':
    case 'fixed32':
    case 'sfixed32':
      return { keywords: { ...rangeKeywords(given), ...chosenFrom(given, (value) => value) }, words: [] };
    // Strings in JSON, so that no keyword compares them: 64-bit integers, durations, timestamps, masks, Any.
    default:
      return { keywords: {}, words: wordsFor(given, ORDER_WORDS) };
  }
}

function givenIn(rules: ReflectMessage): Given {
  return new Map(
    rules.fields.filter((field) => rules.isSet(field)).map((field) => [field.name, plain(rules.get(field))]),
  );
}

function plain(value: unknown): unknown {
  if (isReflectList(value)) return [...value].map(plain);
  if (isReflectMessage(value)) return toJson(value.desc, value.message);
  return value;
}

function renamed(given: Given, names: Readonly<Record<string, string>>): Schema {
  const keywords: Record<string, unknown> = {};
  for (const [rule, keyword] of Object.entries(names)) {
    const value = given.get(rule);
    if (value !== undefined) keywords[keyword] = typeof value === 'bigint' ? Number(value) : value;
  }
  return keywords;
}

/** `const`, `in` and `not_in`. */
function chosenFrom(given: Given, name: (value: unknown) => unknown): Schema {
  const { const: only, in: allowed, not_in: refused } = Object.fromEntries(given);
  return {
    ...(only !== undefined && { const: name(only) }),
    ...(Array.isArray(allowed) && { enum: allowed.map(name) }),
    ...(Array.isArray(refused) && { not: { enum: refused.map(name) } }),
  };
}

function rangeKeywords(given: Given): Schema {
  const below = renamed(given, { lt: 'exclusiveMaximum', lte: 'maximum' });
  const above = renamed(given, { gt: 'exclusiveMinimum', gte: 'minimum' });
  const [upper] = Object.values(below);
  const [lower] = Object.values(above);
  // A lower bound above the upper one means what lies outside of both.
  if (typeof upper === 'number' && typeof lower === 'number' && lower > upper)
    return { anyOf: [below, above] };
  return { ...above, ...below };
}

const STRING_FORMATS: Readonly<Record<string, Schema>> = {
  email: { format: 'email' },
  hostname: { format: 'hostname' },
  ip: { anyOf: [{ format: 'ipv4' }, { format: 'ipv6' }] },
  ipv4: { format: 'ipv4' },
  ipv6: { format: 'ipv6' },
  uri: { format: 'uri' },
  uri_ref: { format: 'uri-reference' },
  uuid: { format: 'uuid' },
};

function stringKeywords(given: Given): Schema {
  const length = given.get('len');
  const patterns = stringPatterns(given);
  const [first, ...others] = patterns;
  const formats = [...given].flatMap(([rule, on]) =>
    on === true && Object.hasOwn(STRING_FORMATS, rule) ? [STRING_FORMATS[rule]] : [],
  );
  return {
    ...(typeof length === 'bigint' && { minLength: Number(length), maxLength: Number(length) }),
    ...renamed(given, { min_len: 'minLength', max_len: 'maxLength' }),
    ...(first !== undefined && { pattern: first }),
    ...(others.length > 0 && { allOf: others.map((pattern) => ({ pattern })) }),
    ...Object.assign({}, ...formats),
    ...chosenFrom(given, (value) => value),
  };
}

function stringPatterns(given: Given): string[] {
  const pattern = given.get('pattern');
  const text = (rule: string): string | null => {
    const value = given.get(rule);
    return typeof value === 'string' ? literal(value) : null;
  };
  const [prefix, suffix, contained, missing] = [
    text('prefix'),
    text('suffix'),
    text('contains'),
    text('not_contains'),
  ];
  return [
    ...(typeof pattern === 'string' && isPortable(pattern) ? [pattern] : []),
    ...(prefix === null ? [] : [`^${prefix}`]),
    ...(suffix === null ? [] : [`${suffix}$`]),
    ...(contained === null ? [] : [contained]),
    ...(missing === null ? [] : [`^(?!.*${missing})`]),
  ];
}

/** The rule is RE2's syntax, the keyword's ECMA-262's: what both read alike is most of it. */
function isPortable(pattern: string): boolean {
  try {
    new RegExp(pattern, 'u');
    return true;
  } catch {
    return false;
  }
}

function literal(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&').replace(/\\\//g, '/');
}

/** Lengths count bytes; JSON has them in Base64, padded or not. */
function bytesKeywords(given: Given): Schema {
  const count = (rule: string): number | null => {
    const value = given.get(rule) ?? given.get('len');
    return typeof value === 'bigint' ? Number(value) : null;
  };
  const [least, most] = [count('min_len'), count('max_len')];
  return {
    ...(least !== null && { minLength: Math.ceil((least * 4) / 3) }),
    ...(most !== null && { maxLength: 4 * Math.ceil(most / 3) }),
  };
}

type Words = Readonly<Record<string, (value: string) => string>>;

const ORDER_WORDS: Words = {
  const: (value) => `Always ${value}.`,
  gt: (value) => `Above ${value}.`,
  gte: (value) => `At least ${value}.`,
  lt: (value) => `Below ${value}.`,
  lte: (value) => `At most ${value}.`,
  gt_now: () => 'In the future.',
  lt_now: () => 'In the past.',
  within: (value) => `Within ${value} of now.`,
  in: (value) => `One of: ${value}.`,
  not_in: (value) => `None of: ${value}.`,
};

const BYTES_WORDS: Words = {
  len: (value) => `Bytes: exactly ${value}.`,
  min_len: (value) => `Bytes: at least ${value}.`,
  max_len: (value) => `Bytes: at most ${value}.`,
  pattern: (value) => `Matches \`${value}\`.`,
};

const STRING_WORDS: Words = {
  len_bytes: (value) => `Bytes in UTF-8: exactly ${value}.`,
  min_bytes: (value) => `Bytes in UTF-8: at least ${value}.`,
  max_bytes: (value) => `Bytes in UTF-8: at most ${value}.`,
  address: () => 'A host name or an IP address.',
  host_and_port: () => 'A host and a port.',
  ip_with_prefixlen: () => 'An IP address with a prefix length.',
  ipv4_with_prefixlen: () => 'An IPv4 address with a prefix length.',
  ipv6_with_prefixlen: () => 'An IPv6 address with a prefix length.',
  ip_prefix: () => 'An IP prefix.',
  ipv4_prefix: () => 'An IPv4 prefix.',
  ipv6_prefix: () => 'An IPv6 prefix.',
  tuuid: () => 'A UUID without dashes.',
  ulid: () => 'A ULID.',
  pattern: (value) => (isPortable(value) ? '' : `Matches \`${value}\` (RE2).`),
};

function wordsFor(given: Given, words: Words): string[] {
  return [...given]
    .map(([rule, value]) => words[rule]?.(Array.isArray(value) ? value.join(', ') : String(value)) ?? '')
    .filter((sentence) => sentence !== '');
}
