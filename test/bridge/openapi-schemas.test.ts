import { describe, expect, test } from 'vitest';
import { compile, describeServices, propertiesOf } from './openapi-fixture.ts';

/** A field of the request message, and its schema. */
type Row = readonly [field: string, schema: unknown];

const SCALARS: readonly Row[] = [
  ['double f = 1;', { type: 'number', format: 'double' }],
  ['float f = 1;', { type: 'number', format: 'float' }],
  ['int32 f = 1;', { type: 'integer', format: 'int32' }],
  ['sfixed32 f = 1;', { type: 'integer', format: 'int32' }],
  ['uint32 f = 1;', { type: 'integer', minimum: 0, maximum: 4_294_967_295 }],
  // A JSON number holds 53 bits.
  ['int64 f = 1;', { type: 'string', format: 'int64' }],
  ['fixed64 f = 1;', { type: 'string', format: 'uint64' }],
  ['bool f = 1;', { type: 'boolean' }],
  ['string f = 1;', { type: 'string' }],
  ['optional string f = 1;', { type: 'string' }],
  ['bytes f = 1;', { type: 'string', contentEncoding: 'base64' }],
  ['bool f = 1 [deprecated = true];', { type: 'boolean', deprecated: true }],
  ['repeated int64 f = 1;', { type: 'array', items: { type: 'string', format: 'int64' } }],
  ['Colour f = 1;', { $ref: '#/components/schemas/Colour' }],
  ['Leaf f = 1;', { $ref: '#/components/schemas/Leaf' }],
  ['Outer.Inner f = 1;', { $ref: '#/components/schemas/Outer.Inner' }],
  ['repeated Leaf f = 1;', { type: 'array', items: { $ref: '#/components/schemas/Leaf' } }],
  ['map<string, bool> f = 1;', { type: 'object', additionalProperties: { type: 'boolean' } }],
  [
    'map<int32, Leaf> f = 1;',
    {
      type: 'object',
      propertyNames: { pattern: '^-?[0-9]+$' },
      additionalProperties: { $ref: '#/components/schemas/Leaf' },
    },
  ],
  [
    'map<bool, Colour> f = 1;',
    {
      type: 'object',
      propertyNames: { enum: ['true', 'false'] },
      additionalProperties: { $ref: '#/components/schemas/Colour' },
    },
  ],
];

const WELL_KNOWN: readonly Row[] = [
  ['google.protobuf.Timestamp f = 1;', { type: 'string', format: 'date-time' }],
  ['google.protobuf.Struct f = 1;', { type: 'object', additionalProperties: true }],
  ['google.protobuf.Value f = 1;', {}],
  ['google.protobuf.ListValue f = 1;', { type: 'array', items: {} }],
  ['google.protobuf.NullValue f = 1;', { type: 'null' }],
  ['google.protobuf.Empty f = 1;', { type: 'object', additionalProperties: false }],
  ['google.protobuf.Int64Value f = 1;', { type: ['string', 'null'], format: 'int64' }],
  ['google.protobuf.BoolValue f = 1;', { type: ['boolean', 'null'] }],
  ['google.protobuf.Duration f = 1;', expect.objectContaining({ type: 'string', format: 'google-duration' })],
  [
    'google.protobuf.FieldMask f = 1;',
    expect.objectContaining({ type: 'string', format: 'google-fieldmask' }),
  ],
  ['google.protobuf.Any f = 1;', expect.objectContaining({ type: 'object', required: ['@type'] })],
];

