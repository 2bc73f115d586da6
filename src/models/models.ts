import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { Deployment, Timeouts } from '../base/config/config.ts';
import { nearest } from '../base/config/nearest.ts';
import { firstTimeouts } from '../base/config/timeouts.ts';
import { SluiceError } from '../base/errors.ts';
import type { Json } from '../base/json.ts';
import type { Store, StoredConfiguration } from '../store/store.ts';
import type { Activity } from '../upstream/pick.ts';
import { type Clock, SYSTEM_CLOCK } from './clock.ts';
import { ConfigurationList } from './configuration-list.ts';
import type { Driver } from './driver.ts';
import { IdleUnloader } from './idle-unloader.ts';
import { type Mark, Model } from './model.ts';
import { parseModelKwargs } from './model-kwargs.ts';
import { notReady, notUp, shuttingDown, unknownConfiguration } from './model-refusals.ts';
import { configurationInUse, type ModelStatus, statusOf, stoppedStatus } from './model-state.ts';
import { statusFeed } from './status-feed.ts';
import { unlessLeft } from './unless-left.ts';
import { type WakeAnswer, wakeable } from './wake.ts';

/** Which driver brings a configuration up; one a `model_type`. */
export type ChooseDriver = (configuration: StoredConfiguration) => Driver;

export interface ModelsOptions {
  readonly store: Store;
  /** By `model_type`. */
  readonly drivers: Readonly<Record<string, ChooseDriver>>;
  readonly logger: Logger;
  /**
   * What the data plane did so far with one of `deployments()`, also after that has left the list: an unload waits
   * for its requests.
   */
  readonly activity: (deployment: Deployment) => Activity;
  /** How long an unload waits for requests under way. */
  readonly drainTimeoutMs: () => number;
  /** Of loaded models on the data plane; default: LiteLLM's. */
  readonly timeouts?: Timeouts;
  readonly clock?: Clock;
  /** Why this process loads no models; null (the default): it does. */
  readonly whyNoLoads?: string | null;
}

const HOW_TO_LOAD = 'load it first, with `sluice models load` or POST /llm/load_model/{config_id}';

/** What a configuration is made of. */
export type NewConfiguration = Omit<StoredConfiguration, 'configId'>;

/** The model configurations, and what runs of them. */
export class Models {
  readonly #options: ModelsOptions;
  readonly #clock: Clock;
  readonly #configurations: ConfigurationList;
  readonly #models = new Map<string, Model>();
  readonly #listeners = new Set<() => void>();
  readonly #watchers = new Set<() => void>();
  readonly #idle: IdleUnloader;
  /** Model id → configuration that was loaded last, also by the process before. */
  readonly #lastLoaded = new Map<string, string>();
  #deployments: readonly Deployment[] = Object.freeze([]);
  #asleep: ReadonlySet<string> = new Set();
  readonly #whyNoLoads: string | null;
  #closing = false;

