import { SluiceError } from '../base/errors.ts';
import type { StoredConfiguration } from '../store/store.ts';
import type { ModelState } from './model-state.ts';

/** A model that failed is left alone so long before a request loads it again: each try may take minutes of a GPU. */
const REST_AFTER_FAILURE_MS = 30_000;

export interface WakeQuestion {
  /** Of the model, oldest first. */
  readonly configurations: readonly StoredConfiguration[];
  /** Null: nothing ever ran. */
  readonly state: ModelState | null;
  /** The configuration that was loaded last. */
  readonly lastLoaded: string | null;
  readonly now: number;
}

export type WakeAnswer =
  /** Not a model that requests load. */
  | { readonly kind: 'no' }
  | { readonly kind: 'ready' }
  /** It is being started, and requests don't wait for it. */
  | { readonly kind: 'starting' }
  /** It failed just now. */
  | { readonly kind: 'resting'; readonly error: SluiceError }
  /** Load it, or join its load. */
  | { readonly kind: 'load'; readonly configuration: StoredConfiguration };

/** What a request for a model that isn't on the data plane does to it. */
export function wakeable(question: WakeQuestion): WakeAnswer {
  const { state, now } = question;
  switch (state?.kind) {
    case 'ready':
      return { kind: 'ready' };
    case 'starting': {
      const { configuration } = state.attempt;
      return loadsOnRequest(configuration) ? { kind: 'load', configuration } : { kind: 'starting' };
    }
    case 'failed': {
      const chosen = choose(question);
      if (chosen.kind !== 'load' || now - state.failedAt >= REST_AFTER_FAILURE_MS) return chosen;
      return { kind: 'resting', error: new SluiceError('load_failed', state.reason) };
    }
    case undefined:
    case 'stopped':
    case 'stopping':
      return choose(question);
  }
}

/** The one that was loaded last, where it may be; else the newest that may. */
function choose({ configurations, lastLoaded }: WakeQuestion): WakeAnswer {
  const candidates = configurations.filter(loadsOnRequest);
  const chosen = candidates.find(({ configId }) => configId === lastLoaded) ?? candidates.at(-1);
  return chosen === undefined ? { kind: 'no' } : { kind: 'load', configuration: chosen };
}

function loadsOnRequest({ modelKwargs }: StoredConfiguration): boolean {
  return modelKwargs.load_on_request === true;
}
