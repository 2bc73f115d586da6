import { describe, expect, test } from 'vitest';
import { isHeaderName } from '../../src/base/config/headers.ts';
import { parseHttpUrl } from '../../src/base/config/http-url.ts';
import { isControlPlanePath } from '../../src/base/config/reserved-paths.ts';
import { unrelayedReason } from '../../src/base/config/unrelayed-providers.ts';
import { PROVIDERS, providerFrom } from '../../src/upstream/providers.ts';

const names = PROVIDERS.flatMap(({ id, aliases }) => [id, ...aliases]);

describe('the provider table', () => {
  test('has each id and alias once', () => {
    expect(names.toSorted()).toEqual([...new Set(names)].toSorted());
  });

  test('has the providers that the contract names', () => {
    expect(names).toEqual(
      expect.arrayContaining(['vllm', 'hosted_vllm', 'openai', 'anthropic', 'cohere', 'mistral']),
    );
  });

  test.each(names)('/%s is a path of its own, not the control plane’s and not /v1', (name) => {
    expect(name).toMatch(/^[a-z][a-z0-9_-]*$/);
    expect(isControlPlanePath(`/${name}/x`)).toBe(false);
    expect(name).not.toBe('v1');
    expect(unrelayedReason(name)).toBeNull();
  });

  test.each(PROVIDERS.map((provider) => [provider.id, provider] as const))(
    '%s is well formed',
    (_id, provider) => {
      if (provider.apiBase === null) expect(provider.apiBaseEnv).not.toEqual([]);
      else {
        const raw = provider.apiBase;
        expect(parseHttpUrl(raw, { raw, use: 'base', credentials: '' })).toMatchObject({
          kind: 'url',
          url: raw,
        });
      }
      for (const variable of [...provider.apiBaseEnv, ...provider.apiKeyEnv]) {
        expect(variable).toMatch(/^[A-Z][A-Z0-9_]*$/);
      }
      expect(isHeaderName(provider.authHeader)).toBe(true);
      expect(provider.authHeader).toBe(provider.authHeader.toLowerCase());
      expect(provider.authPrefix).toMatch(/^([A-Za-z]+ )?$/);
      for (const pattern of provider.modelPatterns) {
        expect(pattern.source).toMatch(/^\^/);
        expect(pattern.flags).toBe('');
      }
      expect(Object.isFrozen(provider)).toBe(true);
    },
  );

  test('reads each variable for one provider alone', () => {
    const variables = PROVIDERS.flatMap(({ apiBaseEnv, apiKeyEnv }) => [...apiBaseEnv, ...apiKeyEnv]);
    expect(variables.toSorted()).toEqual([...new Set(variables)].toSorted());
  });

  test.each([
    ['vllm', 'authorization', 'Bearer ', null],
    ['openai', 'authorization', 'Bearer ', 'https://api.openai.com/v1'],
    ['anthropic', 'x-api-key', '', 'https://api.anthropic.com'],
    ['cohere', 'authorization', 'Bearer ', 'https://api.cohere.com'],
    ['mistral', 'authorization', 'Bearer ', 'https://api.mistral.ai/v1'],
    ['gemini', 'x-goog-api-key', '', 'https://generativelanguage.googleapis.com'],
    ['elevenlabs', 'xi-api-key', '', 'https://api.elevenlabs.io'],
    ['assemblyai', 'authorization', '', 'https://api.assemblyai.com'],
    ['deepgram', 'authorization', 'Token ', 'https://api.deepgram.com/v1'],
  ])('%s takes its key in %s, after %j, at %s', (id, authHeader, authPrefix, apiBase) => {
    expect(providerFrom(id)).toMatchObject({ authHeader, authPrefix, apiBase });
  });

  test.each([
    ['gpt-4o', 'openai'],
    ['chatgpt-4o-latest', 'openai'],
    ['o1', 'openai'],
    ['o4-mini', 'openai'],
    ['text-embedding-ada-002', 'openai'],
    ['dall-e-3', 'openai'],
    ['whisper-1', 'openai'],
    ['tts-1-hd', 'openai'],
    ['ft:gpt-3.5-turbo:org', 'openai'],
    ['claude-sonnet-4-5', 'anthropic'],
    ['command-r-plus', 'cohere'],
    ['embed-english-v3.0', 'cohere'],
    ['rerank-v3.5', 'cohere'],
    ['mistral-large-latest', 'mistral'],
    ['open-mixtral-8x7b', 'mistral'],
    ['codestral-latest', 'mistral'],
    ['gemini-2.5-pro', 'gemini'],
    ['deepseek-chat', 'deepseek'],
    ['grok-4', 'xai'],
    ['sonar-pro', 'perplexity'],
    ['voyage-3', 'voyage'],
    ['jina-embeddings-v3', 'jina_ai'],
    ['kimi-k2', 'moonshot'],
    ['my-model', null],
    ['llama-3', null],
    ['commander', null],
    ['openchat', null],
  ])('the bare name %s belongs to %s alone', (model, id) => {
    const owners = PROVIDERS.filter(({ modelPatterns }) =>
      modelPatterns.some((pattern) => pattern.test(model)),
    );
    expect(owners.map((owner) => owner.id)).toEqual(id === null ? [] : [id]);
  });
});

describe('providerFrom', () => {
  test('knows ids and aliases, and nothing else', () => {
    expect(providerFrom('hosted_vllm')).toBe(providerFrom('vllm'));
    expect(providerFrom('cohere_chat')?.id).toBe('cohere');
    for (const name of ['', 'VLLM', 'v1', 'bedrock', '__proto__', 'constructor'])
      expect(providerFrom(name)).toBeNull();
  });
});
