import type { UpdateEndpointRequest } from '../../gen/sluice/v1/passthrough_service_pb.ts';
import { SluiceError } from '../base/errors.ts';
import type { StoredRoute } from '../store/store.ts';
import {
  headersToStore,
  queryParamsToStore,
  redactedHeaders,
  redactedQueryParams,
  targetToStore,
} from './route-redaction.ts';
import { fieldsToChange, type MaskedField, maskError } from './update-mask.ts';

interface Field extends MaskedField<UpdateEndpointRequest> {
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
 * What an update does to a route: see `fieldsToChange`.
 * @throws SluiceError `invalid_request` naming a path of the mask that is no field
 */
export function changeFrom(request: UpdateEndpointRequest): (stored: StoredRoute) => StoredRoute {
  const fields = fieldsToChange(request, FIELDS);
  return (stored) => {
    let changed = stored;
    for (const field of fields) changed = { ...changed, ...field.change(stored, request) };
    refuseToTakeSecretsElsewhere(stored, changed, request);
    return changed;
  };
}

/**
 * Secrets are redacted when they are read; a new target alone would have them sent to whoever it names.
 * @throws SluiceError `invalid_request`
 */
function refuseToTakeSecretsElsewhere(
  stored: StoredRoute,
  changed: StoredRoute,
  request: UpdateEndpointRequest,
): void {
  if (originOf(changed.target) === originOf(stored.target)) return;
  const kept = [
    ...keptSecrets(changed.headers, redactedHeaders(changed.headers), request.headers),
    ...keptSecrets(
      changed.defaultQueryParams,
      redactedQueryParams(changed.defaultQueryParams),
      request.defaultQueryParams,
    ),
  ];
  if (kept.length === 0) return;
  throw new SluiceError(
    'invalid_request',
    `target: is on another host, and would be sent the stored ${kept.join(', ')}: give ${kept.length === 1 ? 'it' : 'them'} again in clear, or take ${kept.length === 1 ? 'it' : 'them'} away.`,
    { param: 'target' },
  );
}

type Named = Readonly<Record<string, string>>;

/** Names of secrets that are there without having been said in clear by this request. */
function keptSecrets(changed: Named, redacted: Named, given: Named): string[] {
  return Object.entries(changed)
    .filter(
      ([name, value]) => redacted[name] !== value && (!Object.hasOwn(given, name) || given[name] !== value),
    )
    .map(([name]) => name);
}

function originOf(url: string): string | null {
  return URL.canParse(url) ? new URL(url).origin : null;
}

function required(name: string, value: string | undefined): string {
  if (value === undefined)
    throw maskError(`names ${name}, but no ${name} is given, and a route can't be without one`);
  return value;
}

/** Seconds of a request; null where none are given. At least one millisecond, which a timer can wait. */
export function millisecondsFrom(seconds: number | undefined): number | null {
  return seconds === undefined ? null : Math.max(1, Math.round(seconds * 1_000));
}