const string = (rules: string) => `string f = 1 [(buf.validate.field).string = {${rules}}];`;
const RULES: readonly Row[] = [
  [string('min_len: 1, max_len: 5'), { type: 'string', minLength: 1, maxLength: 5 }],
  [string('len: 3'), { type: 'string', minLength: 3, maxLength: 3 }],
  [string('pattern: "^[a-z]+$"'), { type: 'string', pattern: '^[a-z]+$' }],
  // No ECMA-262: the keyword would be an invalid schema.
  [string('pattern: "(?i)x\\\\z"'), { type: 'string', description: 'Matches `(?i)x\\z` (RE2).' }],
  [string('prefix: "/a.b"'), { type: 'string', pattern: '^/a\\.b' }],
  [
    string('prefix: "a" suffix: "z" not_contains: ".."'),
    { type: 'string', pattern: '^a', allOf: [{ pattern: 'z$' }, { pattern: '^(?!.*\\.\\.)' }] },
  ],
  [string('in: "a" in: "b"'), { type: 'string', enum: ['a', 'b'] }],
  [string('not_in: "a"'), { type: 'string', not: { enum: ['a'] } }],
  [string('const: "a"'), { type: 'string', const: 'a' }],
  [string('uuid: true'), { type: 'string', format: 'uuid' }],
  [string('uri: true'), { type: 'string', format: 'uri' }],
  [string('ip: true'), { type: 'string', anyOf: [{ format: 'ipv4' }, { format: 'ipv6' }] }],
  [string('max_bytes: 9'), { type: 'string', description: 'Bytes in UTF-8: at most 9.' }],
  [
    'bytes f = 1 [(buf.validate.field).bytes = {min_len: 1, max_len: 4}];',
    {
      type: 'string',
      contentEncoding: 'base64',
      minLength: 2,
      maxLength: 8,
      description: 'Bytes: at least 1. Bytes: at most 4.',
    },
  ],
  [
    'int32 f = 1 [(buf.validate.field).int32 = {gt: 0, lte: 10}];',
    { type: 'integer', format: 'int32', exclusiveMinimum: 0, maximum: 10 },
  ],
  // Protovalidate reads a lower bound above the upper one as "outside of both".
  [
    'int32 f = 1 [(buf.validate.field).int32 = {lt: 0, gte: 10}];',
    { type: 'integer', format: 'int32', anyOf: [{ exclusiveMaximum: 0 }, { minimum: 10 }] },
  ],
  [
    'double f = 1 [(buf.validate.field).double.gte = 0.5];',
    { type: 'number', format: 'double', minimum: 0.5 },
  ],
  [
    'uint32 f = 1 [(buf.validate.field).uint32.lt = 5];',
    { type: 'integer', minimum: 0, maximum: 4_294_967_295, exclusiveMaximum: 5 },
  ],
  [
    'int64 f = 1 [(buf.validate.field).int64.gte = 5];',
    { type: 'string', format: 'int64', description: 'At least 5.' },
  ],
  ['bool f = 1 [(buf.validate.field).bool.const = true];', { type: 'boolean', const: true }],
  [
    'Colour f = 1 [(buf.validate.field).enum = {not_in: 0}];',
    { $ref: '#/components/schemas/Colour', not: { enum: ['COLOUR_UNSPECIFIED'] } },
  ],
  [
    'repeated string f = 1 [(buf.validate.field).repeated = {min_items: 1, max_items: 9, unique: true, items: {string: {min_len: 2}}}];',
    { type: 'array', items: { type: 'string', minLength: 2 }, minItems: 1, maxItems: 9, uniqueItems: true },
  ],
  [
    'map<string, int32> f = 1 [(buf.validate.field).map = {max_pairs: 4, keys: {string: {max_len: 8}}, values: {int32: {gt: 0}}}];',
    {
      type: 'object',
      propertyNames: { maxLength: 8 },
      additionalProperties: { type: 'integer', format: 'int32', exclusiveMinimum: 0 },
      maxProperties: 4,
    },
  ],
  [
    'google.protobuf.Duration f = 1 [(buf.validate.field).duration.lte = {seconds: 90}];',
    expect.objectContaining({ format: 'google-duration', description: 'At most 90s.' }),
  ],
  [
    'string f = 1 [(buf.validate.field).ignore = IGNORE_ALWAYS, (buf.validate.field).string.min_len = 4];',
    { type: 'string' },
  ],
  [
    'string f = 1 [(buf.validate.field).cel = {id: "f", message: "must be even", expression: "size(this) % 2 == 0"}];',
    { type: 'string', description: 'Must be even.' },
  ],
];

function compiledRows(rows: readonly Row[]) {
  const messages = rows.map(([field], i) => `message M${i} { ${field} }`).join('\n');
  const methods = rows.map(
    (_, i) =>
      `rpc R${i}(M${i}) returns (google.protobuf.Empty) { option (google.api.http) = {post: "/r${i}" body: "*"}; }`,
  );
  return describeServices(
    compile(`${messages}
      message Leaf { string text = 1; }
      message Outer { message Inner { bool on = 1; } }
      enum Colour { COLOUR_UNSPECIFIED = 0; COLOUR_RED = 1; }
      service Odd { ${methods.join('\n')} }`),
  );
}

describe.each([
  ['a field', SCALARS],
  ['a well-known type', WELL_KNOWN],
  ['a rule', RULES],
] as const)('the schema of %s', (_, rows) => {
  const document = compiledRows(rows);
  test.each(rows.map(([field, schema], i) => [field, schema, `M${i}`] as const))(
    '%s',
    (_, schema, message) => {
      expect(propertiesOf(document, message).f).toEqual(schema);
    },
  );
});

