import { ROUTE_METHODS } from '../base/config/pass-through.ts';
import { SluiceError } from '../base/errors.ts';
import type { StoredRoute } from './store.ts';

/** What a route takes for itself: `METHOD path`, each at most one route's. */
export function claimsOf({ path, methods }: Pick<StoredRoute, 'path' | 'methods'>): readonly string[] {
  return (methods.length === 0 ? ROUTE_METHODS : methods).map((method) => `${method} ${path}`);
}

/** @param taken claim, id of its owner, claim, id, …; in the order of what was claimed */
export function claimsTaken(taken: readonly string[], path: string): SluiceError {
  const owner = taken[1] ?? '';
  const methods = taken
    .filter((_claim, index) => index % 2 === 0 && taken[index + 1] === owner)
    .map((claim) => claim.slice(0, claim.indexOf(' ')));
  const message = `The route ${owner} takes ${methods.join(', ')} on ${path} already.`;
  return new SluiceError('already_exists', message, { param: 'path' });
}
