import type { Json } from '../base/json.ts';
import type { StoredConfiguration } from '../store/store.ts';

/**
 * What knows how to bring one `model_type` up. Siblings: openai-driver.ts, vllm-attached-driver.ts,
 * vllm-managed-driver.ts.
 */
export interface Driver {
  /**
   * Judges a configuration without starting anything.
   * @throws SluiceError `invalid_request` that names the field (`model_kwargs.api_base`) and the remedy
   */
  check(configuration: StoredConfiguration): void;
  /**
   * Brings the model up and resolves once it answers. Rejects with SluiceError `load_failed`, whose message has the
   * reason and, where there is a process, its last log lines; nothing is left running then.
   * `signal` aborts the load: what was started is stopped before the promise rejects.
   */
  load(configuration: StoredConfiguration, events: RuntimeEvents, signal: AbortSignal): Promise<Runtime>;
}

/** A model that answers. */
export interface Runtime {
  readonly upstream: RuntimeUpstream;
  /** Stops what the gateway started, if anything; resolves when it is gone. Never rejects; twice is harmless. */
  stop(): Promise<void>;
}

/** Where a loaded model is reached; becomes a deployment of the data plane. */
export interface RuntimeUpstream {
  /** The provider's id in the provider table: `openai` or `vllm`. */
  readonly provider: string;
  /** Absolute http(s) URL without a trailing slash. */
  readonly apiBase: string;
  readonly apiKey: string | null;
  /** What the upstream calls the model. */
  readonly upstreamModel: string;
}

/** What a runtime tells while it is loading and afterwards. Calls after `stop` are ignored. */
export interface RuntimeEvents {
  progress(progress: LoadProgress): void;
  /** It was ready and ended; it is being started again, so `progress` and then `recovered` or `failed` follow. */
  lost(reason: string): void;
  /** Ready again, perhaps elsewhere. */
  recovered(upstream: RuntimeUpstream): void;
  /** It was ready, ended, and will not be started again; nothing is left running. */
  failed(reason: string): void;
}

export type LoadStage =
  | 'connecting'
  | 'starting_process'
  | 'initializing_engine'
  | 'loading_weights'
  | 'compiling'
  | 'allocating_kv_cache'
  | 'capturing_graphs'
  | 'starting_server'
  | 'ready'
  | 'waiting_to_restart';

export interface LoadProgress {
  /** Null: unknown, as before. */
  readonly stage: LoadStage | null;
  /** Of the whole load, 0 to 100; null: as before. */
  readonly percent: number | null;
  /** The last line of the process's log, without colours; null: no new one. */
  readonly line: string | null;
}

/** `model_kwargs` told apart (VLLM.md); made by model-kwargs.ts. */
export interface ModelKwargs {
  /** Defaults of inference: temperature, max_tokens, … */
  readonly sampling: Readonly<Record<string, Json>>;
  readonly own: OwnKwargs;
  /** vLLM's engine arguments, as given. */
  readonly engine: Readonly<Record<string, Json>>;
}

/** The gateway's own settings among `model_kwargs`. */
export interface OwnKwargs {
  /** Absolute http(s) URL without a trailing slash, or null. */
  readonly apiBase: string | null;
  readonly apiKey: string | null;
  /** Unload after so long without a request; null: never. */
  readonly keepAliveMs: number | null;
  /** Load when the first request names the model. */
  readonly loadOnRequest: boolean;
  /** How long a load may take. Default: 30 minutes. */
  readonly loadTimeoutMs: number;
}
