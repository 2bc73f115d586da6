import {
  type DescField,
  type DescMessage,
  fromJson,
  type JsonObject,
  type JsonValue,
  type Registry,
  ScalarType,
} from '@bufbuild/protobuf';
import { expectedScalar, expectedValue, findField, hasOwnJson, isWrapper, listed } from './fields.ts';
import { isJsonObject } from './request-tree.ts';

/** A thing in a JSON value for which it is no message of its type. */
export interface JsonFault {
  /** `book.authors[2].name`; `` for the value itself. */
  readonly path: string;
  /** Continues a sentence that begins with the path. */
  readonly message: string;
}

/**
 * Says where and why JSON doesn't fit a message. It is asked after `fromJson` has failed, whose own errors name no path,
 * and asks `fromJson` about the parts, so the two can't disagree; and before, when the text has a number beyond 2^53,
 * since `fromJson` would round it for a field of 64 bits.
 * @returns null when nothing is wrong
 */
export function findJsonFault(message: DescMessage, json: JsonValue, registry: Registry): JsonFault | null {
  return new FaultFinder(registry).inMessage(message, json, '');
}

type ListField = DescField & { readonly fieldKind: 'list' };
type MapField = DescField & { readonly fieldKind: 'map' };

class FaultFinder {
  readonly #registry: Registry;

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  inMessage(message: DescMessage, json: JsonValue, path: string): JsonFault | null {
    if (!isJsonObject(json)) return fault(path, `must be an object, not ${kindOf(json)}`);
    const seen = new Map<DescField, string>();
    const leaves: JsonObject = {};
    for (const [key, value] of Object.entries(json)) {
      const field = findField(message, key);
      if (field === undefined) return fault(join(path, key), `is not known${knownNames(message)}`);
      const place = join(path, field.name);
      const repeated = repeatedFault(field, key, seen, json, place);
      if (repeated !== null) return repeated;
      seen.set(field, key);
      const child = messageWithin(field);
      const found =
        child === null ? roundedFault(field, value, place) : this.#inChildren(field, child, value, place);
      if (found !== null) return found;
      if (child === null) leaves[field.name] = value;
    }
    return this.#inLeaves(message, leaves, [...seen.keys()], path);
  }

