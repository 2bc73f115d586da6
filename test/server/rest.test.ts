import { describe, expect, test } from 'vitest';
import { SluiceError } from '../../src/base/errors.ts';
import { ask, errorOf, PROTOCOLS } from '../helpers/ask.ts';
import { type RestFixtureOptions, startRest } from './rest-fixture.ts';

const JSON_TYPE = ['Content-Type', 'application/json'];
const CONFIG_ID = 'abcd1234-efgh-5678-ijkl-9012mnop3456';
const CONFIGURATION = {
  configId: CONFIG_ID,
  modelId: 'example_model',
  modelName: 'gpt-3',
  modelType: 'openai',
  modelKwargs: { temperature: 0.7 },
};

/** Answers as the user's document shows. */
const documented: RestFixtureOptions['model'] = {
  configureModel: ({ modelId, modelName, modelType, modelKwargs }) => {
    expect({ modelId, modelName, modelType, modelKwargs }).toEqual({
      modelId: 'example_model',
      modelName: 'gpt-3',
      modelType: 'openai',
      modelKwargs: { temperature: 0.7 },
    });
    return { configId: CONFIG_ID };
  },
  loadModel: ({ configId }) => {
    expect(configId).toBe(CONFIG_ID);
    return { message: 'Model loaded successfully' };
  },
  unloadModel: ({ modelId }) => {
    expect(modelId).toBe('example_model');
    return { message: 'Model unloaded successfully' };
  },
  infer: ({ modelId, prompt, inferenceKwargs }) => {
    expect({ modelId, prompt, inferenceKwargs }).toEqual({
      modelId: 'example_model',
      prompt: 'What is the capital of France?',
      inferenceKwargs: { max_tokens: 50 },
    });
    return { response: 'The capital of France is Paris.' };
  },
  listConfigurations: () => ({ configurations: [CONFIGURATION] }),
  getConfiguration: ({ configId }) => {
    if (configId !== CONFIG_ID) {
      throw new SluiceError('config_not_found', `There is no configuration ${configId}.`, {
        param: 'config_id',
      });
    }
    return { configuration: CONFIGURATION };
  },
  deleteConfiguration: () => ({ detail: 'Configuration deleted successfully' }),
  listLoadedModels: () => ({ modelIds: ['example_model'] }),
};

/** The bodies as they are on the wire: exactly the documented fields. */
const CONFIGURATION_JSON = `{"config_id":"${CONFIG_ID}","model_id":"example_model","model_name":"gpt-3","model_type":"openai","model_kwargs":{"temperature":0.7}}`;
const DOCUMENTED: readonly (readonly [string, string, string | undefined, string])[] = [
  [
    'POST',
    '/llm/configure_model/',
    '{"model_id": "example_model", "model_name": "gpt-3", "model_type": "openai", "model_kwargs": {"temperature": 0.7}}',
    `{"config_id":"${CONFIG_ID}"}`,
  ],
  ['POST', `/llm/load_model/${CONFIG_ID}`, undefined, '{"message":"Model loaded successfully"}'],
  ['POST', '/llm/unload_model/example_model', undefined, '{"message":"Model unloaded successfully"}'],
  [
    'POST',
    '/llm/inference/',
    '{"model_id": "example_model", "prompt": "What is the capital of France?", "inference_kwargs": {"max_tokens": 50}}',
    '{"response":"The capital of France is Paris."}',
  ],
  ['GET', '/llm/configurations/', undefined, `[${CONFIGURATION_JSON}]`],
  ['GET', `/llm/configuration/${CONFIG_ID}`, undefined, CONFIGURATION_JSON],
  ['DELETE', `/llm/configuration/${CONFIG_ID}`, undefined, '{"detail":"Configuration deleted successfully"}'],
  ['GET', '/llm/loaded_models/', undefined, '["example_model"]'],
];

describe.for(PROTOCOLS)('REST over %s', (protocol) => {
  test('answers every documented request with exactly the documented body, with and without trailing slash', async () => {
    const { number } = await startRest({ model: documented });
    for (const [method, path, body, answered] of DOCUMENTED) {
      const bare = path.replace(/\/$/, '');
      for (const asked of [bare, `${bare}/`]) {
        const question = { method, path: asked, ...(body !== undefined && { body, headers: JSON_TYPE }) };
        const answer = await ask(protocol, number, question);
        expect([asked, answer.status, answer.body.toString()]).toEqual([asked, 200, answered]);
        expect(answer.header('content-type')).toBe('application/json');
        expect(answer.header('content-length')).toBe(String(answer.body.length));
        expect(answer.header('x-sluice-request-id')).toMatch(/^[\w-]+$/);
      }
    }
  });

  test('lists nothing as an empty array', async () => {
    const { number } = await startRest({
      model: { listConfigurations: () => ({}), listLoadedModels: () => ({}) },
    });
    for (const path of ['/llm/configurations', '/llm/loaded_models']) {
      expect((await ask(protocol, number, { path })).body.toString()).toBe('[]');
    }
  });

  test('answers an error with the envelope, the request id and a record', async () => {
    const rest = await startRest({ model: documented });
    const answer = await ask(protocol, rest.number, { path: '/llm/configuration/none?' });
    expect(answer.status).toBe(404);
    expect(errorOf(answer)).toEqual({
      message: 'There is no configuration none.',
      type: 'not_found_error',
      param: 'config_id',
      code: 'config_not_found',
    });
    const [record] = await rest.recorded(1);
    expect(record).toMatchObject({
      id: answer.header('x-sluice-request-id'),
      method: 'GET',
      path: '/llm/configuration/none',
      route: 'rest sluice.v1.ModelService/GetConfiguration',
      status: 404,
      outcome: 'refused',
      why: 'config_not_found',
      bytesIn: 0,
      bytesOut: answer.body.length,
    });
  });

  test('leaves other paths to others', async () => {
    const { number, records } = await startRest({ model: documented });
    const answer = await ask(protocol, number, { path: '/llm/nothing' });
    expect(answer.body.toString()).toBe('GET /llm/nothing ');
    expect(records).toEqual([]);
  });
});
