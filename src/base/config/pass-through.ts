import type { PathRoute, RouteTarget } from './config.ts';
import { dollars, flag, text, textList, texts } from './fields.ts';
import { readHeaders } from './headers.ts';
import { hasDotSegment, looksLikeHost, parseHttpUrl } from './http-url.ts';
import { ENDPOINT_HINTS, ENDPOINT_KEYS } from './known-general-settings.ts';
import { nearest } from './nearest.ts';
import type { Path } from './report.ts';
import { isControlPlanePath } from './reserved-paths.ts';
import { describe, type Reading, readSection, section, valueAt } from './section.ts';
import { firstTimeouts, type PartialTimeouts, TIMEOUT_FIELDS, timeoutsFrom } from './timeouts.ts';
import { isYamlObject, type YamlObject, type YamlValue } from './yaml-tree.ts';

/** What a route takes that doesn't say it. */
export const ROUTE_METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'] as const;

/** `custom_callbacks.anthropic_adapter`: a module and what it exports. */
const ADAPTER_NAME = /^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$/;

export const ENDPOINT = section({
  description: 'One route of your own: a path here, and where its requests go.',
  used: {
    path: text({ description: 'The path that clients call, like /v1/rerank.' }),
    target: text({ description: "The URL to which requests go, or an adapter's module.export." }),
    headers: texts({
      description:
        'Headers sent to the target. litellm_user_api_key names the header in which clients send their key; LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY become basic authorization.',
      writeOnly: true,
    }),
    forward_headers: flag({
      description: "Whether the client's own headers go on to the target.",
      default: false,
    }),
    include_subpath: flag({
      description:
        'Whether everything below path is taken too. Default: true where the target has no path of its own.',
    }),
    methods: textList({ description: `Methods that are taken. Default: ${ROUTE_METHODS.join(', ')}.` }),
    auth: flag({
      description:
        'Whether a key is asked for. Default: false, but true where headers name litellm_user_api_key.',
    }),
    cost_per_request: dollars({ description: 'US dollars that one request costs.' }),
    default_query_params: texts({ description: 'Query parameters for what a client leaves out.' }),
    ...TIMEOUT_FIELDS,
  },
  required: ['path', 'target'],
  ignored: ENDPOINT_KEYS,
  hints: ENDPOINT_HINTS,
});

const ENDPOINTS_PATH: Path = ['general_settings', 'pass_through_endpoints'];

/** A route, and where its entry stands. */
export interface PlacedRoute {
  readonly route: PathRoute;
  readonly at: Path;
}

/** Reads `pass_through_endpoints`; `timeouts` is what a route has that names none of its own. */
export function readEndpoints(
  value: YamlValue | undefined,
  timeouts: PartialTimeouts,
  reading: Reading,
): readonly PlacedRoute[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) {
    reading.report.fault(ENDPOINTS_PATH, `must be a list of routes, not ${describe(value)}`);
    return [];
  }
  const routes: PlacedRoute[] = [];
  for (const [index, entry] of (value as readonly YamlValue[]).entries()) {
    const at = [...ENDPOINTS_PATH, index];
    if (!isYamlObject(entry)) {
      reading.report.fault(at, `must be a mapping with path and target, not ${describe(entry)}`);
      continue;
    }
    const route = readEndpoint(entry, at, timeouts, reading);
    if (route === null) continue;
    refuseTaken(route, at, routes, reading);
    routes.push({ route, at });
  }
  return routes;
}

/** Reads one route; null where the report has a fault of its path or target. */
export function readEndpoint(
  entry: YamlObject,
  at: Path,
  timeouts: PartialTimeouts,
  reading: Reading,
): PathRoute | null {
  const values = readSection(ENDPOINT, entry, at, reading);
  const path = values.path === undefined ? null : pathFrom(values.path, [...at, 'path'], reading);
  const target = values.target === undefined ? null : targetFrom(values.target, [...at, 'target'], reading);
  const headers = readHeaders(values.headers ?? {}, [...at, 'headers'], reading);
  const methods = methodsFrom(values.methods ?? [], [...at, 'methods'], reading);
  if (path === null || target === null) return null;
  return {
    path,
    target,
    includeSubpath: values.include_subpath ?? (target.kind === 'url' && !hasOwnPath(target.url)),
    methods,
    headers: headers.pairs,
    forwardHeaders: values.forward_headers ?? false,
    // Who says in which header clients send their key wants it looked at.
    auth: values.auth ?? headers.keyHeader !== null,
    keyHeader: headers.keyHeader,
    defaultQueryParams: values.default_query_params ?? {},
    costPerRequest: values.cost_per_request ?? null,
    timeouts: firstTimeouts(timeoutsFrom(values), timeouts),
    guarded: false,
    line: reading.tree.valuePlace(at).line,
  };
}

