import type { JsonObject } from '@bufbuild/protobuf';

/** Requests that can be sent as they are, once there is a model; by operationId. */
export const EXAMPLES: Readonly<Record<string, JsonObject>> = {
  KeyService_GenerateKey: {
    key_alias: 'alice',
    duration: '1mo',
    models: ['example_model'],
    rpm_limit: 60,
    max_budget: 10,
    budget_duration: '7d',
  },
  KeyService_UpdateKey: {
    key_alias: 'alice',
    rpm_limit: 120,
  },
  KeyService_DeleteKeys: {
    key_aliases: ['alice'],
  },
  KeyService_RegenerateKey: {
    grace_period: '2h',
  },
  ModelService_ConfigureModel: {
    model_id: 'example_model',
    model_name: 'gpt-3',
    model_type: 'openai',
    model_kwargs: { temperature: 0.7 },
  },
  ModelService_Infer: {
    model_id: 'example_model',
    prompt: 'What is the capital of France?',
    inference_kwargs: { max_tokens: 50 },
  },
  ModelService_StreamInfer: {
    model_id: 'example_model',
    prompt: 'What is the capital of France?',
    inference_kwargs: { max_tokens: 50 },
  },
  PassthroughService_CreateEndpoint: {
    path: '/bria',
    target: 'https://engine.prod.bria-api.com',
    headers: { api_token: 'a token of the third party' },
    include_subpath: true,
    auth: true,
  },
  PassthroughService_UpdateEndpoint: {
    timeout: 120,
  },
};
