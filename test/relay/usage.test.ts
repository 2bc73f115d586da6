import { describe, expect, test } from 'vitest';
import { costOf, laterUsage, type Usage, usageFrom } from '../../src/relay/usage.ts';

const NOTHING: Usage = {
  promptTokens: 0,
  completionTokens: 0,
  cachedTokens: 0,
  cacheWrittenTokens: 0,
  told: true,
};

describe('reads the usage of', () => {
  test.each([
    [
      'chat completions',
      {
        prompt_tokens: 10,
        completion_tokens: 5,
        total_tokens: 15,
        prompt_tokens_details: { cached_tokens: 4 },
      },
      { promptTokens: 10, completionTokens: 5, cachedTokens: 4 },
    ],
    [
      'responses',
      { input_tokens: 10, output_tokens: 5, input_tokens_details: { cached_tokens: 4 } },
      { promptTokens: 10, completionTokens: 5, cachedTokens: 4 },
    ],
    [
      'messages, whose caches stand beside the prompt',
      { input_tokens: 10, cache_read_input_tokens: 100, cache_creation_input_tokens: 20, output_tokens: 5 },
      { promptTokens: 130, completionTokens: 5, cachedTokens: 100, cacheWrittenTokens: 20 },
    ],
    ['embeddings', { prompt_tokens: 7, total_tokens: 7 }, { promptTokens: 7 }],
    ['rerank', { total_tokens: 9 }, { promptTokens: 9 }],
  ])('%s', (_, usage, expected) => {
    expect(usageFrom(usage)).toEqual({ ...NOTHING, ...expected });
  });

  test.each([
    [null],
    [[]],
    [{}],
    ['12'],
    [{ prompt_tokens: '12' }],
    [{ prompt_tokens: -1 }],
    [{ total_tokens: 1e300 }],
  ])('nothing that is none: %j', (value) => {
    expect(usageFrom(value)).toBeNull();
  });
});

test("joins the two halves of Anthropic's streams", () => {
  const start = usageFrom({ input_tokens: 10, cache_read_input_tokens: 2, output_tokens: 1 });
  const delta = usageFrom({ output_tokens: 50 });
  expect(laterUsage(start, delta as Usage)).toEqual({
    ...NOTHING,
    promptTokens: 12,
    completionTokens: 50,
    cachedTokens: 2,
  });
});

describe('costs', () => {
  const usage = {
    ...NOTHING,
    promptTokens: 100,
    completionTokens: 10,
    cachedTokens: 40,
    cacheWrittenTokens: 20,
  };

  test.each([
    ['nothing without prices', {}, 0],
    ['the request', { cost_per_request: 0.5 }, 0.5],
    ['tokens of both kinds', { input_cost_per_token: 2, output_cost_per_token: 3 }, 230],
    [
      "a cache's tokens by their own prices",
      { input_cost_per_token: 2, cache_read_input_token_cost: 1, cache_creation_input_token_cost: 4 },
      80 + 40 + 80,
    ],
    ['all of it', { cost_per_request: 1, input_cost_per_token: 1, output_cost_per_token: 1 }, 111],
  ])('%s', (_, prices, expected) => {
    expect(costOf(prices, usage)).toBeCloseTo(expected, 12);
  });

  test('the request alone where the tokens are unknown', () => {
    expect(costOf({ cost_per_request: 0.5, input_cost_per_token: 1 }, null)).toBe(0.5);
  });
});
