import { SluiceError } from '../base/errors.ts';
import type { StoredKey } from '../store/key-store.ts';

/** What a request asks for, as far as a key's permissions are concerned. */
export interface Asked {
  /** As it was parsed, once, for routing too. */
  readonly path: string;
  /** Another path that means the same (`/v1/chat/completions` for `/chat/completions`); null: none. */
  readonly alias: string | null;
  /** The model that the client named, or the one that a request without a name gets; null: neither. */
  readonly model: string | null;
  /**
   * Whether a model decides about the target. Where none does (an operator's route), a request that names none is
   * ruled by its path alone.
   */
  readonly byModel: boolean;
}

/**
 * Holds a key to its `allowed_routes` and `models`; an empty list allows all.
 * @throws SluiceError `route_not_allowed`, `model_not_allowed` (403)
 */
export function permit(key: StoredKey, asked: Asked): void {
  const { allowedRoutes } = key;
  if (allowedRoutes.length > 0 && !mayCall(allowedRoutes, asked)) {
    throw new SluiceError(
      'route_not_allowed',
      `The key may not call ${asked.path}; it may call ${listed(allowedRoutes)}.`,
    );
  }
  if (key.models.length === 0) return;
  const { model } = asked;
  if (model === null) {
    if (!asked.byModel) return;
    throw new SluiceError(
      'model_not_allowed',
      `The request names no model, and the key may use ${listed(key.models)} alone: name one in the body's "model" or in the header x-sluice-model.`,
      { param: 'model' },
    );
  }
  if (mayUseModel(key, model)) return;
  throw new SluiceError(
    'model_not_allowed',
    `The key may not use the model ${JSON.stringify(model)}; it may use ${listed(key.models)}.`,
    { param: 'model' },
  );
}

/** By its exact name, or by a `prefix/*`. */
export function mayUseModel({ models }: StoredKey, model: string): boolean {
  if (models.length === 0) return true;
  for (const allowed of models) {
    if (allowed === model) return true;
    if (allowed.endsWith('/*') && model.startsWith(allowed.slice(0, -1))) return true;
  }
  return false;
}

function mayCall(allowedRoutes: readonly string[], { path, alias }: Asked): boolean {
  for (const prefix of allowedRoutes) {
    if (isWithin(path, prefix) || (alias !== null && isWithin(alias, prefix))) return true;
  }
  return false;
}

const SLASH = 0x2f;

/** At a segment boundary: `/vllm` allows `/vllm` and `/vllm/classify`, never `/vllmx`. */
function isWithin(path: string, prefix: string): boolean {
  if (!path.startsWith(prefix)) return prefix.endsWith('/') && path === prefix.slice(0, -1);
  const { length } = prefix;
  return (
    path.length === length || path.charCodeAt(length) === SLASH || prefix.charCodeAt(length - 1) === SLASH
  );
}

const LISTED = 20;

function listed(names: readonly string[]): string {
  const shown = names.slice(0, LISTED).join(', ');
  return names.length > LISTED ? `${shown}, and ${names.length - LISTED} more` : shown;
}
