import type { Json } from '../base/json.ts';
import type { KeyStore } from './key-store.ts';

/**
 * Where state lives. Domain verbs, plain values in and out, no client's types: the same contract suite
 * (test/store/contract.ts) runs on every implementation.
 *
 * All verbs are atomic. What a verb has acknowledged is durable. Values are returned frozen, or fresh: changing them
 * changes nothing stored; their mappings have no prototype. A verb that can't be done just now throws SluiceError
 * `store_unavailable`, with what the store's client said as `cause`.
 */
export interface Store extends KeyStore {
  /** @throws SluiceError `already_exists` when the id is taken */
  createConfiguration(configuration: StoredConfiguration): Promise<void>;
  /** Null: no such configuration. */
  configuration(configId: string): Promise<StoredConfiguration | null>;
  /** Oldest first. */
  configurations(): Promise<readonly StoredConfiguration[]>;
  /** False: no such configuration. What is marked as loaded isn't looked at. */
  deleteConfiguration(configId: string): Promise<boolean>;

  /** Which configuration of a model shall be loaded, also after a restart; null: none. */
  setLoaded(modelId: string, configId: string | null): Promise<void>;
  /** Model id → configuration id of all that shall be loaded. */
  loaded(): Promise<ReadonlyMap<string, string>>;

  /** @throws SluiceError `already_exists` when the id is taken, or another stored route has its path and a method */
  createRoute(route: StoredRoute): Promise<void>;
  /** Oldest first. */
  routes(): Promise<readonly StoredRoute[]>;
  /**
   * Replaces a stored route by what `change` makes of it, in one step, so that of two changes at a time none is lost;
   * its id and its place in the order stay. `change` may be called several times and must do nothing but return; what
   * it throws is thrown here, and nothing has changed then.
   * @returns the route as it is stored now; null: no such route
   * @throws SluiceError `already_exists` as `createRoute` does
   */
  updateRoute(id: string, change: (stored: StoredRoute) => StoredRoute): Promise<StoredRoute | null>;
  /** Null: no such route. */
  deleteRoute(id: string): Promise<StoredRoute | null>;

  /**
   * Calls back soon (within a second) after another process or instance has changed something here; spurious calls
   * happen. Changes made through this object need not be told.
   * @returns stops watching
   */
  watch(onChange: () => void): () => void;

  /** Whether verbs can be expected to work just now. */
  check(): Promise<boolean>;

  /** Ends it; verbs fail afterwards. Closing twice is harmless. */
  close(): Promise<void>;
}

/** A model's configuration as it was given: secrets in clear. */
export interface StoredConfiguration {
  /** A UUID. */
  readonly configId: string;
  readonly modelId: string;
  readonly modelName: string;
  readonly modelType: string;
  readonly modelKwargs: Readonly<Record<string, Json>>;
}

/** A route that was created through the API, as it was given: secrets in clear, defaults not filled in (null). */
export interface StoredRoute {
  /** A UUID. */
  readonly id: string;
  readonly path: string;
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly includeSubpath: boolean | null;
  /** Upper case; empty: the default ones. */
  readonly methods: readonly string[];
  readonly forwardHeaders: boolean;
  readonly auth: boolean;
  readonly defaultQueryParams: Readonly<Record<string, string>>;
  /** USD. */
  readonly costPerRequest: number | null;
  readonly timeoutMs: number | null;
}