describe('a message', () => {
  const document = describeServices(
    compile(`
      // A request.
      message AskRequest {
        // Must be there.
        string implicit = 1 [(buf.validate.field).string.min_len = 1];
        optional string explicit = 2 [(buf.validate.field).string.min_len = 1];
        Both both = 3 [(buf.validate.field).required = true];
        string prefixed = 4 [(buf.validate.field).string.prefix = "/"];
        int32 counted = 5 [(buf.validate.field).int32.lte = 5];
        string skipped = 6 [(buf.validate.field).string.min_len = 1, (buf.validate.field).ignore = IGNORE_IF_ZERO_VALUE];
        repeated string list = 7 [(buf.validate.field).repeated.min_items = 1];
      }
      message Both { string text = 1; AskResponse nested = 2; }
      message Choice {
        option (buf.validate.message).oneof = { fields: ["c", "d"], required: true };
        oneof which { string a = 1; string b = 2; }
        optional string c = 3;
        optional string d = 4;
      }
      message One { oneof part { option (buf.validate.oneof).required = true; string a = 1; One b = 2; } }
      message AskResponse {
        string text = 1;
        optional string maybe = 2;
        Leaf leaf = 3;
        repeated string list = 4;
        map<string, string> map = 5;
        oneof which { bool yes = 6; }
      }
      // What is at the end.
      message Leaf {
        // First line,
        // same paragraph.
        //
        // - an item
        // - another
        string text = 1;
      }
      // Where it goes.
      enum Way {
        // Not said.
        WAY_UNSPECIFIED = 0;
        WAY_UP = 1;
      }
      service Odd {
        rpc Ask(AskRequest) returns (AskResponse) { option (google.api.http) = {post: "/ask" body: "*"}; }
        rpc Choose(Choice) returns (Both) { option (google.api.http) = {post: "/choose" body: "*"}; }
        rpc Take(One) returns (Ways) { option (google.api.http) = {post: "/take" body: "*"}; }
      }
      message Ways { Way way = 1; }
    `),
  );
  const { schemas } = document.components;

  test('requires what an empty request would be refused for', () => {
    expect(schemas.AskRequest?.required).toEqual(['implicit', 'both', 'prefixed', 'list']);
  });

  test('says of a response that the fields without presence are always there', () => {
    expect(schemas.Ways?.required).toEqual(['way']);
    expect(schemas.Leaf?.required).toBeUndefined(); // within a request too, by way of Both
  });

  test('is closed where it stands in requests alone', () => {
    expect(schemas.AskRequest?.additionalProperties).toBe(false);
    expect(schemas.Both).not.toHaveProperty('additionalProperties');
    expect(schemas.Ways).not.toHaveProperty('additionalProperties');
  });

  test('has its comment and those of its fields, paragraphs joined and lists kept', () => {
    expect(schemas.AskRequest?.description).toBe('A request.');
    expect(propertiesOf(document, 'AskRequest').implicit?.description).toBe('Must be there.');
    expect(propertiesOf(document, 'Leaf').text?.description).toBe(
      'First line, same paragraph.\n\n- an item\n- another',
    );
  });

  test('has at most one field of a oneof, and exactly one where the rules say so', () => {
    const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((name) => ({ required: [name] }));
    expect(schemas.Choice?.allOf).toEqual([{ oneOf: [a, b, { not: { anyOf: [a, b] } }] }, { oneOf: [c, d] }]);
    expect(schemas.One?.oneOf).toEqual([a, b]);
  });

  test('may hold itself', () => {
    expect(propertiesOf(document, 'One').b).toEqual({ $ref: '#/components/schemas/One' });
  });

  test('describes the values of an enum', () => {
    expect(schemas.Way).toEqual({
      type: 'string',
      enum: ['WAY_UNSPECIFIED', 'WAY_UP'],
      description: 'Where it goes.\n\n- `WAY_UNSPECIFIED`: Not said.\n- `WAY_UP`',
    });
  });
});

test('shows the defaults of proto2', () => {
  const registry = compile(
    `enum Way { UP = 1; DOWN = 2; }
     message M {
       optional int32 number = 1 [default = 7];
       optional int64 large = 2 [default = -9007199254740993];
       optional bytes raw = 3 [default = "hi"];
       optional Way way = 4 [default = DOWN];
       optional string none = 5;
     }
     service Odd { rpc Ask(M) returns (M) { option (google.api.http) = {post: "/ask" body: "*"}; } }`,
    'syntax = "proto2";',
  );
  const properties = propertiesOf(describeServices(registry), 'M');
  expect(Object.values(properties).map((schema) => schema.default)).toEqual([
    7,
    '-9007199254740993',
    'aGk=',
    'DOWN',
    undefined,
  ]);
});
