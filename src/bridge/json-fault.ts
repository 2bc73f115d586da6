import {
  type DescField,
  type DescMessage,
  fromJson,
  type JsonObject,
  type JsonValue,
  type Registry,
  ScalarType,
} from '@bufbuild/protobuf';
import { expectedMessage, expectedScalar, expectedValue, findField, isWrapper, listed } from './fields.ts';
import { isJsonObject } from './request-tree.ts';

/** The first thing in a JSON value that is no message of its type. */
export interface JsonFault {
  /** `book.authors[2].name`; `` for the value itself. */
  readonly path: string;
  /** Continues a sentence that begins with the path. */
  readonly message: string;
}

/**
 * Says where and why JSON doesn't fit a message. It is asked after `fromJson` has failed, whose own errors name no path,
 * and asks `fromJson` about each leaf, so the two can't disagree; and before, when the text has a number beyond 2^53,
 * since `fromJson` would round it for a field of 64 bits.
 * @returns null when nothing is wrong
 */
export function findJsonFault(message: DescMessage, json: JsonValue, registry: Registry): JsonFault | null {
  return new FaultFinder(registry).inMessage(message, json, '');
}

class FaultFinder {
  readonly #registry: Registry;

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  inMessage(message: DescMessage, json: JsonValue, path: string): JsonFault | null {
    if (hasOwnJson(message.typeName)) return this.#inWellKnown(message, json, path);
    if (!isJsonObject(json)) return fault(path, `must be an object, not ${kindOf(json)}`);
    const seen = new Map<DescField, string>();
    for (const [key, value] of Object.entries(json)) {
      const field = findField(message, key);
      if (field === undefined) return fault(join(path, key), `is not known${knownNames(message)}`);
      const place = join(path, field.name);
      const earlier = seen.get(field);
      if (earlier !== undefined)
        return fault(place, `is given twice, as ${quoted(earlier)} and as ${quoted(key)}`);
      seen.set(field, key);
      const found =
        this.#besideOthers(field, seen, json, place) ?? this.#inField(message, field, value, place);
      if (found !== null) return found;
    }
    return null;
  }

  /** Fields of one oneof exclude each other; null counts as absent. */
  #besideOthers(
    field: DescField,
    seen: ReadonlyMap<DescField, string>,
    json: JsonObject,
    place: string,
  ): JsonFault | null {
    if (field.oneof === undefined) return null;
    for (const [other, key] of seen) {
      if (other === field || other.oneof !== field.oneof || json[key] === null) continue;
      return fault(place, `must not be given together with ${quoted(other.name)}`);
    }
    return null;
  }

  #inField(message: DescMessage, field: DescField, json: JsonValue, place: string): JsonFault | null {
    switch (field.fieldKind) {
      case 'message':
        if (json === null && field.message.typeName !== 'google.protobuf.Value') return null;
        return this.inMessage(field.message, json, place);
      case 'list':
        if (json === null) return null;
        if (!Array.isArray(json)) return fault(place, `must be an array, not ${kindOf(json)}`);
        for (const [index, item] of json.entries()) {
          const at = `${place}[${index}]`;
          const found =
            field.listKind === 'message' && item !== null
              ? this.inMessage(field.message, item, at)
              : this.#atLeaf(message, field, [item], item, at);
          if (found !== null) return found;
        }
        return null;
      case 'map':
        if (json === null) return null;
        if (!isJsonObject(json)) return fault(place, `must be an object, not ${kindOf(json)}`);
        for (const [key, item] of Object.entries(json)) {
          const at = `${place}[${quoted(key)}]`;
          const found =
            (field.mapKind === 'message' && item !== null ? this.inMessage(field.message, item, at) : null) ??
            this.#atLeaf(message, field, { [key]: item }, item, at);
          if (found !== null) return found;
        }
        return null;
      default:
        return this.#atLeaf(message, field, json, json, place);
    }
  }

  /** Asks `fromJson` about one value, alone in its message. */
  #atLeaf(
    message: DescMessage,
    field: DescField,
    json: JsonValue,
    value: JsonValue,
    place: string,
  ): JsonFault | null {
    if (field.scalar !== undefined && isRounded(field.scalar, value)) return rounded(place);
    const problem = this.#problemOf(message, { [field.name]: json });
    if (problem === null) return null;
    const expected = expectedValue(field);
    if (field.fieldKind === 'map' && this.#keyIsAtFault(message, field, json)) {
      return fault(place, `must have ${expectedScalar(field.mapKey)} as its key`);
    }
    return fault(place, `must be ${expected}${insteadOf(value)}`);
  }

  #keyIsAtFault(
    message: DescMessage,
    field: DescField & { readonly fieldKind: 'map' },
    json: JsonValue,
  ): boolean {
    if (!isJsonObject(json)) return false;
    const goodKey = field.mapKey === ScalarType.BOOL ? 'true' : '0';
    const [value] = Object.values(json);
    return this.#problemOf(message, { [field.name]: { [goodKey]: value ?? null } }) === null;
  }

  #inWellKnown(message: DescMessage, json: JsonValue, path: string): JsonFault | null {
    const [value] = message.fields;
    if (isWrapper(message.typeName) && value?.scalar !== undefined && isRounded(value.scalar, json)) {
      return rounded(path);
    }
    if (this.#problemOf(message, json) === null) return null;
    return fault(path, `must be ${expectedMessage(message)}${insteadOf(json)}`);
  }

  #problemOf(message: DescMessage, json: JsonValue): unknown {
    try {
      fromJson(message, json, { registry: this.#registry, recursionLimit: Number.POSITIVE_INFINITY });
      return null;
    } catch (error) {
      return error;
    }
  }
}

const OWN_JSON: ReadonlySet<string> = new Set(
  ['Any', 'Duration', 'FieldMask', 'ListValue', 'Struct', 'Timestamp', 'Value'].map(
    (name) => `google.protobuf.${name}`,
  ),
);

/** Its JSON isn't an object of its fields. */
export function hasOwnJson(typeName: string): boolean {
  return OWN_JSON.has(typeName) || isWrapper(typeName);
}

const OF_64_BITS: ReadonlySet<ScalarType> = new Set([
  ScalarType.INT64,
  ScalarType.SINT64,
  ScalarType.SFIXED64,
  ScalarType.UINT64,
  ScalarType.FIXED64,
]);

function isRounded(type: ScalarType, json: JsonValue): boolean {
  return typeof json === 'number' && OF_64_BITS.has(type) && Math.abs(json) > Number.MAX_SAFE_INTEGER;
}

function rounded(place: string): JsonFault {
  return fault(place, 'must be a string: a JSON number holds integers beyond 2^53 only roughly');
}

function fault(path: string, message: string): JsonFault {
  return { path, message };
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

/** Nothing where it would repeat what is expected: "must be a string such as …, not a string". */
function insteadOf(json: JsonValue): string {
  return typeof json === 'string' ? '' : `, not ${kindOf(json)}`;
}

function knownNames({ fields }: DescMessage): string {
  return fields.length === 0 ? '' : `; there are ${listed(fields.map(({ name }) => name))}`;
}

function quoted(text: string): string {
  return JSON.stringify(text);
}
