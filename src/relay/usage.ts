/** Tokens that an upstream says, or can be taken to say, that a request has used. */
export interface Usage {
  /** All of the prompt, what came from a cache or went into one included. */
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Of the prompt, read from a cache. */
  readonly cachedTokens: number;
  /** Of the prompt, written into a cache. */
  readonly cacheWrittenTokens: number;
  /** False: the answer said nothing, or broke off before it did, and this is a guess. */
  readonly told: boolean;
}

/**
 * Reads a `usage` object, of whichever API: OpenAI's chat completions (`prompt_tokens`, `completion_tokens`) and
 * responses (`input_tokens`, `output_tokens`), Anthropic's messages (the same names, but what a cache gave or took
 * stands beside `input_tokens`, not in it), Cohere's and Jina's rerank (`total_tokens` alone).
 * @returns null when it has no count
 */
export function usageFrom(value: unknown): Usage | null {
  if (value === null || typeof value !== 'object') return null;
  const usage = value as Readonly<Record<string, unknown>>;
  const isAnthropic = 'cache_read_input_tokens' in usage || 'cache_creation_input_tokens' in usage;
  const cachedBeside = count(usage.cache_read_input_tokens) ?? 0;
  const writtenBeside = count(usage.cache_creation_input_tokens) ?? 0;
  const details = usage.prompt_tokens_details ?? usage.input_tokens_details;
  const cached = isAnthropic ? cachedBeside : (count(member(details, 'cached_tokens')) ?? 0);
  const prompt = count(usage.prompt_tokens) ?? count(usage.input_tokens);
  const completion = count(usage.completion_tokens) ?? count(usage.output_tokens);
  const total = count(usage.total_tokens);
  if (prompt === null && completion === null && total === null) return null;
  const completionTokens = completion ?? 0;
  const promptTokens = prompt ?? Math.max(0, (total ?? 0) - completionTokens);
  return {
    promptTokens: isAnthropic ? promptTokens + cachedBeside + writtenBeside : promptTokens,
    completionTokens,
    cachedTokens: cached,
    cacheWrittenTokens: writtenBeside,
    told: true,
  };
}

/** What two reports of one answer make together: Anthropic's streams say the prompt first and the completion last. */
export function laterUsage(before: Usage | null, after: Usage): Usage {
  if (before === null) return after;
  return {
    promptTokens: after.promptTokens === 0 ? before.promptTokens : after.promptTokens,
    completionTokens: Math.max(before.completionTokens, after.completionTokens),
    cachedTokens: Math.max(before.cachedTokens, after.cachedTokens),
    cacheWrittenTokens: Math.max(before.cacheWrittenTokens, after.cacheWrittenTokens),
    told: true,
  };
}

/** A count that can be one: a whole number that no arithmetic with it loses. */
function count(value: unknown): number | null {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : null;
}

function member(value: unknown, name: string): unknown {
  return value !== null && typeof value === 'object' ? (value as Record<string, unknown>)[name] : undefined;
}

/**
 * What a request costs, US dollars, by LiteLLM's names of prices: `cost_per_request` in any case, tokens where the
 * usage is known. A cache's tokens have prices of their own where they are given, else the prompt's.
 */
export function costOf(prices: Readonly<Record<string, number>>, usage: Usage | null): number {
  const flat = prices.cost_per_request ?? prices.input_cost_per_request ?? 0;
  if (usage === null) return flat;
  const input = prices.input_cost_per_token ?? 0;
  const { promptTokens, completionTokens, cachedTokens, cacheWrittenTokens } = usage;
  const plain = Math.max(0, promptTokens - cachedTokens - cacheWrittenTokens);
  return (
    flat +
    plain * input +
    cachedTokens * (prices.cache_read_input_token_cost ?? input) +
    cacheWrittenTokens * (prices.cache_creation_input_token_cost ?? input) +
    completionTokens * (prices.output_cost_per_token ?? 0)
  );
}
