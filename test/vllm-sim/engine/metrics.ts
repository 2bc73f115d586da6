/** What the engine counts, and what a test may say that it counts. */
export interface EngineLoad {
  running: number;
  waiting: number;
  /** 0 to 1. */
  kvCacheUsage: number;
}

export class Counters {
  promptTokens = 0;
  generationTokens = 0;
  prefixCacheQueries = 0;
  prefixCacheHits = 0;
  readonly finished = new Map<string, number>([
    ['stop', 0],
    ['length', 0],
    ['abort', 0],
  ]);
  readonly #prompts = new Set<string>();
  readonly #frozen: boolean;

  /** @param frozen nothing is ever counted. */
  constructor(frozen: boolean) {
    this.#frozen = frozen;
  }

  /** Counts a prompt; one that was seen before is a hit in the prefix cache. */
  countPrompt(prompt: string, tokens: number): void {
    if (this.#frozen) return;
    this.promptTokens += tokens;
    this.prefixCacheQueries += tokens;
    const key = prompt.slice(0, 1024);
    if (this.#prompts.has(key)) this.prefixCacheHits += tokens;
    else if (this.#prompts.size < 1000) this.#prompts.add(key);
  }

  countAnswer(reason: string, tokens: number): void {
    if (this.#frozen) return;
    this.generationTokens += tokens;
    this.finished.set(reason, (this.finished.get(reason) ?? 0) + 1);
  }

  clearPrefixCache(): void {
    this.#prompts.clear();
  }
}

/** The page that `/metrics` serves: the names that routers and dashboards read, in Prometheus' text format. */
export function prometheusText(model: string, load: EngineLoad, counters: Counters): string {
  const labels = `engine="0",model_name="${model.replace(/["\\]/g, '\\$&')}"`;
  const metric = (
    type: 'gauge' | 'counter',
    name: string,
    help: string,
    samples: readonly [string, number][],
  ) => [
    `# HELP vllm:${name} ${help}`,
    `# TYPE vllm:${name} ${type}`,
    ...samples.map(([more, value]) => `vllm:${name}{${labels}${more}} ${asFloat(value)}`),
  ];
  const gauge = (name: string, help: string, value: number) => metric('gauge', name, help, [['', value]]);
  const counter = (name: string, help: string, value: number) => metric('counter', name, help, [['', value]]);
  const lines = [
    gauge('num_requests_running', 'Number of requests in model execution batches.', load.running),
    gauge('num_requests_waiting', 'Number of requests waiting to be processed.', load.waiting),
    gauge('kv_cache_usage_perc', 'KV-cache usage. 1 means 100 percent usage.', load.kvCacheUsage),
    counter(
      'prefix_cache_queries_total',
      'Prefix cache queries, in queried tokens.',
      counters.prefixCacheQueries,
    ),
    counter('prefix_cache_hits_total', 'Prefix cache hits, in cached tokens.', counters.prefixCacheHits),
    counter('prompt_tokens_total', 'Number of prefill tokens processed.', counters.promptTokens),
    counter('generation_tokens_total', 'Number of generation tokens processed.', counters.generationTokens),
    metric(
      'counter',
      'request_success_total',
      'Count of successfully processed requests.',
      [...counters.finished].map(([reason, value]) => [`,finished_reason="${reason}"`, value]),
    ),
  ];
  return `${lines.flat().join('\n')}\n`;
}

/** As Python prints a float: `1.0`. */
function asFloat(value: number): string {
  return Number.isInteger(value) ? value.toFixed(1) : String(value);
}
