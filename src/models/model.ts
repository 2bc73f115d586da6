import type { Logger } from 'pino';
import type { Deployment, Timeouts } from '../base/config/config.ts';
import { SluiceError } from '../base/errors.ts';
import type { Store, StoredConfiguration } from '../store/store.ts';
import { Attempt } from './attempt.ts';
import { type Clock, pause } from './clock.ts';
import type { Driver, RuntimeEvents } from './driver.ts';
import { parseModelKwargs } from './model-kwargs.ts';
import { shuttingDown } from './model-refusals.ts';
import type { ModelState } from './model-state.ts';

/** How often a model that is being unloaded is asked for its last requests. */
const IDLE_POLL_MS = 50;

export interface ModelSurroundings {
  readonly store: Store;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly timeouts: Timeouts;
  readonly driverOf: (configuration: StoredConfiguration) => Driver;
  /** Requests under way to what was ready. */
  readonly outstanding: (deployment: Deployment) => number;
  readonly drainTimeoutMs: () => number;
  readonly stateChanged: () => void;
  /** Its load has gone on. */
  readonly progressed: () => void;
}

/** Where a failed start leaves what the store says shall be loaded. */
export type Mark =
  /** Set before it starts, cleared when it fails: whoever asked for it is told. */
  | 'with success'
  /** Left as it is: it was loaded before a restart, and the next one shall try again. */
  | 'kept';

/** Why a model is taken down. */
export type StopReason =
  /** Someone asked for it: it stays so after a restart. */
  | { readonly kind: 'unloaded' }
  /** Nobody has used it for long. `mark` kept: it may be woken. */
  | { readonly kind: 'idle'; readonly mark: 'kept' | 'cleared' }
  /** The gateway ends: what was loaded will be loaded again, and its requests are over. */
  | { readonly kind: 'closing' };

/** One model id: what runs under it, if anything. All changes of state happen here. */
export class Model {
  readonly modelId: string;
  readonly #around: ModelSurroundings;
  #state: ModelState = { kind: 'stopped', configuration: null };
  #deployment: Deployment | null = null;
  #hurry = new AbortController();
  #closed = false;

  constructor(modelId: string, surroundings: ModelSurroundings) {
    this.modelId = modelId;
    this.#around = surroundings;
  }

  get state(): ModelState {
    return this.#state;
  }

  /** What the data plane sends to; null unless ready. The same object as long as it stays ready. */
  get deployment(): Deployment | null {
    return this.#deployment;
  }

  /**
   * Resolves when the model is ready with this configuration; joins a load under way, waits for an unload under way.
   * @throws SluiceError `failed_precondition` another configuration is in use; `load_failed`; `shutting_down`
   */
  async load(configuration: StoredConfiguration, mark: Mark): Promise<void> {
    if (this.#closed) throw shuttingDown();
    const state = this.#state;
    switch (state.kind) {
      case 'ready':
        this.#refuseOther(state.attempt, configuration, 'is loaded');
        return;
      case 'starting':
        this.#refuseOther(state.attempt, configuration, 'is being loaded');
        return state.attempt.outcome;
      case 'stopping':
        await state.done;
        return this.load(configuration, mark);
      case 'stopped':
      case 'failed':
        return this.#start(configuration, mark);
    }
  }

  #refuseOther(attempt: Attempt, wanted: StoredConfiguration, what: string): void {
    const { configId } = attempt.configuration;
    if (configId === wanted.configId) return;
    throw new SluiceError(
      'failed_precondition',
      `The model ${JSON.stringify(this.modelId)} ${what} with another configuration, ${configId}: unload it first (POST /llm/unload_model/${encodeURIComponent(this.modelId)}).`,
    );
  }

  #start(configuration: StoredConfiguration, mark: Mark): Promise<void> {
    const attempt = new Attempt(configuration, this.#around.clock.now());
    this.#become({ kind: 'starting', attempt });
    const { outcome } = attempt;
    attempt.ended = this.#bringUp(attempt, mark);
    return outcome;
  }

