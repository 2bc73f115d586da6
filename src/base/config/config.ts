/**
 * What a validated configuration is: one deeply frozen value, made by `parseConfig` and read by everyone else.
 * Durations are milliseconds here (the file has seconds, as LiteLLM's does); sizes are bytes.
 */

/** How a provider is reached by default; the provider table (upstream/providers.ts) has one of these a provider. */
export interface Provider {
  /** The path prefix and model prefix, `vllm` in `/vllm/classify`. */
  readonly id: string;
  /** Other spellings of the same provider: `hosted_vllm`. */
  readonly aliases: readonly string[];
  /** Where its API is when nothing else is configured; null when there is no public one (vLLM). */
  readonly apiBase: string | null;
  /** Environment variables that name another base, in order of preference. */
  readonly apiBaseEnv: readonly string[];
  /** Environment variables that hold the key, in order of preference. */
  readonly apiKeyEnv: readonly string[];
  /** The header that carries the key, `authorization` or `x-api-key`. */
  readonly authHeader: string;
  /** What stands before the key in that header: `Bearer `, or nothing. */
  readonly authPrefix: string;
  /** Bare model names (`gpt-4o`, without `openai/`) that belong to this provider. */
  readonly modelPatterns: readonly RegExp[];
}

/** Timeouts of one target; see PASSTHROUGH "Bodies and time". */
export interface Timeouts {
  /** TCP and TLS connect, default 5,000. */
  readonly connectTimeoutMs: number;
  /** From the request's end to the first response byte, default 600,000. */
  readonly firstByteTimeoutMs: number;
  /** Between two response bytes, default 600,000. */
  readonly idleTimeoutMs: number;
}

/** One entry of `model_list`. Several with the same `modelName` share the load. */
export interface Deployment {
  /** Stable within a process: `<modelName>#<index among its namesakes>`; safe to show to a key holder. */
  readonly id: string;
  /** What clients ask for. */
  readonly modelName: string;
  /** The provider's id in the provider table, never an alias. */
  readonly provider: string;
  /** What the upstream calls it. */
  readonly upstreamModel: string;
  /** Absolute http(s) URL without a trailing slash. */
  readonly apiBase: string;
  /** True for a base that was given through the API: see `PathRoute.guarded`. Default false. */
  readonly guarded?: boolean;
  readonly apiKey: string | null;
  /** `extra_headers`, raw name-value pairs. */
  readonly headers: readonly string[];
  readonly timeouts: Timeouts;
  /** `cost_per_request`, `input_cost_per_token`, … of litellm_params and model_info, USD. */
  readonly prices: Readonly<Record<string, number>>;
  /** `model_info`, as it stands in the file. */
  readonly modelInfo: Readonly<Record<string, unknown>>;
}

/** A provider's own target: where `/openai/*` goes when no deployment is named. */
export interface ProviderTarget {
  readonly provider: string;
  /** Absolute URL without a trailing slash. */
  readonly apiBase: string;
  readonly apiKey: string | null;
  /** True when the environment set the base or the key, so that this target was meant to be used. */
  readonly configured: boolean;
  readonly timeouts: Timeouts;
}

/** An operator's route: one entry of `general_settings.pass_through_endpoints`, or one created through the API. */
export interface PathRoute {
  /** Begins with a slash, no trailing slash (but for `/` itself). */
  readonly path: string;
  readonly target: RouteTarget;
  readonly includeSubpath: boolean;
  /** Upper-case methods that the route takes. */
  readonly methods: readonly string[];
  /** Configured headers with `os.environ/` resolved and LANGFUSE_* folded into Authorization; raw name-value pairs. */
  readonly headers: readonly string[];
  readonly forwardHeaders: boolean;
  readonly auth: boolean;
  /** Lower-case name of the header in which this route's clients send their key, beside the usual ones. */
  readonly keyHeader: string | null;
  readonly defaultQueryParams: Readonly<Record<string, string>>;
  /** USD. */
  readonly costPerRequest: number | null;
  readonly timeouts: Timeouts;
  /** Given through the API, not by the file: link-local and metadata addresses are never connected to. */
  readonly guarded: boolean;
  /** Line of the entry in the file, for messages; null when it stands in none. */
  readonly line: number | null;
}

/** Where an operator's route goes: a URL, or (seed 003) an adapter's `module.export`. */
export type RouteTarget =
  | { readonly kind: 'url'; readonly url: string }
  | { readonly kind: 'adapter'; readonly name: string };

/** Limits of the port; see HARDENING. */
export interface Limits {
  readonly maxBodyBytes: number;
  readonly maxHeaderBytes: number;
  readonly maxHeaders: number;
  readonly headerTimeoutMs: number;
  readonly bodyTimeoutMs: number;
  readonly maxConnections: number;
  readonly drainTimeoutMs: number;
}

/** Where state is kept. */
export type StateConfig = SqliteState | RedisState;

/** The embedded database. */
export interface SqliteState {
  readonly kind: 'sqlite';
  /** Relative to the working directory, or `:memory:`: gone when the process ends. */
  readonly file: string;
}

/** A Redis that several instances share. */
export interface RedisState {
  readonly kind: 'redis';
  /** One server; the master that Sentinels name; a Cluster. */
  readonly topology: 'standalone' | 'sentinel' | 'cluster';
  /** The server; the Sentinels; some of the Cluster's nodes. At least one. */
  readonly nodes: readonly RedisNode[];
  /** With Sentinels: how they call the master. */
  readonly masterName: string | null;
  readonly username: string | null;
  readonly password: string | null;
  readonly sentinelUsername: string | null;
  readonly sentinelPassword: string | null;
  readonly database: number;
  readonly tls: boolean;
  /** False: the certificate isn't checked. */
  readonly verifyTls: boolean;
  /** What the names of all our keys begin with. */
  readonly prefix: string;
}

export interface RedisNode {
  readonly host: string;
  readonly port: number;
}

export interface Config {
  /** Path of the file as given, or null when the environment alone was read. */
  readonly file: string | null;
  readonly deployments: readonly Deployment[];
  /** By provider id; one for each provider that has a base (table or environment). */
  readonly providerTargets: ReadonlyMap<string, ProviderTarget>;
  readonly routes: readonly PathRoute[];
  /** What a route has that names no timeouts of its own. */
  readonly routeTimeouts: Timeouts;
  readonly masterKey: string | null;
  readonly tls: { readonly cert: Buffer; readonly key: Buffer } | null;
  /** False only with `litellm_settings.ssl_verify: false`. */
  readonly verifyUpstreamTls: boolean;
  /** What speaks HTTP to upstreams: our own client, or undici as the way out where an upstream disagrees with it. */
  readonly upstreamClient: 'http1' | 'undici';
  readonly limits: Limits;
  readonly allowedHosts: readonly string[];
  readonly detailedDebug: boolean;
  /** The program that runs models of type `vllm`, and its first arguments; at least one word. */
  readonly vllmCommand: readonly string[];
  /** Arguments that load code, read files or log prompts and are let through all the same; names with underscores. */
  readonly vllmAllowedArguments: readonly string[];
  readonly state: StateConfig;
  /** What was understood and is not acted on, or deserves a second look; one line each, with its place. */
  readonly warnings: readonly string[];
}
