import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type { ServiceImpl } from '@connectrpc/connect';
import { type PassthroughEndpoint, PassthroughEndpointSchema } from '../../gen/sluice/v1/passthrough_pb.ts';
import type {
  CreateEndpointRequest,
  PassthroughService,
} from '../../gen/sluice/v1/passthrough_service_pb.ts';
import type { PathRoute } from '../base/config/config.ts';
import { ROUTE_METHODS } from '../base/config/pass-through.ts';
import type { ManagedRoute, PathRoutes, RouteFields } from '../upstream/path-routes.ts';
import { changeFrom, millisecondsFrom } from './passthrough-route-changes.ts';
import {
  headersToStore,
  queryParamsToStore,
  redactedHeaders,
  redactedQueryParams,
  redactedTarget,
  targetToStore,
} from './route-redaction.ts';

type RouteMethods = 'listEndpoints' | 'createEndpoint' | 'updateEndpoint' | 'deleteEndpoint';

/** The half of PassthroughService that manages the operator's routes. */
export function createPassthroughRoutesService(
  routes: PathRoutes,
): Pick<ServiceImpl<typeof PassthroughService>, RouteMethods> {
  return {
    listEndpoints({ endpointId }) {
      const wanted = endpointId === '' ? routes.list() : [routes.get(endpointId)];
      return { endpoints: wanted.map(endpointFrom) };
    },
    async createEndpoint(request) {
      return { endpoints: [endpointFrom(await routes.create(fieldsFrom(request)))] };
    },
    async updateEndpoint(request) {
      return { endpoints: [endpointFrom(await routes.update(request.endpointId, changeFrom(request)))] };
    },
    async deleteEndpoint({ endpointId }) {
      return { endpoints: [endpointFrom(await routes.delete(endpointId))] };
    },
  };
}

function fieldsFrom(request: CreateEndpointRequest): RouteFields {
  return {
    path: request.path,
    target: targetToStore(request.target, null),
    headers: headersToStore(request.headers, {}),
    includeSubpath: request.includeSubpath ?? null,
    methods: request.methods,
    forwardHeaders: request.forwardHeaders,
    auth: request.auth ?? true,
    defaultQueryParams: queryParamsToStore(request.defaultQueryParams, {}),
    costPerRequest: request.costPerRequest ?? null,
    timeoutMs: millisecondsFrom(request.timeout),
  };
}

/** As it is in effect, defaults filled in; credentials redacted. */
function endpointFrom(managed: ManagedRoute): PassthroughEndpoint {
  const { id, route } = managed;
  return create(PassthroughEndpointSchema, {
    id,
    ...(route === null ? {} : effective(route)),
    ...(managed.kind === 'created' ? given(managed) : { headers: redactedHeaders(headersOf(managed.route)) }),
    isFromConfig: managed.kind === 'file',
  });
}

type EndpointFields = MessageInitShape<typeof PassthroughEndpointSchema>;

function effective(route: PathRoute): EndpointFields {
  const { path, target, includeSubpath, methods, forwardHeaders, auth, costPerRequest, timeouts } = route;
  return {
    path,
    target: target.kind === 'url' ? redactedTarget(target.url) : target.name,
    includeSubpath,
    methods: [...methods],
    forwardHeaders,
    auth,
    defaultQueryParams: redactedQueryParams(route.defaultQueryParams),
    ...(costPerRequest === null ? {} : { costPerRequest }),
    timeout: timeouts.firstByteTimeoutMs / 1_000,
  };
}

/** What a created route was given; all there is where this version can't use it. */
function given({ stored, route }: Extract<ManagedRoute, { kind: 'created' }>): EndpointFields {
  const headers = redactedHeaders(stored.headers);
  if (route !== null) return { headers };
  return {
    headers,
    path: stored.path,
    target: redactedTarget(stored.target),
    includeSubpath: stored.includeSubpath ?? false,
    methods: [...(stored.methods.length === 0 ? ROUTE_METHODS : stored.methods)],
    forwardHeaders: stored.forwardHeaders,
    auth: stored.auth,
    defaultQueryParams: redactedQueryParams(stored.defaultQueryParams),
    ...(stored.costPerRequest === null ? {} : { costPerRequest: stored.costPerRequest }),
    timeout: (stored.timeoutMs ?? 0) / 1_000,
  };
}

/** By name; the header in which clients send their key under the name that the file has for it. */
function headersOf({ headers, keyHeader }: PathRoute): Readonly<Record<string, string>> {
  const pairs: [string, string][] = keyHeader === null ? [] : [['litellm_user_api_key', keyHeader]];
  for (let index = 0; index < headers.length; index += 2)
    pairs.push([headers[index] ?? '', headers[index + 1] ?? '']);
  return Object.fromEntries(pairs);
}
