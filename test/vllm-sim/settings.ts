/** What a simulated server is asked to be; every field has a default. */
export interface VllmSimOptions {
  /** 0 (the default) picks a free one. */
  readonly port?: number;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** `--served-model-name`, several at once; requests without a model get the first. */
  readonly models?: readonly string[];
  /** `--api-key`, any of them; protects /v1, /v2 and /inference alone, as in vLLM. Default: open. */
  readonly apiKeys?: readonly string[];
  /** `VLLM_SERVER_DEV_MODE=1`: sleep, wake_up, pause, resume and the like exist. Default false. */
  readonly devMode?: boolean;
  /** Milliseconds between two streamed tokens, default 5; header `x-sim-interval-ms` wins. */
  readonly chunkIntervalMs?: number;
  /** `--max-num-seqs`: requests beyond it wait. Default 256. */
  readonly maxRunning?: number;
  /** How it starts; default: ready at once. */
  readonly loading?: Loading;
  /** Milliseconds that an idle connection is kept, default 5,000 as in vLLM. */
  readonly keepAliveTimeoutMs?: number;
  /**
   * Answers repeat to the byte: clock stopped, ids derived from the request, counters at rest. For comparing an
   * exchange with the same exchange through a gateway. Default false.
   */
  readonly frozen?: boolean;
  /** How many finished requests `requests` keeps, default 10,000. */
  readonly recordLimit?: number;
  /** Gets each line that vLLM would log. Default: nobody. */
  readonly log?: (line: string) => void;
}

/** A start that takes its time. */
export interface Loading {
  /**
   * What a client meets meanwhile. `refuse`: nothing listens. `hang`: connections are taken and never answered
   * (vLLM binds the port long before it serves). `unhealthy`: HTTP is served and says 503.
   */
  readonly mode: 'refuse' | 'hang' | 'unhealthy';
  /** Until it is ready by itself; null (the default): until `finishLoading()`. */
  readonly durationMs?: number | null;
}

/** Those of the documents, so that their examples find their model. */
export const DEFAULT_MODELS: readonly string[] = [
  'papluca/xlm-roberta-base-language-detection',
  'vllm-1.72',
  'qwen2.5-7b-instruct',
  'BAAI/bge-reranker-base',
  'rerank-english-v3.0',
  'openai/whisper-small',
];

export interface Settings {
  readonly port: number;
  readonly host: string;
  readonly models: readonly string[];
  readonly apiKeys: readonly string[];
  readonly devMode: boolean;
  readonly chunkIntervalMs: number;
  readonly maxRunning: number;
  readonly loading: Required<Loading> | null;
  readonly keepAliveTimeoutMs: number;
  readonly frozen: boolean;
  readonly recordLimit: number;
  readonly log: (line: string) => void;
}

export function settingsFrom(options: VllmSimOptions): Settings {
  return {
    port: options.port ?? 0,
    host: options.host ?? '127.0.0.1',
    models: options.models ?? DEFAULT_MODELS,
    apiKeys: options.apiKeys ?? [],
    devMode: options.devMode ?? false,
    chunkIntervalMs: options.chunkIntervalMs ?? 5,
    maxRunning: options.maxRunning ?? 256,
    loading: options.loading === undefined ? null : { durationMs: null, ...options.loading },
    keepAliveTimeoutMs: options.keepAliveTimeoutMs ?? 5_000,
    frozen: options.frozen ?? false,
    recordLimit: options.recordLimit ?? 10_000,
    log: options.log ?? (() => {}),
  };
}
