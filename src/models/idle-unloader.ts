import type { Logger } from 'pino';
import type { Deployment } from '../base/config/config.ts';
import type { Activity } from '../upstream/pick.ts';
import type { Clock } from './clock.ts';
import type { Model } from './model.ts';
import { parseModelKwargs } from './model-kwargs.ts';

export interface IdleUnloaderOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly activity: (deployment: Deployment) => Activity;
  readonly models: () => Iterable<Model>;
}

const LOOK_EVERY_MS = 1_000;

interface Quiet {
  /** The load that it belongs to: a new one begins anew. */
  readonly attempt: object;
  readonly served: number;
  readonly since: number;
}

/** Unloads models that nobody has used for as long as their `keep_alive`; looks once a second. */
export class IdleUnloader {
  readonly #options: IdleUnloaderOptions;
  readonly #quiet = new Map<string, Quiet>();
  #takeBack: () => void;

  constructor(options: IdleUnloaderOptions) {
    this.#options = options;
    this.#takeBack = options.clock.after(LOOK_EVERY_MS, () => this.#look());
  }

  close(): void {
    this.#takeBack();
  }

  #look(): void {
    const { clock, models } = this.#options;
    this.#takeBack = clock.after(LOOK_EVERY_MS, () => this.#look());
    for (const model of models()) this.#lookAt(model);
  }

  #lookAt(model: Model): void {
    const { modelId, state, deployment } = model;
    if (state.kind !== 'ready' || deployment === null) {
      this.#quiet.delete(modelId);
      return;
    }
    const { attempt } = state;
    const { keepAliveMs, loadOnRequest } = parseModelKwargs(attempt.configuration.modelKwargs).own;
    if (keepAliveMs === null) return;
    const { clock, activity, logger } = this.#options;
    const { outstanding, served } = activity(deployment);
    const quiet = this.#quiet.get(modelId);
    if (outstanding > 0 || quiet?.attempt !== attempt || quiet.served !== served) {
      this.#quiet.set(modelId, { attempt, served, since: clock.now() });
    } else if (clock.now() - quiet.since >= keepAliveMs) {
      logger.info(`model ${modelId}: unloaded after ${Math.round(keepAliveMs / 1000)} s without a request`);
      model.stop({ kind: 'idle', mark: loadOnRequest ? 'kept' : 'cleared' }).catch(() => {});
    }
  }
}
