import type { StoredConfiguration } from '../store/store.ts';
import type { Attempt } from './attempt.ts';
import type { LoadStage, RuntimeUpstream } from './driver.ts';

/** Where a model stands between its configuration and its requests. */
export type ModelState =
  /** `configuration`: what was loaded last, if anything was. */
  | { readonly kind: 'stopped'; readonly configuration: StoredConfiguration | null }
  /** Being loaded, or coming back after its process ended. */
  | { readonly kind: 'starting'; readonly attempt: Attempt }
  | { readonly kind: 'ready'; readonly attempt: Attempt; readonly upstream: RuntimeUpstream }
  /** `done` resolves when it is stopped; never rejects. */
  | { readonly kind: 'stopping'; readonly attempt: Attempt; readonly done: Promise<void> }
  | {
      readonly kind: 'failed';
      readonly attempt: Attempt;
      readonly reason: string;
      readonly failedAt: number;
    };

/** What is known of a model at one moment. */
export interface ModelStatus {
  readonly modelId: string;
  /** Loaded, being loaded, or loaded last; empty: none was yet. */
  readonly configId: string;
  readonly state: ModelState['kind'];
  readonly stage: LoadStage | null;
  /** 0 to 100. */
  readonly percent: number;
  /** Since the load began; of a finished one, how long it took. */
  readonly elapsedMs: number;
  /** Empty where there is no process. */
  readonly lastLogLine: string;
  /** Why it is `failed`; else empty. */
  readonly failure: string;
}

/** What has no load to tell of. */
export function stoppedStatus(modelId: string, configId: string): ModelStatus {
  return Object.freeze({
    modelId,
    configId,
    state: 'stopped',
    stage: null,
    percent: 0,
    elapsedMs: 0,
    lastLogLine: '',
    failure: '',
  });
}

export function statusOf(modelId: string, state: ModelState, now: number): ModelStatus {
  switch (state.kind) {
    case 'stopped':
      return stoppedStatus(modelId, state.configuration?.configId ?? '');
    case 'starting':
    case 'stopping':
      return { ...ofAttempt(modelId, state.attempt, now), state: state.kind };
    case 'ready':
      return { ...ofAttempt(modelId, state.attempt, now), state: 'ready', stage: 'ready', percent: 100 };
    case 'failed':
      return { ...ofAttempt(modelId, state.attempt, now), state: 'failed', failure: state.reason };
  }
}

function ofAttempt(modelId: string, attempt: Attempt, now: number): Omit<ModelStatus, 'state'> {
  const { configuration, stage, percent, lastLogLine } = attempt;
  const elapsedMs = attempt.elapsedMs(now);
  return { modelId, configId: configuration.configId, stage, percent, elapsedMs, lastLogLine, failure: '' };
}

/** The configuration that keeps the model busy, or null when nothing runs. */
export function configurationInUse(state: ModelState): StoredConfiguration | null {
  switch (state.kind) {
    case 'stopped':
    case 'failed':
      return null;
    case 'starting':
    case 'ready':
    case 'stopping':
      return state.attempt.configuration;
  }
}