  constructor(options: ModelsOptions) {
    this.#options = options;
    this.#whyNoLoads = options.whyNoLoads ?? null;
    this.#clock = options.clock ?? SYSTEM_CLOCK;
    this.#configurations = new ConfigurationList({
      store: options.store,
      logger: options.logger,
      changed: () => this.#changed(),
    });
    this.#idle = new IdleUnloader({
      clock: this.#clock,
      logger: options.logger,
      activity: options.activity,
      models: () => this.#models.values(),
    });
  }

  /**
   * Loads again, in the background, what was loaded when the gateway ended. What fails is logged, and the next
   * restart tries again. A model that sleeps without requests (`load_on_request` with `keep_alive`) is left to the
   * first of them: it may have been asleep, and those that share a GPU by sleeping can't all be awake.
   * @throws SluiceError `store_unavailable`
   */
  async restore(): Promise<void> {
    await this.#configurations.open();
    for (const [modelId, configId] of await this.#options.store.loaded()) {
      const configuration = this.#configurations.get(configId);
      if (configuration === null) {
        this.#options.logger.warn(
          `model ${modelId}: its configuration ${configId} is gone; it stays unloaded`,
        );
        await this.#options.store.setLoaded(modelId, null);
        continue;
      }
      this.#lastLoaded.set(modelId, configId);
      if (this.#whyNoLoads !== null) {
        this.#options.logger.warn(`model ${modelId} stays unloaded: ${this.#whyNoLoads}`);
        continue;
      }
      if (sleeps(configuration) || this.#closing) continue;
      // It has told the log of its failure itself.
      this.#load(configuration, 'kept').catch(() => {});
    }
  }

  /**
   * Stores a configuration; nothing is started.
   * @returns its id
   * @throws SluiceError `invalid_request`: `model_type` is unknown, or the rest is nothing for its driver
   */
  async configure(configuration: NewConfiguration): Promise<string> {
    const stored: StoredConfiguration = Object.freeze({ configId: randomUUID(), ...configuration });
    parseModelKwargs(stored.modelKwargs);
    this.#driverOf(stored).check(stored);
    await this.#configurations.add(stored);
    return stored.configId;
  }

  /** Oldest first; secrets in clear. */
  async configurations(): Promise<readonly StoredConfiguration[]> {
    return this.#configurations.refresh();
  }

  /** @throws SluiceError `config_not_found` */
  async configuration(configId: string): Promise<StoredConfiguration> {
    // It never changes, so the copy is as good as long as it is there; deletions elsewhere are told within a second.
    const known = this.#configurations.get(configId) ?? (await this.#options.store.configuration(configId));
    if (known === null) throw unknownConfiguration(configId);
    return known;
  }

  /** @throws SluiceError `config_not_found`; `failed_precondition`: it is loaded */
  async deleteConfiguration(configId: string): Promise<void> {
    const { modelId } = await this.configuration(configId);
    const model = this.#models.get(modelId);
    const inUse = model === undefined ? null : configurationInUse(model.state);
    if (inUse?.configId === configId) {
      throw new SluiceError(
        'failed_precondition',
        `The configuration ${configId} is in use: unload its model first (POST /llm/unload_model/${encodeURIComponent(modelId)}).`,
      );
    }
    const { store } = this.#options;
    const existed = await this.#configurations.remove(configId, async () => {
      if ((await store.loaded()).get(modelId) === configId) await store.setLoaded(modelId, null);
    });
    if (!existed) throw unknownConfiguration(configId);
    if (this.#lastLoaded.get(modelId) === configId) this.#lastLoaded.delete(modelId);
    if (model?.state.kind === 'failed' && model.state.attempt.configuration.configId === configId)
      model.forgetFailure();
  }

  /**
   * Resolves when the configuration's model is ready. Calls at the same time share one load, which goes on when a
   * caller leaves: the promise then rejects with the reason of `signal`.
   * @throws SluiceError `config_not_found`, `failed_precondition`, `load_failed`, `shutting_down`
   */
  async load(configId: string, signal: AbortSignal | null = null): Promise<void> {
    const configuration = await this.configuration(configId);
    if (this.#configurations.isRemoved(configId)) throw unknownConfiguration(configId);
    if (this.#closing) throw shuttingDown();
    if (this.#whyNoLoads !== null) throw new SluiceError('failed_precondition', this.#whyNoLoads);
    await unlessLeft(this.#load(configuration, 'with success'), signal);
  }

  /**
   * Takes the model off the data plane, lets its requests finish, and stops it; a load under way is stopped.
   * @throws SluiceError `model_not_found`: no such model, or it isn't loaded
   */
  async unload(modelId: string): Promise<void> {
    const model = this.#models.get(modelId);
    if (model !== undefined && configurationInUse(model.state) !== null) {
      await model.stop({ kind: 'unloaded' });
      return;
    }
    const { store } = this.#options;
    if ((await store.loaded()).has(modelId)) {
      // It failed, or sleeps: from now on neither a restart nor anyone else expects it.
      await store.setLoaded(modelId, null);
      model?.forgetFailure();
      return;
    }
    const isConfigured = (await this.configurations()).some((one) => one.modelId === modelId);
    throw new SluiceError(
      'model_not_found',
      isConfigured
        ? `The model ${JSON.stringify(modelId)} is not loaded.`
        : `The model ${JSON.stringify(modelId)} does not exist here.`,
      { param: 'model_id' },
    );
  }

  /** Where each configured model stands, by model id. */
  async statuses(): Promise<readonly ModelStatus[]> {
    const ids = new Set((await this.configurations()).map(({ modelId }) => modelId));
    return [...ids].sort(byText).map((modelId) => this.status(modelId));
  }

  /** Where one model stands; `stopped` for any that never ran here. */
  status(modelId: string): ModelStatus {
    const model = this.#models.get(modelId);
    return model === undefined
      ? stoppedStatus(modelId, this.#lastLoaded.get(modelId) ?? '')
      : statusOf(modelId, model.state, this.#clock.now());
  }

  /**
   * The configuration's status at once, then each change, at most ten a second; ends after ready, failed or stopped,
   * and when `signal` aborts. While another configuration of its model runs this one is stopped.
   * @throws SluiceError `config_not_found`, at the first step
   */
  async *watch(
    configId: string,
    signal: AbortSignal | null = null,
  ): AsyncGenerator<ModelStatus, void, undefined> {
    const { modelId } = await this.configuration(configId);
    yield* statusFeed(
      {
        status: () => {
          const status = this.status(modelId);
          return status.configId === configId ? status : stoppedStatus(modelId, configId);
        },
        subscribe: (listener) => {
          this.#watchers.add(listener);
          return () => this.#watchers.delete(listener);
        },
      },
      this.#clock,
      signal,
    );
  }

  /** Ids of the models that answer requests, sorted. */
  loadedModels(): readonly string[] {
    return this.#deployments.map(({ modelName }) => modelName).sort(byText);
  }

  /** What the data plane sends to: one for each ready model. */
  deployments(): readonly Deployment[] {
    return this.#deployments;
  }

  /** Ids of models that aren't ready, and of which `wake` knows more: it brings them up, or says what to wait for. */
  asleep(): ReadonlySet<string> {
    return this.#asleep;
  }

  /** Calls back when `deployments()` or `asleep()` has changed. @returns stops it */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Defaults of inference of a ready model; none for any other. */
  samplingDefaults(modelId: string): Readonly<Record<string, Json>> {
    const state = this.#models.get(modelId)?.state;
    if (state?.kind !== 'ready') return {};
    return parseModelKwargs(state.attempt.configuration.modelKwargs).sampling;
  }

  /** How a model that isn't loaded would be, as the end of a sentence; null: there is no configuration for it. */
  remedyFor(modelId: string): string | null {
    if (this.#configurations.ofModel(modelId).length === 0) return null;
    return this.#whyNoLoads ?? HOW_TO_LOAD;
  }

  /**
   * Loads a model that has `load_on_request`, or joins its load: resolves when it is ready. Null: no such model; the
   * caller answers as if this had not been asked. Rejects with SluiceError: `load_failed`, without the details, which
   * are the administrator's; `model_not_ready` for a model of another kind that is being started, because its load
   * may take longer than its client waits; `shutting_down`.
   */
  wake(modelId: string): Promise<void> | null {
    if (this.#whyNoLoads !== null) return null;
    const chosen = this.#wakeAnswer(modelId);
    switch (chosen.kind) {
      case 'no':
        return null;
      case 'ready':
        return Promise.resolve();
      case 'starting':
        return Promise.reject(notReady(modelId));
      case 'resting':
        return Promise.reject(notUp(modelId, chosen.error));
      case 'load':
        if (this.#closing) return Promise.reject(shuttingDown());
        return this.#load(chosen.configuration, 'with success').catch((error: unknown) => {
          throw notUp(modelId, error);
        });
    }
  }

  /**
   * The gateway is about to end: no load begins any more, and those under way are given up, because what waits for
   * them would hold the end up. What is ready goes on answering until `close`.
   */
  shutdown(): void {
    this.#closing = true;
    this.#idle.close();
    for (const model of this.#models.values()) {
      if (model.state.kind === 'starting') void model.stop({ kind: 'closing' });
    }
  }

  /** Stops every model; what was loaded is loaded again by the next start. Twice is harmless. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#idle.close();
    this.#configurations.close();
    const stops = [...this.#models.values()].map((model) => model.stop({ kind: 'closing' }));
    for (const stop of await Promise.allSettled(stops)) {
      if (stop.status === 'rejected')
        this.#options.logger.error({ err: stop.reason }, 'a model could not be stopped');
    }
  }

  async #load(configuration: StoredConfiguration, mark: Mark): Promise<void> {
    const { configId, modelId } = configuration;
    await this.#model(modelId).load(configuration, mark);
    this.#lastLoaded.set(modelId, configId);
  }

  #model(modelId: string): Model {
    const known = this.#models.get(modelId);
    if (known !== undefined) return known;
    const { store, logger, drainTimeoutMs, activity, timeouts } = this.#options;
    const model = new Model(modelId, {
      store,
      logger,
      drainTimeoutMs,
      clock: this.#clock,
      timeouts: timeouts ?? firstTimeouts(),
      driverOf: (configuration) => this.#driverOf(configuration),
      outstanding: (deployment) => activity(deployment).outstanding,
      stateChanged: () => this.#changed(),
      progressed: () => this.#tellWatchers(),
    });
    this.#models.set(modelId, model);
    return model;
  }

  #changed(): void {
    const deployments = [...this.#models.values()]
      .map((model) => model.deployment)
      .filter((one) => one !== null);
    const before = this.#deployments;
    const areOthers = deployments.length !== before.length || deployments.some((one, i) => one !== before[i]);
    const asleep = new Set(this.#configurations.modelIds().filter((modelId) => this.#isAsleep(modelId)));
    if (areOthers) this.#deployments = Object.freeze(deployments);
    if (areOthers || !isSameSet(asleep, this.#asleep)) {
      this.#asleep = asleep;
      for (const listener of this.#listeners) listener();
    }
    this.#tellWatchers();
  }

  #tellWatchers(): void {
    for (const watcher of this.#watchers) watcher();
  }

  #isAsleep(modelId: string): boolean {
    if (this.#whyNoLoads !== null) return false;
    const answer = this.#wakeAnswer(modelId).kind;
    return answer !== 'no' && answer !== 'ready';
  }

  #wakeAnswer(modelId: string): WakeAnswer {
    return wakeable({
      configurations: this.#configurations.ofModel(modelId),
      state: this.#models.get(modelId)?.state ?? null,
      lastLoaded: this.#lastLoaded.get(modelId) ?? null,
      now: this.#clock.now(),
    });
  }

  #driverOf(configuration: StoredConfiguration): Driver {
    const { drivers } = this.#options;
    const { modelType } = configuration;
    const choose = Object.hasOwn(drivers, modelType) ? drivers[modelType] : undefined;
    if (choose !== undefined) return choose(configuration);
    const known = Object.keys(drivers);
    const near = nearest(modelType, known);
    throw new SluiceError(
      'invalid_request',
      `model_type: ${JSON.stringify(modelType)} is not known; ${near === null ? '' : `did you mean ${near}? `}known are ${known.join(', ')}.`,
      { param: 'model_type' },
    );
  }
}

function sleeps({ modelKwargs }: StoredConfiguration): boolean {
  return modelKwargs.load_on_request === true && (modelKwargs.keep_alive ?? null) !== null;
}

function isSameSet(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a.size === b.size && [...a].every((one) => b.has(one));
}

/** By code point, as everyone's `sort` does it. */
function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
