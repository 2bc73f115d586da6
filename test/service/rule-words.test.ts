import { type DescMessage, fromJson, type JsonValue } from '@bufbuild/protobuf';
import { createValidator } from '@bufbuild/protovalidate';
import { describe, expect, test } from 'vitest';
import { inWords } from '../../src/service/interceptors/rule-words.ts';
import { compile } from '../bridge/openapi-fixture.ts';

/** A field with a rule, a value that breaks it, and what is said. */
type Row = readonly [field: string, value: JsonValue, words: string];

const ROWS: readonly Row[] = [
  // strings and bytes
  ['string f = 1 [(buf.validate.field).string.min_len = 1];', '', 'f: must not be empty'],
  ['string f = 1 [(buf.validate.field).string.min_len = 3];', 'ab', 'f: must have at least 3 characters'],
  ['string f = 1 [(buf.validate.field).string.max_len = 2];', 'abc', 'f: must have at most 2 characters'],
  ['string f = 1 [(buf.validate.field).string.min_bytes = 2];', 'a', 'f: must have at least 2 bytes'],
  ['bytes f = 1 [(buf.validate.field).bytes.min_len = 1];', '', 'f: must not be empty'],
  ['string f = 1 [(buf.validate.field).string.prefix = "/"];', 'a', 'f: must begin with "/"'],
  ['string f = 1 [(buf.validate.field).string.suffix = "\\""];', 'a', 'f: must end with "\\""'],
  // numbers
  ['int32 f = 1 [(buf.validate.field).int32.gte = 0];', -1, 'f: must be at least 0'],
  ['int64 f = 1 [(buf.validate.field).int64.gt = 0];', '0', 'f: must be above 0'],
  ['uint32 f = 1 [(buf.validate.field).uint32.lt = 5];', 5, 'f: must be below 5'],
  ['float f = 1 [(buf.validate.field).float.lte = 0.5];', 1, 'f: must be at most 0.5'],
  [
    'double f = 1 [(buf.validate.field).double = {gt: 0, lte: 86400}];',
    0,
    'f: must be above 0 and at most 86400',
  ],
  [
    'int32 f = 1 [(buf.validate.field).int32 = {gte: 0, lte: 100}];',
    101,
    'f: must be at least 0 and at most 100',
  ],
  ['double f = 1 [(buf.validate.field).double.finite = true];', 'NaN', 'f: must be a finite number'],
  // lists and maps
  ['repeated bool f = 1 [(buf.validate.field).repeated.min_items = 1];', [], 'f: must not be empty'],
  [
    'repeated bool f = 1 [(buf.validate.field).repeated.max_items = 1];',
    [true, true],
    'f: must have at most 1 items',
  ],
  [
    'repeated string f = 1 [(buf.validate.field).repeated.items.string.min_len = 1];',
    ['a', ''],
    'f[1]: must not be empty',
  ],
  [
    'map<string, bool> f = 1 [(buf.validate.field).map.max_pairs = 1];',
    { a: true, b: true },
    'f: must have at most 1 entries',
  ],
  [
    'map<string, int32> f = 1 [(buf.validate.field).map.values.int32.gte = 0];',
    { a: -1 },
    'f["a"]: must be at least 0',
  ],
  [
    'map<string, bool> f = 1 [(buf.validate.field).map.keys.string.min_len = 1];',
    { '': true },
    'f[""]: a key must not be empty',
  ],
  // what has to be there
  ['google.protobuf.Empty f = 1 [(buf.validate.field).required = true];', null, 'f: is required'],
  [
    'oneof one { option (buf.validate.oneof).required = true; bool f = 1; bool g = 2; }',
    null,
    'one: one of f, g is required',
  ],
  // in the proto's own words
  [
    'string f = 1 [(buf.validate.field).cel = {id: "f", message: "must be even", expression: "size(this) % 2 == 0"}];',
    'a',
    'f: must be even',
  ],
];

/** Rules that have no words of ours keep the validator's. */
const OTHERS: readonly (readonly [field: string, value: JsonValue])[] = [
  ['string f = 1 [(buf.validate.field).string.email = true];', 'a'],
  ['int32 f = 1 [(buf.validate.field).int32 = {gte: 5, lt: 3}];', 4],
  ['google.protobuf.Duration f = 1 [(buf.validate.field).duration.gte = {seconds: 1}];', '0s'],
];

const all = [...ROWS, ...OTHERS];
const registry = compile(all.map(([field], i) => `message M${i} { ${field} }`).join('\n'));
const validator = createValidator({ registry });

function broken(row: readonly [string, JsonValue, ...unknown[]]) {
  const message = registry.getMessage(`odd.v1.M${all.indexOf(row as Row)}`) as DescMessage;
  const { violations = [] } = validator.validate(
    message,
    fromJson(message, row[1] === null ? {} : { f: row[1] }),
  );
  return violations;
}

describe('a rule in words', () => {
  test.each(ROWS.map((row) => [...row, row] as const))('%s %j', (_, __, words, row) => {
    const [violation, ...more] = broken(row).map(inWords);
    expect(String(violation)).toBe(`${words} [${violation?.ruleId}]`);
    expect(more).toEqual([]);
  });

  test.each(OTHERS.map((row) => [...row, row] as const))('%s %j', (_, __, row) => {
    const violations = broken(row);
    expect(violations).toHaveLength(1);
    expect(violations.map(inWords).map(String)).toEqual(violations.map(String));
  });
});
