/*
 * Arguments of `vllm serve` that a configuration given through the API may not have. Names as in vLLM's
 * command-line reference (https://docs.vllm.ai/en/latest/cli/serve/), with underscores.
 */

/** What the gateway itself decides; nobody may change it. */
export const GATEWAY_ARGUMENTS: Readonly<Record<string, string>> = {
  api_key:
    'the vLLM that the gateway starts gets a key of its own; for a server that runs already give its api_base, too',
  config: 'a file could set anything; write its arguments into model_kwargs',
  data_parallel_multi_port_external_lb: 'the gateway gives vLLM one port',
  data_parallel_supervisor_port: 'the gateway gives vLLM one port',
  enable_ssl_refresh: 'the gateway reaches vLLM on the loopback interface, without TLS',
  grpc: 'the gateway speaks HTTP to vLLM',
  headless: 'the gateway needs a server to speak to',
  help: 'it runs nothing',
  host: 'the gateway keeps vLLM on the loopback interface',
  model: 'it is model_name',
  model_tag: 'it is model_name',
  port: 'the gateway picks a free one',
  root_path: 'the gateway relays paths as they are',
  served_model_name: 'it is model_id',
  ssl_ca_certs: 'the gateway reaches vLLM on the loopback interface, without TLS',
  ssl_cert_reqs: 'the gateway reaches vLLM on the loopback interface, without TLS',
  ssl_certfile: 'the gateway reaches vLLM on the loopback interface, without TLS',
  ssl_ciphers: 'the gateway reaches vLLM on the loopback interface, without TLS',
  ssl_keyfile: 'the gateway reaches vLLM on the loopback interface, without TLS',
  uds: 'the gateway reaches vLLM on the loopback interface',
  version: 'it runs nothing',
};

/** What reaches beyond serving a model; the operator may allow each by name (`vllm_allowed_arguments`). */
export const OPERATOR_ARGUMENTS: Readonly<Record<string, string>> = {
  allowed_local_media_path: "lets requests read the machine's files",
  data_parallel_address: 'joins other machines, whose messages may hold code',
  enable_log_outputs: 'writes what the model answers into the log',
  enable_log_requests: 'writes prompts into the log',
  io_processor_plugin: 'loads code by its name',
  kv_events_config: 'tells the network what is in prompts',
  log_config_file: 'loads code that a file names',
  logits_processor_pattern: 'lets requests load code by its name',
  logits_processors: 'loads code by its name',
  master_addr: 'joins other machines, whose messages may hold code',
  middleware: 'loads code by its name',
  mm_encoder_fp8_scale_save_path: 'writes a file wherever it says',
  model_class_overrides: 'loads code by its name',
  profiler_config: 'writes files wherever it says',
  reasoning_parser_plugin: 'loads code from a file',
  scheduler_cls: 'loads code by its name',
  tokenizer_pool_type: 'loads code by its name',
  tool_parser_plugin: 'loads code from a file',
  tool_server: 'lets models run tools, code included',
  trust_remote_code: 'runs code that comes with the model',
  worker_cls: 'loads code by its name',
  worker_extension_cls: 'loads code by its name',
};

/** Taken with some values only (serve-arguments.ts). */
export const JUDGED_ARGUMENTS: readonly string[] = [
  'chat_template',
  'distributed_executor_backend',
  'hf_token',
  'spec_method',
];

/** Whole names that are the beginning of a refused one. */
export const WHOLE_NAMES: ReadonlySet<string> = new Set(['reasoning_parser', 'tokenizer']);

/** The executors that are part of vLLM; anything else is the name of a class. */
export const EXECUTORS: ReadonlySet<string> = new Set(['external_launcher', 'mp', 'ray', 'uni']);

/** Take a list as one JSON text, where all others take its items as words. */
export const JSON_LISTS: ReadonlySet<string> = new Set([
  'allowed_headers',
  'allowed_methods',
  'allowed_origins',
]);

/** A method of speculative decoding whose model is the name of a class. */
export const CUSTOM_METHOD = /custom/;

/**
 * What the names of such settings end in, on the command line and in mappings, also those of a vLLM to come. LMCache's
 * have dots in them (`lmcache.storage_plugin.NAME.module_path`).
 */
export const LOADS_CODE =
  /(^|[._-])(module(_path|_name)?|plugins?(_locations)?|cls|class(_name|_path|_overrides)?)$/i;

/** Inside arguments that are mappings (`kv_transfer_config`, `compilation_config`, …), at any depth. */
export interface InnerRule {
  readonly key: RegExp;
  /** Of the values that are refused; null: any. */
  readonly value: RegExp | null;
  readonly why: string;
}

export const INNER_RULES: readonly InnerRule[] = [
  { key: LOADS_CODE, value: null, why: 'loads code by its name' },
  // LMCache's connectors of others
  { key: /(^|[._])remote_url$/, value: /^\s*external:/i, why: 'loads code by its name' },
  {
    key: /^kv_ip$/,
    value: /^(?!(127\.[\d.]+|localhost|::1)$)/,
    why: 'joins other machines, whose messages may hold code',
  },
  // kv_transfer_config, ec_transfer_config: a connector of vLLM's own is a bare name.
  { key: /connector$/, value: /[.:/\\]/, why: 'loads code by its name' },
  // Loaded by some models of vLLM whatever trust_remote_code says (CVE-2025-66448).
  { key: /^auto_map$/, value: null, why: 'runs code that comes with the model' },
  { key: /^trust_remote_code$/, value: /^(?!false$)/, why: 'runs code that comes with the model' },
  // compilation_config
  { key: /^backend$/, value: /[.:/\\]/, why: 'loads code by its name' },
  { key: /^inductor_passes$/, value: null, why: 'loads code by its name' },
  { key: /^inductor_compile_config$/, value: null, why: 'may choose the compiler that is run' },
  { key: /^(local_)?cache_dir$/, value: null, why: 'runs code that was compiled before' },
  { key: /^debug_dump_path$/, value: null, why: 'writes files wherever it says' },
  // speculative_config
  { key: /^method$/, value: CUSTOM_METHOD, why: 'loads code by its name' },
];
