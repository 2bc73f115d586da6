import type { Admission, Door, Entry } from '../access/admit.ts';
import type { Grant } from '../access/limiter.ts';
import type { Asked } from '../access/permissions.ts';
import type { Limits } from '../base/config/config.ts';
import { SluiceError } from '../base/errors.ts';
import type { RequestPath } from '../base/request-path.ts';
import type { DetailLog } from '../telemetry/detail-log.ts';
import type { RequestLog } from '../telemetry/request-log.ts';
import { isAdminEndpoint } from '../upstream/admin-endpoints.ts';
import type { UpstreamClient } from '../upstream/client.ts';
import type { Destination, DestinationTable } from '../upstream/destination.ts';
import type { Lease, TargetPicker } from '../upstream/pick.ts';
import { headerValue } from './raw-headers.ts';

/** All that the relay reads of one configuration; a reload makes a new one, requests under way keep theirs. */
export interface RelayContext {
  readonly door: Door;
  readonly destinations: DestinationTable;
  readonly picker: TargetPicker;
  readonly client: UpstreamClient;
  readonly limits: Limits;
  readonly log: RequestLog;
  /** Brings a sleeping model up, and resolves to the context that has it. Rejects with SluiceError `load_failed`. */
  readonly wake: (model: string) => Promise<RelayContext>;
  /** Null but with `--detailed_debug`. */
  readonly detail: DetailLog | null;
}

// The steps that every exchange takes on its way in, whatever its protocol.

/** @throws SluiceError 404, 405, or 400 for a dot segment */
export function destinationOf(context: RelayContext, method: string, path: RequestPath): Destination {
  const destination = context.destinations.resolve(method, path);
  if (destination !== null) return destination;
  throw new SluiceError(
    'path_not_found',
    `Nothing is served at ${loggablePath(path, null)}. Try /v1/…, /vllm/…, another provider's name, a path of pass_through_endpoints, or one of the control plane's (see /docs).`,
  );
}

/** @throws SluiceError (or rejects with it) 401, 503; see `Door.admit` */
export function admitTo(
  context: RelayContext,
  destination: Destination,
  request: Pick<Entry, 'headers' | 'callHeaders'> & { readonly path: RequestPath },
): Admission | Promise<Admission> {
  const route = destination.kind === 'route' ? destination.route : null;
  return context.door.admit({
    headers: request.headers,
    callHeaders: request.callHeaders,
    query: request.path.query,
    keyHeader: route?.keyHeader ?? null,
    keyRequired: route === null || route.auth,
  });
}

/** A path goes on as it is, into upstreams' logs and ours: the caller's key must not stand in it. */
export function refuseKeyInPath(path: RequestPath, admission: Admission): void {
  if (admission.key === null || !path.raw.includes(admission.key)) return;
  throw new SluiceError(
    'forbidden_path',
    'An API key stands in the path: send it as Authorization: Bearer alone.',
  );
}

/** Something like a key of ours, where it is a word of its own. */
const KEY = /(?<![A-Za-z0-9])sk-[\w-]{8,}/g;

/** The path as it may be written down. `admission` null: nobody knows whether the caller's key stands in it. */
export function loggablePath({ raw }: RequestPath, admission: Admission | null): string {
  if (admission === null) return raw.includes('sk-') ? raw.replace(KEY, '…') : raw;
  return admission.key === null ? raw : raw.replaceAll(admission.key, '…');
}

export interface TargetRequest {
  readonly destination: Destination;
  readonly admission: Admission;
  readonly headers: readonly string[];
  readonly model: string | null;
}

/**
 * Holds a caller to what its key may ask for, and takes the request off its limits. Before the target is picked, which
 * counts what it picks; behind it comes nothing that a key decides but the endpoints that are the master's.
 * @throws SluiceError (or rejects with it) 403, 429
 */
export function takeFor(
  context: RelayContext,
  request: TargetRequest & { readonly path: RequestPath },
): Grant | Promise<Grant> {
  const { door, picker } = context;
  const { caller } = request.admission;
  if (caller.kind === 'key') door.permit(caller, askedBy(request, picker));
  return door.take(caller);
}

function askedBy(
  { destination, headers, model, path }: TargetRequest & { readonly path: RequestPath },
  picker: TargetPicker,
): Asked {
  const { raw } = path;
  if (destination.kind === 'route') return { path: raw, alias: null, model, byModel: false };
  const provider = destination.kind === 'provider' ? destination.provider : null;
  return {
    path: raw,
    alias: destination.kind === 'v1' && !raw.startsWith('/v1/') ? `/${destination.endpoint}` : null,
    model: model ?? headerValue(headers, 'x-sluice-model') ?? picker.modelWithoutName(provider),
    byModel: true,
  };
}

/**
 * Picks the target, and holds vLLM's administrative endpoints to the master key.
 * @throws SluiceError 400, 403, 404; ModelAsleep
 */
export function leaseTarget(context: RelayContext, request: TargetRequest): Lease {
  const { destination, admission, headers, model } = request;
  if (destination.kind === 'route')
    return context.picker.pick({ destination, model: null, modelHeader: null });
  const lease = context.picker.pick({
    destination,
    model,
    modelHeader: headerValue(headers, 'x-sluice-model'),
  });
  if (!lease.servesVllm || !isAdminEndpoint(destination.endpoint)) return lease;
  try {
    context.door.requireMaster(admission.caller, `/${destination.endpoint}`);
  } catch (error) {
    lease.release();
    throw error;
  }
  return lease;
}

/** What a log line calls a destination. */
export function routeLabel(destination: Destination): string {
  switch (destination.kind) {
    case 'route':
      return `route ${destination.route.path}`;
    case 'provider':
      return `provider ${destination.provider}`;
    case 'v1':
      return 'v1';
  }
}
