import { expect, test } from 'vitest';
import { childEnvironment } from '../../../src/models/vllm-managed/child-environment.ts';

const passes = (name: string, value = 'x') => Object.hasOwn(childEnvironment({ [name]: value }, {}), name);

test.each([
  'PATH',
  'HOME',
  'LANG',
  'LD_LIBRARY_PATH',
  'VIRTUAL_ENV',
  'CUDA_VISIBLE_DEVICES',
  'NCCL_P2P_DISABLE',
  'VLLM_ATTENTION_BACKEND',
  'HF_TOKEN',
  'HUGGING_FACE_HUB_TOKEN',
  'HF_HOME',
  'TOKENIZERS_PARALLELISM',
  'PYTORCH_CUDA_ALLOC_CONF',
  'AWS_REGION',
  'PWD',
  'KEYBOARD',
  'MONKEY_PATCH',
])('%s is passed on', (name) => {
  expect(passes(name)).toBe(true);
});

test.each([
  'SLUICE_MASTER_KEY',
  'SLUICE_ANYTHING',
  'LITELLM_MASTER_KEY',
  'LITELLM_SALT_KEY',
  'REMODL_MASTER_KEY',
  'DHEERA_AI_MASTER_KEY',
  'DATABASE_URL',
  'REDIS_URL',
  'REDIS_HOST',
  'OPENAI_API_KEY',
  'HOSTED_VLLM_API_KEY',
  'VLLM_API_KEY',
  'BRIA_API_TOKEN',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'GOOGLE_APPLICATION_CREDENTIALS',
  'PGPASSWORD',
  'LANGFUSE_PUBLIC_KEY',
  'SENTRY_DSN',
  'NODE_OPTIONS',
  'NOTIFY_SOCKET',
  'OPENAI_API_KEY_2',
  'STRIPE_KEY_LIVE',
  'DB_PASS',
  'MYSQL_PWD',
])('%s is kept back', (name) => {
  expect(passes(name)).toBe(false);
});

test('a URL with credentials is kept back, unless it is a proxy’s', () => {
  expect(passes('CACHE_URL', 'https://user:password@host/')).toBe(false);
  expect(passes('CACHE_URL', 'https://host/a@b')).toBe(true);
  expect(passes('https_proxy', 'http://user:password@proxy:3128')).toBe(true);
});

test('what vLLM is given wins, and what isn’t set stays so', () => {
  expect(childEnvironment({ VLLM_API_KEY: 'old', A: undefined, B: '' }, { VLLM_API_KEY: 'new' })).toEqual({
    B: '',
    VLLM_API_KEY: 'new',
  });
});

test('what the configuration took as a secret is kept back, whatever it is called', () => {
  const secrets = ['sk-master-0123456789', 'Bearer co-0123456789'];
  const environment = {
    GATEWAY_ADMIN: 'sk-master-0123456789',
    COHERE: 'co-0123456789',
    SHORT: 'master',
    HF_TOKEN: 'co-0123456789',
  };
  expect(childEnvironment(environment, {}, secrets)).toEqual({ SHORT: 'master', HF_TOKEN: 'co-0123456789' });
});