  /** Never rejects. */
  async #bringUp(attempt: Attempt, mark: Mark): Promise<void> {
    const { configuration, abort } = attempt;
    try {
      if (mark === 'with success') await this.#around.store.setLoaded(this.modelId, configuration.configId);
      abort.signal.throwIfAborted();
      const driver = this.#around.driverOf(configuration);
      attempt.runtime = await driver.load(configuration, this.#eventsOf(attempt), abort.signal);
      this.#settle(attempt);
    } catch (thrown) {
      if (abort.signal.aborted) return;
      const error = loadError(thrown);
      const { cause, message, reason: why } = error;
      // Its message may have twenty lines of vLLM's log: as an `err` it would stand there with them, and again in its stack.
      this.#around.logger.error(
        cause === undefined ? { why } : { why, err: cause },
        `model ${this.modelId}: ${message}`,
      );
      // While it is still `starting`: once it has failed the next load may set the mark anew.
      if (mark === 'with success') await this.#saveMark(null).catch(() => {});
      if (!abort.signal.aborted) this.#fail(attempt, error);
    }
  }

  #eventsOf(attempt: Attempt): RuntimeEvents {
    const { logger } = this.#around;
    const heard = (change: () => void) => {
      if (attempt.abort.signal.aborted) return;
      change();
      if (attempt.runtime !== null) this.#settle(attempt);
    };
    return {
      progress: (progress) => {
        if (attempt.abort.signal.aborted) return;
        attempt.hear(progress);
        this.#around.progressed();
      },
      lost: (reason) =>
        heard(() => {
          logger.warn(`model ${this.modelId}: ended and is started again: ${reason}`);
          attempt.health = { kind: 'down' };
        }),
      recovered: (upstream) =>
        heard(() => {
          attempt.movedTo = upstream;
          attempt.health = { kind: 'up' };
        }),
      failed: (reason) =>
        heard(() => {
          logger.error(`model ${this.modelId}: ended and stays down: ${reason}`);
          attempt.health = { kind: 'dead', reason };
        }),
    };
  }

  /** Brings the state in line with what the driver last told. */
  #settle(attempt: Attempt): void {
    const state = this.#state;
    const { runtime, health } = attempt;
    if (runtime === null || (state.kind !== 'starting' && state.kind !== 'ready')) return;
    const now = this.#around.clock.now();
    switch (health.kind) {
      case 'up':
        if (state.kind === 'starting') this.#tellReady(attempt, now);
        attempt.succeed(now);
        this.#become({ kind: 'ready', attempt, upstream: attempt.movedTo ?? runtime.upstream });
        return;
      case 'down':
        if (state.kind === 'ready') attempt.restart(now);
        this.#become({ kind: 'starting', attempt });
        return;
      case 'dead':
        this.#fail(attempt, new SluiceError('load_failed', health.reason));
        return;
    }
  }

  #tellReady(attempt: Attempt, now: number): void {
    const seconds = Math.round(attempt.elapsedMs(now) / 100) / 10;
    this.#around.logger.info(`model ${this.modelId}: ready after ${seconds} s`);
  }

  #fail(attempt: Attempt, error: SluiceError): void {
    attempt.abort.abort();
    const failedAt = this.#around.clock.now();
    this.#become({ kind: 'failed', attempt, reason: error.message, failedAt });
    attempt.fail(failedAt, error);
  }

  /**
   * Takes it off the data plane at once, lets its requests finish within the drain timeout, and stops it. Joins a
   * stop under way; nothing to do when nothing runs. A load under way is aborted, and its callers are told.
   * @throws SluiceError `store_unavailable` when it is stopped and the store couldn't note it
   */
  async stop(reason: StopReason): Promise<void> {
    if (reason.kind === 'closing') this.#closed = true;
    const state = this.#state;
    switch (state.kind) {
      case 'stopped':
      case 'failed':
        return;
      case 'stopping':
        if (reason.kind === 'closing') this.#hurry.abort();
        await state.done;
        // An idle model that may be woken keeps its mark, which someone now wants gone.
        if (reason.kind === 'unloaded') await this.#saveMark(null);
        return;
      case 'starting':
      case 'ready':
        return this.#takeDown(state, reason);
    }
  }

  async #takeDown(
    state: Extract<ModelState, { kind: 'starting' | 'ready' }>,
    reason: StopReason,
  ): Promise<void> {
    const { attempt } = state;
    const done = Promise.withResolvers<void>();
    const deployment = this.#deployment;
    this.#hurry = new AbortController();
    this.#become({ kind: 'stopping', attempt, done: done.promise });
    if (deployment !== null && reason.kind !== 'closing') await this.#drain(deployment);
    attempt.abort.abort();
    attempt.fail(this.#around.clock.now(), stoppedWhileLoading(this.modelId, reason));
    await attempt.ended;
    await attempt.runtime?.stop();
    try {
      if (clearsMark(reason)) await this.#saveMark(null);
    } finally {
      this.#around.logger.info(`model ${this.modelId}: stopped`);
      this.#become({ kind: 'stopped', configuration: attempt.configuration });
      done.resolve();
    }
  }

  async #drain(deployment: Deployment): Promise<void> {
    const { clock, outstanding, drainTimeoutMs, logger } = this.#around;
    const until = clock.now() + drainTimeoutMs();
    while (outstanding(deployment) > 0 && !this.#hurry.signal.aborted) {
      if (clock.now() >= until) {
        logger.warn(
          `model ${this.modelId}: ${outstanding(deployment)} requests were still under way at the end of the drain timeout`,
        );
        return;
      }
      await pause(clock, IDLE_POLL_MS, this.#hurry.signal);
    }
  }

  /** Back to `stopped` from `failed`, which is only remembered. */
  forgetFailure(): void {
    if (this.#state.kind === 'failed')
      this.#become({ kind: 'stopped', configuration: this.#state.attempt.configuration });
  }

  async #saveMark(configId: string | null): Promise<void> {
    try {
      await this.#around.store.setLoaded(this.modelId, configId);
    } catch (error) {
      this.#around.logger.error({ err: error }, `model ${this.modelId}: its state could not be stored`);
      throw error;
    }
  }

  #become(state: ModelState): void {
    this.#state = state;
    this.#deployment = state.kind === 'ready' ? this.#deploymentAt(state) : null;
    this.#around.stateChanged();
  }

  #deploymentAt({ attempt, upstream }: Extract<ModelState, { kind: 'ready' }>): Deployment {
    const { apiBase, apiKey, provider, upstreamModel } = upstream;
    const before = this.#deployment;
    if (before?.apiBase === apiBase && before.apiKey === apiKey) return before;
    return Object.freeze({
      id: `${this.modelId}#loaded`,
      modelName: this.modelId,
      provider,
      upstreamModel,
      apiBase,
      // Where the configuration names no base it is the operator's, or a process of our own.
      guarded: parseModelKwargs(attempt.configuration.modelKwargs).own.apiBase !== null,
      apiKey,
      headers: Object.freeze([]),
      timeouts: this.#around.timeouts,
      prices: Object.freeze({}),
      modelInfo: Object.freeze({}),
    });
  }
}

function clearsMark(reason: StopReason): boolean {
  switch (reason.kind) {
    case 'unloaded':
      return true;
    case 'idle':
      return reason.mark === 'cleared';
    case 'closing':
      return false;
  }
}

function stoppedWhileLoading(modelId: string, reason: StopReason): SluiceError {
  return reason.kind === 'closing'
    ? shuttingDown()
    : new SluiceError(
        'load_failed',
        `The model ${JSON.stringify(modelId)} was unloaded before it was ready.`,
      );
}

/** Drivers reject with SluiceError; anything else is a defect of theirs, whose text is for the log alone. */
function loadError(thrown: unknown): SluiceError {
  if (thrown instanceof SluiceError) return thrown;
  return new SluiceError('load_failed', 'Loading it failed; the log has the cause.', { cause: thrown });
}
