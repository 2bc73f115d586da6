import type { Operation, PathItem, Response, Schema, Tag } from '../../src/bridge/openapi-document.ts';

export const EXTRA_TAGS: readonly Tag[] = [
  {
    name: 'Health',
    description: 'For load balancers and orchestrators. No key is asked for.',
  },
  {
    name: 'Data plane',
    description:
      'A part of what is passed through, by way of example: the list of models, which the gateway answers itself, and ' +
      'one endpoint of the upstream. `/vllm/{endpoint}` goes to vLLM, `/{provider}/{endpoint}` to a third party.',
  },
];

const ERROR = { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } };
const ANY_KEY = [{ master_key: [] }, { virtual_key: [] }];

export const EXTRA_SCHEMAS: Readonly<Record<string, Schema>> = {
  Readiness: {
    type: 'object',
    properties: {
      status: { type: 'string', enum: ['ready', 'draining'] },
      version: { type: 'string', description: 'The version of the gateway.' },
    },
    required: ['status', 'version'],
  },
  Model: {
    type: 'object',
    description: "A model in the OpenAI API's form.",
    properties: {
      id: { type: 'string', description: 'What requests name as `model`.' },
      object: { type: 'string', const: 'model' },
      created: { type: 'integer', description: 'When the configuration was taken into use, Unix seconds.' },
      owned_by: { type: 'string' },
    },
    required: ['id', 'object', 'created', 'owned_by'],
  },
  ModelList: {
    type: 'object',
    properties: {
      object: { type: 'string', const: 'list' },
      data: { type: 'array', items: { $ref: '#/components/schemas/Model' } },
    },
    required: ['object', 'data'],
  },
};

/** What is served over HTTP without being an RPC. */
export const EXTRA_PATHS: Readonly<Record<string, PathItem>> = {
  '/health/liveliness': {
    get: {
      operationId: 'health_liveliness',
      tags: ['Health'],
      summary: 'Answers while the process runs',
      responses: { 200: answer('It runs.', { type: 'string' }) },
      security: [],
    },
  },
  '/health/readiness': {
    get: {
      operationId: 'health_readiness',
      tags: ['Health'],
      summary: 'Says whether new requests are welcome',
      responses: {
        200: answer('They are.', { $ref: '#/components/schemas/Readiness' }),
        503: answer('The gateway is about to stop.', { $ref: '#/components/schemas/Readiness' }),
      },
      security: [],
    },
  },
  '/v1/models': {
    get: keyed({
      operationId: 'list_models',
      summary: 'Lists the models that requests may name',
      description: 'Where a vLLM server alone is configured, its own list is passed through.',
      responses: { 200: answer('The models.', { $ref: '#/components/schemas/ModelList' }) },
    }),
  },
  '/v1/models/{model}': {
    get: keyed({
      operationId: 'get_model',
      summary: 'Describes one of these models',
      parameters: [{ name: 'model', in: 'path', required: true, schema: { type: 'string' } }],
      responses: {
        200: answer('The model.', { $ref: '#/components/schemas/Model' }),
        404: { description: 'No such model.', content: ERROR },
      },
    }),
  },
  '/v1/chat/completions': {
    post: keyed({
      operationId: 'chat_completions',
      summary: 'Passes a chat on to the upstream that serves its model',
      description:
        'The body goes to the upstream as it came, but for the name of the model; the answer comes back as the upstream ' +
        'sends it, a stream as a stream.',
      requestBody: {
        required: true,
        content: {
          'application/json': {
            schema: {
              type: 'object',
              properties: { model: { type: 'string', description: 'A model of `/v1/models`.' } },
              required: ['model'],
              additionalProperties: true,
            },
            example: { model: 'example_model', messages: [{ role: 'user', content: 'Hello' }] },
          },
        },
      },
      responses: {
        200: {
          description: "The upstream's answer.",
          content: { 'application/json': {}, 'text/event-stream': {} },
        },
        404: { description: 'No such model.', content: ERROR },
        502: { description: "The upstream can't be reached, or broke off.", content: ERROR },
        504: { description: "The upstream didn't answer in time.", content: ERROR },
      },
    }),
  },
};

function keyed(operation: Operation): Operation {
  return {
    tags: ['Data plane'],
    ...operation,
    responses: {
      ...operation.responses,
      401: { description: 'No key was sent, or one that is malformed or not known here.', content: ERROR },
      default: { description: 'Any other error, of the gateway or of the upstream.', content: ERROR },
    },
    security: ANY_KEY,
  };
}

function answer(description: string, schema: Schema): Response {
  return { description, content: { 'application/json': { schema } } };
}