  /** A message, or all those of a list or map. */
  #inChildren(field: DescField, child: DescMessage, json: JsonValue, place: string): JsonFault | null {
    if (json === null) return null;
    switch (field.fieldKind) {
      case 'list': {
        if (!Array.isArray(json)) return fault(place, `must be an array, not ${kindOf(json)}`);
        for (const [index, item] of json.entries()) {
          const found = this.inMessage(child, item, `${place}[${index}]`);
          if (found !== null) return found;
        }
        return null;
      }
      case 'map': {
        if (!isJsonObject(json)) return fault(place, `must be an object, not ${kindOf(json)}`);
        for (const [key, item] of Object.entries(json)) {
          const found = this.inMessage(child, item, join(place, key));
          if (found !== null) return found;
        }
        const keys = Object.keys(json).map((key) => [key, {}] as const);
        return this.#inEntries(field, keys, place);
      }
      default:
        return this.inMessage(child, json, place);
    }
  }

  /** The fields of one message that hold no other: all at once, and one by one only where that fails. */
  #inLeaves(
    message: DescMessage,
    leaves: JsonObject,
    fields: readonly DescField[],
    path: string,
  ): JsonFault | null {
    if (this.#fits(message, leaves)) return null;
    for (const field of fields) {
      const json = leaves[field.name];
      if (json === undefined || this.#fits(message, { [field.name]: json })) continue;
      const place = join(path, field.name);
      if (field.fieldKind === 'list') return this.#inItems(field, json, place);
      if (field.fieldKind !== 'map') return misfit(field, json, place);
      if (!isJsonObject(json)) return fault(place, `must be an object, not ${kindOf(json)}`);
      return this.#inEntries(field, Object.entries(json), place);
    }
    return null;
  }

  #inItems(field: ListField, json: JsonValue, place: string): JsonFault {
    if (!Array.isArray(json)) return fault(place, `must be an array, not ${kindOf(json)}`);
    const index = firstMisfit(json, (items) => this.#fits(field.parent, { [field.name]: [...items] }));
    return misfit(field, json[index ?? 0] ?? null, `${place}[${index ?? 0}]`);
  }

  /** Null when the entries fit. */
  #inEntries(
    field: MapField,
    entries: readonly (readonly [string, JsonValue])[],
    place: string,
  ): JsonFault | null {
    const fits = (some: readonly (readonly [string, JsonValue])[]): boolean =>
      this.#fits(field.parent, { [field.name]: Object.fromEntries(some) });
    if (fits(entries)) return null;
    const index = firstMisfit(entries, fits);
    const entry = index === null ? undefined : entries[index];
    if (entry === undefined) return fault(place, 'has a key in two spellings');
    const [key, value] = entry;
    const goodKey = field.mapKey === ScalarType.BOOL ? 'true' : '0';
    if (!fits([[goodKey, value]])) return misfit(field, value, join(place, key));
    return fault(join(place, key), `must have ${expectedScalar(field.mapKey)} as its key`);
  }

  #fits(message: DescMessage | undefined, json: JsonValue): boolean {
    if (message === undefined) return true;
    try {
      fromJson(message, json, { registry: this.#registry, recursionLimit: Number.POSITIVE_INFINITY });
      return true;
    } catch {
      return false;
    }
  }
}

/**
 * Index of the first item without which the ones before it fit; null where each half fits and only the whole doesn't.
 * Halves are asked about rather than items: 30,000 items took more than a second.
 */
function firstMisfit<T>(items: readonly T[], allFit: (some: readonly T[]) => boolean): number | null {
  let start = 0;
  let end = items.length;
  while (end - start > 1) {
    const middle = (start + end) >> 1;
    if (!allFit(items.slice(start, middle))) end = middle;
    else if (!allFit(items.slice(middle, end))) start = middle;
    else return null;
  }
  return start;
}

/** The message type that a field holds as JSON of its fields, in a list or map or alone. */
function messageWithin({ message }: DescField): DescMessage | null {
  return message === undefined || hasOwnJson(message.typeName) ? null : message;
}

/** One field twice, or two fields of one oneof, of which null counts as absent. */
function repeatedFault(
  field: DescField,
  key: string,
  seen: ReadonlyMap<DescField, string>,
  json: JsonObject,
  place: string,
): JsonFault | null {
  const earlier = seen.get(field);
  if (earlier !== undefined) return fault(place, `is given twice, as "${earlier}" and as "${key}"`);
  if (field.oneof === undefined || json[key] === null) return null;
  for (const [other, otherKey] of seen) {
    if (other.oneof !== field.oneof || json[otherKey] === null) continue;
    return fault(place, `must not be given together with "${other.name}"`);
  }
  return null;
}

const OF_64_BITS: ReadonlySet<ScalarType | undefined> = new Set([
  ScalarType.INT64,
  ScalarType.SINT64,
  ScalarType.SFIXED64,
  ScalarType.UINT64,
  ScalarType.FIXED64,
]);

function roundedFault(field: DescField, json: JsonValue, place: string): JsonFault | null {
  const { message } = field;
  const scalar =
    message !== undefined && isWrapper(message.typeName) ? message.fields[0]?.scalar : field.scalar;
  if (!OF_64_BITS.has(scalar)) return null;
  const values: readonly (readonly [string, JsonValue])[] = Array.isArray(json)
    ? json.map((item, index) => [`${place}[${index}]`, item])
    : isJsonObject(json)
      ? Object.entries(json).map(([key, item]) => [join(place, key), item])
      : [[place, json]];
  for (const [at, value] of values) {
    if (typeof value !== 'number' || Math.abs(value) <= Number.MAX_SAFE_INTEGER) continue;
    return fault(at, 'must be a string: a JSON number holds integers beyond 2^53 only roughly');
  }
  return null;
}

function fault(path: string, message: string): JsonFault {
  return { path, message };
}

function misfit(field: DescField, json: JsonValue, place: string): JsonFault {
  return fault(place, `must be ${expectedValue(field)}${insteadOf(json)}`);
}

function join(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`;
}

/** Never the value itself: it may be a secret. */
function kindOf(json: JsonValue): string {
  if (json === null) return 'null';
  if (Array.isArray(json)) return 'an array';
  switch (typeof json) {
    case 'object':
      return 'an object';
    case 'string':
      return 'a string';
    case 'number':
      return 'a number';
    default:
      return json ? 'true' : 'false';
  }
}

/** Nothing where it would repeat what is expected: "must be a time such as "2030-…", not a string". */
function insteadOf(json: JsonValue): string {
  return typeof json === 'string' ? '' : `, not ${kindOf(json)}`;
}

function knownNames({ fields }: DescMessage): string {
  return fields.length === 0 ? '' : `; there are ${listed(fields.map(({ name }) => name))}`;
}
