import type { UpdateEndpointRequest } from '../../gen/sluice/v1/passthrough_service_pb.ts';
import { nearest } from '../base/config/nearest.ts';
import { SluiceError } from '../base/errors.ts';
import type { StoredRoute } from '../store/store.ts';
import { headersToStore, queryParamsToStore, targetToStore } from './route-redaction.ts';

interface Field {
  /** Whether the request has a value for it. */
  isGiven(request: UpdateEndpointRequest): boolean;
  /** The route with the request's value; without one, with the default. */
  change(stored: StoredRoute, request: UpdateEndpointRequest): Partial<StoredRoute>;
}

const FIELDS: ReadonlyMap<string, Field> = new Map<string, Field>([
  [
    'path',
    {
      isGiven: ({ path }) => path !== undefined,
      change: (_stored, { path }) => ({ path: required('path', path) }),
    },
  ],
  [
    'target',
    {
      isGiven: ({ target }) => target !== undefined,
      change: (stored, { target }) => ({ target: targetToStore(required('target', target), stored.target) }),
    },
  ],
  [
    'headers',
    {
      isGiven: ({ headers }) => Object.keys(headers).length > 0,
      change: (stored, { headers }) => ({ headers: headersToStore(headers, stored.headers) }),
    },
  ],
  [
    'include_subpath',
    {
      isGiven: ({ includeSubpath }) => includeSubpath !== undefined,
      change: (_stored, { includeSubpath = null }) => ({ includeSubpath }),
    },
  ],
  [
    'methods',
    {
      isGiven: ({ methods }) => methods.length > 0,
      change: (_stored, { methods }) => ({ methods }),
    },
  ],
  [
    'forward_headers',
    {
      isGiven: ({ forwardHeaders }) => forwardHeaders !== undefined,
      change: (_stored, { forwardHeaders = false }) => ({ forwardHeaders }),
    },
  ],
  [
    'auth',
    {
      isGiven: ({ auth }) => auth !== undefined,
      change: (_stored, { auth = true }) => ({ auth }),
    },
  ],
  [
    'default_query_params',
    {
      isGiven: ({ defaultQueryParams }) => Object.keys(defaultQueryParams).length > 0,
      change: (stored, { defaultQueryParams }) => ({
        defaultQueryParams: queryParamsToStore(defaultQueryParams, stored.defaultQueryParams),
      }),
    },
  ],
  [
    'cost_per_request',
    {
      isGiven: ({ costPerRequest }) => costPerRequest !== undefined,
      change: (_stored, { costPerRequest = null }) => ({ costPerRequest }),
    },
  ],
  [
    'timeout',
    {
      isGiven: ({ timeout }) => timeout !== undefined,
      change: (_stored, { timeout }) => ({ timeoutMs: millisecondsFrom(timeout) }),
    },
  ],
]);

/**
 * What an update does to a route: the fields of `update_mask`, `*` for all of them, else those that are given
 * (https://google.aip.dev/134). Fields beside the mask are left alone.
 * @throws SluiceError `invalid_request` naming a path of the mask that is no field
 */
export function changeFrom(request: UpdateEndpointRequest): (stored: StoredRoute) => StoredRoute {
  const fields = fieldsOf(request);
  return (stored) => {
    let changed = stored;
    for (const field of fields) changed = { ...changed, ...field.change(stored, request) };
    return changed;
  };
}

function fieldsOf(request: UpdateEndpointRequest): readonly Field[] {
  const paths = request.updateMask?.paths ?? [];
  if (paths.length === 0) return [...FIELDS.values()].filter((field) => field.isGiven(request));
  if (paths.length === 1 && paths[0] === '*') return [...FIELDS.values()];
  return [...new Set(paths)].map((path) => {
    const field = FIELDS.get(path);
    if (field !== undefined) return field;
    const near = nearest(path, FIELDS.keys());
    const remedy = near === null ? `known are ${[...FIELDS.keys()].join(', ')}` : `did you mean ${near}?`;
    throw maskError(`${JSON.stringify(path)} is no field that can be changed; ${remedy}`);
  });
}

function required(name: string, value: string | undefined): string {
  if (value === undefined)
    throw maskError(`names ${name}, but no ${name} is given, and a route can't be without one`);
  return value;
}

function maskError(message: string): SluiceError {
  return new SluiceError('invalid_request', `update_mask: ${message}`, { param: 'update_mask' });
}

/** Seconds of a request; null where none are given. At least one millisecond, which a timer can wait. */
export function millisecondsFrom(seconds: number | undefined): number | null {
  return seconds === undefined ? null : Math.max(1, Math.round(seconds * 1_000));
}
