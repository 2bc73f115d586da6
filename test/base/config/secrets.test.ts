import { expect, test } from 'vitest';
import { secretsOf } from '../../../src/base/config/secrets.ts';
import { parsed } from './parsed.ts';

test('the secrets of a configuration are its keys and the values of its headers', () => {
  const config = parsed(
    `
general_settings:
  master_key: os.environ/ADMIN
  pass_through_endpoints:
    - path: /rerank
      target: https://api.cohere.com/v1/rerank
      headers: {Authorization: bearer os.environ/COHERE}
model_list:
  - model_name: m
    params: {model: hosted_vllm/m, api_base: 'http://127.0.0.1:8000', api_key: os.environ/VLLM, extra_headers: {x-team: t-1}}
`,
    { ADMIN: 'sk-admin', COHERE: 'co-1', VLLM: 'vk-1', OPENAI_API_KEY: 'ok-1' },
  );
  expect(secretsOf(config)).toEqual(
    expect.arrayContaining(['sk-admin', 'bearer co-1', 'vk-1', 'ok-1', 't-1']),
  );
});
