import type { PathRoute, Timeouts } from '../base/config/config.ts';
import { readCreatedRoute } from '../base/config/created-route.ts';
import { SluiceError } from '../base/errors.ts';
import type { StoredRoute } from '../store/store.ts';
import { isForbiddenHost } from './address-guard.ts';

/**
 * What a route that was created through the API means.
 * @throws SluiceError `invalid_request` with every fault of it, a line each: `target: not a URL: …`
 */
export function routeFromStored(stored: StoredRoute, timeouts: Timeouts): PathRoute {
  const reading = readCreatedRoute(
    {
      path: stored.path,
      target: stored.target,
      headers: stored.headers,
      include_subpath: stored.includeSubpath,
      methods: stored.methods,
      forward_headers: stored.forwardHeaders,
      auth: stored.auth,
      default_query_params: stored.defaultQueryParams,
      cost_per_request: stored.costPerRequest,
      timeout: stored.timeoutMs === null ? null : stored.timeoutMs / 1_000,
    },
    timeouts,
  );
  if (reading.kind === 'faults') {
    const lines = reading.faults.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`));
    throw new SluiceError('invalid_request', lines.join('\n'), { param: reading.faults[0]?.path ?? '' });
  }
  const { route } = reading;
  if (route.target.kind === 'url' && isForbiddenHost(new URL(route.target.url).hostname)) {
    throw new SluiceError(
      'invalid_request',
      "target: is a link-local or metadata address, where this machine's credentials may be had; a route created through the API never goes there",
      { param: 'target' },
    );
  }
  return route;
}

/** A stored route in normal form: `/bria/` is `/bria`, `get` is `GET`, so that what is taken twice is seen. */
export function normalRoute(given: StoredRoute, timeouts: Timeouts): StoredRoute {
  const { path, target, methods } = routeFromStored(given, timeouts);
  return {
    ...given,
    path,
    target: target.kind === 'url' ? target.url : given.target,
    methods: given.methods.length === 0 ? [] : methods,
  };
}
