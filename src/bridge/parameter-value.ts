import { type DescEnum, type DescField, type JsonValue, ScalarType } from '@bufbuild/protobuf';
import { isWrapper } from './fields.ts';

/** Turns a parameter's text into the JSON value of its field; null where the text is none. */
export type ParameterReader = (text: string) => Exclude<JsonValue, null> | null;

/**
 * The reader for what a path variable or a query parameter may be: a scalar, an enum, or a message that JSON writes as
 * one of these (wrappers, Timestamp, Duration, FieldMask), and for a repeated field one item of it. Null: the field is
 * none of these.
 */
export function parameterReader(field: DescField): ParameterReader | null {
  switch (field.fieldKind) {
    case 'scalar':
      return scalarReader(field.scalar);
    case 'enum':
      return enumReader(field.enum);
    case 'message': {
      const { typeName, fields } = field.message;
      const [value] = fields;
      if (isWrapper(typeName) && value?.fieldKind === 'scalar') return scalarReader(value.scalar);
      return MESSAGE_READERS.get(typeName) ?? null;
    }
    case 'list':
      if (field.listKind === 'scalar') return scalarReader(field.scalar);
      // google/api/http.proto: repeated message fields are not mapped to query parameters.
      return field.listKind === 'enum' ? enumReader(field.enum) : null;
    case 'map':
      return null;
  }
}

const TIMESTAMP =
  /^(\d{4}-\d\d-\d\d)T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;
const DURATION = /^-?\d{1,12}(?:\.\d{1,9})?s$/;
const MAX_DURATION_SECONDS = 315_576_000_000;

const MESSAGE_READERS: ReadonlyMap<string, ParameterReader> = new Map([
  ['google.protobuf.Timestamp', readTimestamp],
  ['google.protobuf.Duration', readDuration],
  ['google.protobuf.FieldMask', (text: string) => text],
]);

function readTimestamp(text: string): string | null {
  const [, day] = TIMESTAMP.exec(text) ?? [];
  if (day === undefined) return null;
  // The decoder would take 31 February for 3 March.
  const date = new Date(`${day}T00:00:00Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(day) ? text : null;
}

function readDuration(text: string): string | null {
  return DURATION.test(text) && Math.abs(Number.parseInt(text, 10)) <= MAX_DURATION_SECONDS ? text : null;
}

const INTEGER = /^-?[0-9]+$/;
const NUMBER = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/;
/** Either alphabet, padded or not; a last group of one character holds no byte. */
const BASE64 = /^(?:[A-Za-z0-9+/_-]{4})*(?:[A-Za-z0-9+/_-]{2}(?:==)?|[A-Za-z0-9+/_-]{3}=?)?$/;
const NOT_FINITE: ReadonlySet<string> = new Set(['NaN', 'Infinity', '-Infinity']);
const MAX_FLOAT = 3.4028234663852886e38;

function scalarReader(type: ScalarType): ParameterReader {
  switch (type) {
    case ScalarType.STRING:
      return (text) => text;
    case ScalarType.BOOL:
      return (text) => (text === 'true' ? true : text === 'false' ? false : null);
    case ScalarType.BYTES:
      return (text) => (BASE64.test(text) ? text : null);
    case ScalarType.DOUBLE:
      return (text) => readNumber(text, Number.MAX_VALUE);
    case ScalarType.FLOAT:
      return (text) => readNumber(text, MAX_FLOAT);
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return (text) => readInteger(text, -(2n ** 31n), 2n ** 31n - 1n);
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return (text) => readInteger(text, 0n, 2n ** 32n - 1n);
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return (text) => readInteger(text, -(2n ** 63n), 2n ** 63n - 1n);
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return (text) => readInteger(text, 0n, 2n ** 64n - 1n);
  }
}

function readNumber(text: string, max: number): number | string | null {
  if (NOT_FINITE.has(text)) return text;
  if (!NUMBER.test(text)) return null;
  const value = Number(text);
  return Math.abs(value) <= max ? value : null;
}

/** As a string, which JSON allows for every integer. */
function readInteger(text: string, min: bigint, max: bigint): string | null {
  // No integer of 64 bits is longer, leading zeros aside; BigInt's time grows with the square of the length.
  if (text.length > 40 || !INTEGER.test(text)) return null;
  const value = BigInt(text);
  return min <= value && value <= max ? value.toString() : null;
}

const MAX_INT32 = 2 ** 31 - 1;

function enumReader({ values, open }: DescEnum): ParameterReader {
  const byName = new Map(
    values.flatMap(({ name, jsonName, number }) => [[jsonName, number] as const, [name, number] as const]),
  );
  const numbers = new Set(values.map(({ number }) => number));
  return (text) => {
    const named = byName.get(text);
    if (named !== undefined) return named;
    if (text.length > 11 || !INTEGER.test(text)) return null;
    const number = Number(text);
    // An open enum keeps numbers that it has no name for.
    return numbers.has(number) || (open && number >= -MAX_INT32 - 1 && number <= MAX_INT32) ? number : null;
  };
}
