import type { Admission } from '../access/admit.ts';
import type { PathRoute } from '../base/config/config.ts';
import type { RequestPath } from '../base/request-path.ts';
import type { Origin } from '../upstream/client.ts';
import type { Destination } from '../upstream/destination.ts';
import { joinPath, joinQuery, targetFrom } from '../upstream/origin.ts';
import type { Lease } from '../upstream/pick.ts';
import { type Framing, upstreamHeaders, withoutKeyQuery } from './request-headers.ts';

export interface OutboundOptions {
  readonly destination: Destination;
  readonly admission: Admission;
  readonly lease: Lease;
  readonly path: RequestPath;
  /** The client's raw name-value pairs. */
  readonly headers: readonly string[];
  readonly framing: Framing;
  readonly upgrade: boolean;
}

/** Where and with what head a request goes on. */
export interface Outbound {
  readonly origin: Origin;
  /** Origin-form. */
  readonly path: string;
  /** Raw name-value pairs as they go on the wire. */
  readonly headers: readonly string[];
}

/** Puts the admitted request and its target together: URL join, query, headers. */
export function outboundFrom(options: OutboundOptions): Outbound {
  const { destination, admission, lease } = options;
  const target = targetFrom(lease.apiBase);
  const route = destination.kind === 'route' ? destination.route : null;
  const path = targetPath(destination, target.path, target.exactPath);
  const clientQuery = withoutKeyQuery(options.path.query, admission);
  const query = joinQuery(target.query, clientQuery, route?.defaultQueryParams ?? null);
  return {
    origin: target.origin,
    path: query === '' && options.path.emptyQuery !== true ? path : `${path}?${query}`,
    headers: upstreamHeaders({
      client: options.headers,
      admission,
      host: target.origin.host,
      inject: lease.headers,
      policy: route === null ? 'all' : policyOf(route),
      keyHeader: route?.keyHeader ?? null,
      framing: options.framing,
      upgrade: options.upgrade,
    }),
  };
}

function targetPath(destination: Destination, base: string, exact: string): string {
  if (destination.kind !== 'route') return joinPath(base, destination.endpoint);
  return destination.subpath === '' ? exact : `${base}${destination.subpath}`;
}

function policyOf(route: PathRoute): 'forward' | 'entity' {
  return route.forwardHeaders ? 'forward' : 'entity';
}
