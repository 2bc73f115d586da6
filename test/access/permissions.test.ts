import { describe, expect, test } from 'vitest';
import { type Asked, mayUseModel, permit } from '../../src/access/permissions.ts';
import { SluiceError } from '../../src/base/errors.ts';
import type { StoredKey } from '../../src/store/key-store.ts';
import { key } from '../store/samples.ts';

function outcome(parts: Partial<StoredKey>, asked: Partial<Asked>): string {
  try {
    permit(key('k', parts), { path: '/v1/x', alias: null, model: null, byModel: true, ...asked });
    return 'permitted';
  } catch (error) {
    if (error instanceof SluiceError) return error.reason;
    throw error;
  }
}

describe('allowed_routes', () => {
  test.each([
    [[], '/anything', true],
    [['/vllm'], '/vllm', true],
    [['/vllm'], '/vllm/classify', true],
    [['/vllm'], '/vllm/', true],
    [['/vllm'], '/vllmx', false],
    [['/vllm'], '/vllm%2Fclassify', false],
    [['/vllm'], '/VLLM/classify', false],
    [['/vllm'], '/v1/vllm', false],
    [['/vllm'], '//vllm', false],
    [['/vllm/'], '/vllm/classify', true],
    [['/vllm/'], '/vllm', true],
    [['/vllm/'], '/vllmx', false],
    [['/bria', '/v1/rerank'], '/v1/rerank', true],
    [['/bria', '/v1/rerank'], '/v1/reranker', false],
    [['/'], '/anything', true],
  ] as const)('%j and %s: %s', (allowedRoutes, path, isPermitted) => {
    expect(outcome({ allowedRoutes }, { path })).toBe(isPermitted ? 'permitted' : 'route_not_allowed');
  });

  test('another path of the same meaning is as good', () => {
    const asked = { path: '/chat/completions', alias: '/v1/chat/completions' };
    expect(outcome({ allowedRoutes: ['/v1'] }, asked)).toBe('permitted');
    expect(outcome({ allowedRoutes: ['/chat'] }, asked)).toBe('permitted');
    expect(outcome({ allowedRoutes: ['/vllm'] }, asked)).toBe('route_not_allowed');
  });
});

describe('models', () => {
  test.each([
    [[], 'any', true],
    [['a', 'b'], 'b', true],
    [['a'], 'A', false],
    [['a'], 'ab', false],
    [['a'], '', false],
    [['openai/*'], 'openai/gpt-4o', true],
    [['openai/*'], 'openai/', true],
    [['openai/*'], 'openai', false],
    [['openai/*'], 'openaix/gpt', false],
    [['openai/*'], 'x/openai/gpt', false],
    [['a*'], 'ab', false],
    [['*'], 'a', false],
    [['a.c'], 'abc', false],
  ] as const)('%j and %j: %s', (models, model, isPermitted) => {
    expect(outcome({ models }, { model })).toBe(isPermitted ? 'permitted' : 'model_not_allowed');
    expect(mayUseModel(key('k', { models }), model)).toBe(isPermitted);
  });

  test('a request without a model is refused where a model decides, and nowhere else', () => {
    expect(outcome({ models: ['a'] }, { model: null })).toBe('model_not_allowed');
    expect(outcome({ models: ['a'] }, { model: null, byModel: false })).toBe('permitted');
    expect(outcome({ models: ['a'] }, { model: 'b', byModel: false })).toBe('model_not_allowed');
    expect(outcome({ models: [] }, { model: null })).toBe('permitted');
  });

  test('the route is looked at first', () => {
    const parts = { models: ['a'], allowedRoutes: ['/r'] };
    expect(outcome(parts, { model: 'b', path: '/x' })).toBe('route_not_allowed');
  });

  test('a long list is not told in full', () => {
    const models = Array.from({ length: 1000 }, (_, i) => `model-${i}`);
    expect(() => permit(key('k', { models }), { path: '/', alias: null, model: 'x', byModel: true })).toThrow(
      /model-19, and 980 more\.$/,
    );
  });
});