function hasOwnPath(url: string): boolean {
  return new URL(url).pathname !== '/';
}

function pathFrom(given: string, at: Path, reading: Reading): string | null {
  const path = given === '/' ? given : given.replace(/\/+$/, '');
  const problem = pathProblem(path);
  if (problem === null) return path;
  const raw = valueAt(reading.tree.root, at);
  reading.report.fault(at, problem.startsWith('must') ? `${problem}, not ${describe(raw)}` : problem);
  return null;
}

function pathProblem(path: string): string | null {
  if (!path.startsWith('/')) return 'must begin with a slash, like "/v1/rerank"';
  if (/[?#]/.test(path)) return 'must be a path alone, without a query or fragment';
  if (/[{}*]/.test(path)) return 'takes no patterns; include_subpath: true takes everything below a path';
  if (/[^\x21-\x7e]|\\/.test(path)) return 'has a character that must be percent-encoded';
  if (path.includes('//')) return 'has an empty segment (two slashes in a row)';
  if (hasDotSegment(path)) return 'has "." or ".." as a segment; no request ever matches it';
  if (isControlPlanePath(path)) return "is a path of Sluice's own control plane; take another";
  return null;
}

function targetFrom(given: string, at: Path, reading: Reading): RouteTarget | null {
  if (ADAPTER_NAME.test(given) && !looksLikeHost(given)) return { kind: 'adapter', name: given };
  const raw = valueAt(reading.tree.root, at);
  const parsed = parseHttpUrl(given, {
    raw: typeof raw === 'string' ? raw : given,
    use: 'target',
    credentials: 'headers, as Authorization',
  });
  if (parsed.kind === 'url') return { kind: 'url', url: parsed.url };
  reading.report.fault(at, parsed.problem);
  return null;
}

function methodsFrom(given: readonly string[], at: Path, reading: Reading): readonly string[] {
  if (given.length === 0) return ROUTE_METHODS;
  const methods = new Set<string>();
  for (const [index, written] of given.entries()) {
    const method = written.toUpperCase();
    if (ROUTE_METHODS.some((known) => known === method)) methods.add(method);
    else {
      const near = nearest(method, ROUTE_METHODS);
      const remedy = near === null ? `known are ${ROUTE_METHODS.join(', ')}` : `did you mean ${near}?`;
      reading.report.fault([...at, index], `is no method that can be relayed; ${remedy}`);
    }
  }
  return [...methods];
}

function refuseTaken(route: PathRoute, at: Path, earlier: readonly PlacedRoute[], reading: Reading): void {
  for (const other of earlier) {
    if (other.route.path !== route.path) continue;
    const both = route.methods.filter((method) => other.route.methods.includes(method));
    if (both.length === 0) continue;
    const where = `pass_through_endpoints[${other.at.at(-1)}] on line ${other.route.line}`;
    reading.report.fault([...at, 'path'], `is taken by ${where} already, for ${both.join(', ')}`);
    return;
  }
}

/** What the operator should know about the routes as they are. */
export function warnOfRoutes(
  routes: readonly PlacedRoute[],
  known: { readonly hasMasterKey: boolean; readonly vllmOrigins: ReadonlySet<string> },
  reading: Reading,
): void {
  for (const { route, at } of routes) {
    if (route.target.kind === 'adapter') {
      reading.report.warn(
        [...at, 'target'],
        `adapters are not served by this version yet: requests to ${route.path} get 501`,
      );
    } else if (known.vllmOrigins.has(new URL(route.target.url).origin)) {
      reading.report.warn(
        at,
        `${route.path} goes to a vLLM server of this configuration: what vLLM lets everybody do (sleep, load adapters, …) can be done through it; /vllm/* asks for the master key there`,
      );
    }
    if (!route.auth && known.hasMasterKey) {
      reading.report.warn(
        at,
        `${route.path} is open to anyone who can reach the port; auth: true asks for a key`,
      );
    }
  }
}
