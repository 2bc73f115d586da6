import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { configJsonSchema } from '../../../src/base/config/json-schema.ts';

const ROOT = new URL('../../../', import.meta.url);
const committed = JSON.parse(readFileSync(new URL('schema/config.schema.json', ROOT), 'utf8'));

type Schema = Readonly<Record<string, unknown>>;

/** The keywords that the generated schema uses, and no others: an unknown one fails the test that meets it. */
const KEYWORDS: Readonly<Record<string, (value: unknown, rule: never, schema: Schema) => boolean>> = {
  $ref: (value, rule: string) => accepts(value, committed.definitions[rule.replace('#/definitions/', '')]),
  type: (value, rule: string | readonly string[]) => [rule].flat().some((type) => isOfType(value, type)),
  minLength: (value, rule: number) => typeof value !== 'string' || value.length >= rule,
  items: (value, rule: Schema) => !Array.isArray(value) || value.every((item) => accepts(item, rule)),
  anyOf: (value, rule: readonly Schema[]) => rule.some((schema) => accepts(value, schema)),
  oneOf: (value, rule: readonly Schema[]) => rule.filter((schema) => accepts(value, schema)).length === 1,
  required: (value, rule: readonly string[]) =>
    !isObject(value) || rule.every((key) => Object.hasOwn(value, key)),
  properties: (value, rule: Readonly<Record<string, Schema>>) =>
    Object.entries(rule).every(
      ([key, schema]) => !isObject(value) || !Object.hasOwn(value, key) || accepts(value[key], schema),
    ),
  patternProperties: (value, rule: Readonly<Record<string, Schema>>) =>
    Object.entries(rule).every(
      ([pattern, schema]) =>
        !isObject(value) ||
        Object.entries(value).every(([key, item]) => !new RegExp(pattern).test(key) || accepts(item, schema)),
    ),
  additionalProperties: (value, rule: Schema | false, { properties = {}, patternProperties = {} }) =>
    !isObject(value) ||
    Object.entries(value).every(
      ([key, item]) =>
        Object.hasOwn(properties as object, key) ||
        Object.keys(patternProperties as object).some((pattern) => new RegExp(pattern).test(key)) ||
        (rule !== false && accepts(item, rule)),
    ),
};

const ANNOTATIONS = new Set([
  '$schema',
  'definitions',
  'description',
  'title',
  'default',
  'writeOnly',
  'id',
  '$id',
]);

function accepts(value: unknown, schema: Schema): boolean {
  return Object.entries(schema).every(([keyword, rule]) => {
    if (ANNOTATIONS.has(keyword)) return true;
    const check = KEYWORDS[keyword];
    if (check === undefined)
      throw new Error(`the schema has a keyword that this check doesn't know: ${keyword}`);
    return check(value, rule as never, schema);
  });
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isOfType(value: unknown, type: string): boolean {
  if (type === 'null') return value === null;
  if (type === 'array') return Array.isArray(value);
  if (type === 'object') return isObject(value);
  return typeof value === type;
}

describe('schema/config.schema.json', () => {
  test('is what the sections generate', () => {
    expect(committed).toEqual(configJsonSchema());
  });

  const examples = readdirSync(new URL('examples/', ROOT)).filter((name) => name.endsWith('.yaml'));

  test.each(examples)('accepts examples/%s', (name) => {
    const value = parse(readFileSync(new URL(`examples/${name}`, ROOT), 'utf8'), { merge: true });
    expect(accepts(value, committed)).toBe(true);
  });

  test.each([
    'model_list: [{model_name: m, litellm_params: {model: x, rpm: 5, aws_region_name: y, timeout: "5"}}]',
    'model_list: [{model_name: m, remodl_params: {model: x}, model_info: {anything: [1]}}]',
    'model_list: [{model_name: m, dheera_ai_params: {model: x}}]',
    'model_list: [{model_name: m, params: {model: x}}]',
    'general_settings: {alerting: [slack], tls: {cert: a, key: b}, maximum_spend_logs_retention_period: 7d}',
    'router_settings:\nlitellm_settings: {ssl_verify: false}\nx-anchors: {free: true}',
    'guardrails: [{guardrail_name: x}]',
  ])('accepts %s', (text) => {
    expect(accepts(parse(text), committed)).toBe(true);
  });

  test.each([
    'modle_list: []',
    'model_list: {}',
    'model_list: [{model_name: m}]',
    'model_list: [{litellm_params: {model: x}}]',
    'model_list: [{model_name: m, litellm_params: {model: x}, params: {model: x}}]',
    'model_list: [{model_name: m, litellm_params: {modle: x}}]',
    'model_list: [{model_name: m, litellm_params: {model: x, api_bse: y}}]',
    'general_settings: {master_key: 1234}',
    'general_settings: {pass_through_endpoints: [{path: /a}]}',
    'general_settings: {pass_through_endpoints: [{path: /a, target: "https://h", methods: POST}]}',
    'general_settings: {tls: {cert: a}}',
  ])('refuses %s', (text) => {
    expect(accepts(parse(text), committed)).toBe(false);
  });

  test('describes every key that is acted on', () => {
    const undescribed: string[] = [];
    const visit = (schema: unknown, path: string): void => {
      if (!isObject(schema)) return;
      for (const [key, property] of Object.entries((schema.properties ?? {}) as Record<string, Schema>)) {
        if (!('$ref' in property) && typeof property.description !== 'string' && !('anyOf' in property)) {
          undescribed.push(`${path}.${key}`);
        }
        visit(property, `${path}.${key}`);
      }
      for (const inner of [schema.items, ...((schema.anyOf ?? []) as unknown[])]) visit(inner, path);
    };
    visit(committed, '');
    for (const [name, definition] of Object.entries(committed.definitions)) visit(definition, name);
    expect(undescribed).toEqual([]);
  });
});
