import { type DescEnum, type DescField, type DescMessage, ScalarType } from '@bufbuild/protobuf';

const byName = new WeakMap<DescMessage, ReadonlyMap<string, DescField>>();

/** The field with a proto name (`page_size`) or JSON name (`pageSize`). */
export function findField(message: DescMessage, name: string): DescField | undefined {
  let fields = byName.get(message);
  if (fields === undefined) {
    // Proto names last: they win over another field's JSON name.
    fields = new Map([
      ...message.fields.map((field) => [field.jsonName, field] as const),
      ...message.fields.map((field) => [field.name, field] as const),
    ]);
    byName.set(message, fields);
  }
  return fields.get(name);
}

/** A message that carries a body of any type as it is (google/api/httpbody.proto). */
export function isHttpBody({ typeName }: DescMessage): boolean {
  return typeName === 'google.api.HttpBody';
}

/** How a value of the field (of a repeated one: one item; of a map: one value) has to look, for error messages. */
export function expectedValue(field: DescField): string {
  switch (field.fieldKind) {
    case 'scalar':
      return expectedScalar(field.scalar);
    case 'enum':
      return expectedEnum(field.enum);
    case 'message':
      return expectedMessage(field.message);
    case 'list':
      if (field.listKind === 'scalar') return expectedScalar(field.scalar);
      return field.listKind === 'enum' ? expectedEnum(field.enum) : expectedMessage(field.message);
    case 'map':
      if (field.mapKind === 'scalar') return expectedScalar(field.scalar);
      return field.mapKind === 'enum' ? expectedEnum(field.enum) : expectedMessage(field.message);
  }
}

export function expectedScalar(type: ScalarType): string {
  switch (type) {
    case ScalarType.BOOL:
      return 'true or false';
    case ScalarType.STRING:
      return 'a string';
    case ScalarType.BYTES:
      return 'a base64 string';
    case ScalarType.FLOAT:
    case ScalarType.DOUBLE:
      return 'a number';
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return 'an integer of 32 bits';
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return 'an integer of 32 bits, 0 or more';
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return 'an integer of 64 bits';
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return 'an integer of 64 bits, 0 or more';
  }
}

const NAMES_SHOWN = 12;

function expectedEnum({ values }: DescEnum): string {
  return `one of ${listed(values.map(({ name }) => name))}`;
}

export function expectedMessage({ typeName, fields }: DescMessage): string {
  switch (typeName) {
    case 'google.protobuf.Timestamp':
      return 'a time such as "2030-01-31T12:00:00Z" (RFC 3339)';
    case 'google.protobuf.Duration':
      return 'seconds such as "1.5s"';
    case 'google.protobuf.FieldMask':
      return 'field names with commas between them, such as "name,page_size"';
    case 'google.protobuf.ListValue':
      return 'an array';
    case 'google.protobuf.Value':
      return 'a JSON value';
    case 'google.protobuf.Any':
      return 'an object with an "@type" that is known here';
    default:
      return isWrapper(typeName) && fields[0] !== undefined ? expectedValue(fields[0]) : 'an object';
  }
}

const WRAPPER = /^google\.protobuf\.(?:Bool|Bytes|Double|Float|Int32|Int64|String|UInt32|UInt64)Value$/;

export function isWrapper(typeName: string): boolean {
  return WRAPPER.test(typeName);
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

/** The first names of many. */
export function listed(names: readonly string[]): string {
  const shown = names.slice(0, NAMES_SHOWN).join(', ');
  return names.length > NAMES_SHOWN ? `${shown}, …` : shown;
}
