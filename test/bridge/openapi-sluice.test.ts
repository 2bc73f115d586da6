import { readFileSync } from 'node:fs';
import { fromJson, getOption, type JsonObject } from '@bufbuild/protobuf';
import { createValidator } from '@bufbuild/protovalidate';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { OPENAPI_JSON } from '../../gen/openapi.ts';
import { Access, access } from '../../gen/sluice/v1/access_pb.ts';
import { KeyService } from '../../gen/sluice/v1/key_service_pb.ts';
import { ModelService } from '../../gen/sluice/v1/model_service_pb.ts';
import { PassthroughService } from '../../gen/sluice/v1/passthrough_service_pb.ts';
import { SluiceError } from '../../src/base/errors.ts';
import type { OpenApiDocument, Operation } from '../../src/bridge/openapi-document.ts';
import { operationsOf } from './openapi-fixture.ts';

const document = JSON.parse(OPENAPI_JSON) as OpenApiDocument;
const operations = operationsOf(document);
const byId = new Map<string, Operation>([...operations.values()].map((each) => [each.operationId, each]));
const methods = [KeyService, ModelService, PassthroughService].flatMap((service) => service.methods);

test('the YAML for people is the JSON that is served', () => {
  const yaml = readFileSync(new URL('../../gen/openapi.yaml', import.meta.url), 'utf8');
  expect(parse(yaml)).toEqual(document);
});

/** As the API was published, to the slash. */
test.each([
  ['POST /llm/configure_model/', 'ConfigureModelRequest', 'ConfigureModelResponse'],
  ['POST /llm/load_model/{config_id}', null, 'LoadModelResponse'],
  ['POST /llm/unload_model/{model_id}', null, 'UnloadModelResponse'],
  ['POST /llm/inference/', 'InferRequest', 'InferResponse'],
  ['GET /llm/configurations/', null, ['ModelConfiguration']],
  ['GET /llm/configuration/{config_id}', null, 'ModelConfiguration'],
  ['DELETE /llm/configuration/{config_id}', null, 'DeleteConfigurationResponse'],
  ['GET /llm/loaded_models/', null, ['string']],
] as const)('%s takes and answers what is documented', (key, request, response) => {
  const operation = operations.get(key);
  const body = operation?.requestBody?.content['application/json']?.schema;
  expect(body).toEqual(request === null ? undefined : { $ref: `#/components/schemas/${request}` });
  const answered = operation?.responses[200]?.content?.['application/json']?.schema;
  if (typeof response === 'string') {
    expect(answered).toMatchObject({ $ref: `#/components/schemas/${response}` });
  } else {
    const [item] = response;
    const items = item === 'string' ? { type: 'string' } : { $ref: `#/components/schemas/${item}` };
    expect(answered).toMatchObject({ type: 'array', items });
  }
});

test('ConfigureModel asks for the documented fields', () => {
  const { properties, required } = document.components.schemas.ConfigureModelRequest ?? {};
  expect(Object.keys(properties as object)).toEqual(['model_id', 'model_name', 'model_type', 'model_kwargs']);
  expect(required).toEqual(['model_id', 'model_name', 'model_type']);
});

test.each(
  methods
    .map((method) => [`${method.parent.name}_${method.name}`, method] as const)
    .filter(([id]) => id !== 'PassthroughService_Forward' && id !== 'PassthroughService_Fetch'),
)('%s is described, and takes the keys that the service takes', (id, method) => {
  const operation = byId.get(id);
  expect(operation?.summary).toMatch(/^[A-Z]/);
  const schemes = operation?.security?.flatMap((requirement) => Object.keys(requirement));
  const any = getOption(method, access) === Access.ANY_KEY;
  expect(schemes).toEqual(any ? ['master_key', 'virtual_key'] : ['master_key']);
  expect(Object.keys(operation?.responses ?? {})).toContain('401');
});

test('every example is a request that passes validation', () => {
  const validator = createValidator();
  const examples = methods.flatMap((method) => {
    const operation = byId.get(`${method.parent.name}_${method.name}`);
    const example = operation?.requestBody?.content['application/json']?.example;
    if (example === undefined) return [];
    const inPath = operation?.parameters?.map(({ name }) => [name, 'x'] as const) ?? [];
    const message = fromJson(method.input, { ...(example as JsonObject), ...Object.fromEntries(inPath) });
    return [validator.validate(method.input, message).kind];
  });
  expect(examples.length).toBeGreaterThan(3);
  expect(new Set(examples)).toEqual(new Set(['valid']));
});

test('every reference leads somewhere, and every schema is referred to', () => {
  const references = new Set(
    [...OPENAPI_JSON.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)].map(([, name]) => name),
  );
  expect([...references].sort()).toEqual(Object.keys(document.components.schemas).sort());
});

test('every parameter of a path is described, once', () => {
  for (const [key, { parameters = [] }] of operations) {
    const written = [...key.matchAll(/\{([^}]+)\}/g)].map(([, name]) => name);
    expect(parameters.filter((each) => each.in === 'path').map(({ name }) => name)).toEqual(written);
  }
});

test('the error envelope is the one that is sent', () => {
  const sent = JSON.parse(new SluiceError('missing_key', 'no key').envelope) as { error: object };
  const { properties } = document.components.schemas.Error as {
    properties: { error: { required: string[] } };
  };
  expect(properties.error.required).toEqual(Object.keys(sent.error));
});

test('nothing is asked of a health check', () => {
  expect(operations.get('GET /health/liveliness')?.security).toEqual([]);
  expect(operations.get('GET /health/readiness')?.security).toEqual([]);
});
