import type { Origin } from './client.ts';

const cache = new Map<string, Target>();
const CACHE_SIZE = 4096;

/** A base URL taken apart once: where to connect, and the path that stands before every request's own. */
export interface Target {
  readonly origin: Origin;
  /** The base's path without a trailing slash, to be joined with an endpoint: `` or `/v1`. */
  readonly path: string;
  /** The path as it was written, for a target that is meant exactly: `/` or `/v1/rerank`. */
  readonly exactPath: string;
  /** The base's query without `?`, or ``. */
  readonly query: string;
}

/**
 * Takes an absolute http(s) URL apart; results are cached by the text.
 * @throws TypeError when it isn't a URL; configuration has been checked before, so that is a defect.
 */
export function targetFrom(url: string): Target {
  const known = cache.get(url);
  if (known !== undefined) return known;
  const parsed = new URL(url);
  const tls = parsed.protocol === 'https:';
  const port = parsed.port === '' ? (tls ? 443 : 80) : Number(parsed.port);
  const [path, query] = pathAndQueryAsWritten(url);
  const target: Target = {
    origin: {
      key: `${parsed.protocol}//${parsed.hostname}:${port}`,
      tls,
      hostname: parsed.hostname.replace(/^\[|\]$/g, ''),
      port,
      host: parsed.host,
    },
    path: path.replace(/\/+$/, ''),
    exactPath: path === '' ? '/' : path,
    query,
  };
  if (cache.size >= CACHE_SIZE) cache.clear();
  cache.set(url, target);
  return target;
}

/** Behind the authority, as the operator wrote it: `new URL` would resolve dots and encode quotes. */
function pathAndQueryAsWritten(url: string): [path: string, query: string] {
  const afterAuthority = url.slice(url.indexOf('://') + 3).replace(/#.*$/s, '');
  const start = afterAuthority.search(/[/?]/);
  if (start === -1) return ['', ''];
  const rest = afterAuthority.slice(start);
  const mark = rest.indexOf('?');
  return mark === -1 ? [rest, ''] : [rest.slice(0, mark), rest.slice(mark + 1)];
}

/**
 * Joins a base and an endpoint: one slash between them whatever either has (LiteLLM #8350), the base's own path
 * kept (#11925), the endpoint's percent-encoding untouched. A base that ends in `/v1` takes an endpoint that
 * begins with `v1/` without doubling it.
 */
export function joinPath(basePath: string, endpoint: string): string {
  let rest = endpoint.startsWith('/') ? endpoint.slice(1) : endpoint;
  if (basePath.endsWith('/v1') && (rest === 'v1' || rest.startsWith('v1/'))) rest = rest.slice(3);
  if (rest === '') return basePath === '' ? '/' : basePath;
  return `${basePath}/${rest}`;
}

/**
 * The query that goes on: the target's own first, then the client's verbatim, then those defaults whose names
 * the client left out. Nothing is decoded but to compare names.
 */
export function joinQuery(
  own: string,
  client: string,
  defaults: Readonly<Record<string, string>> | null,
): string {
  let query = own === '' ? client : client === '' ? own : `${own}&${client}`;
  if (defaults === null) return query;
  const present = new URLSearchParams(query);
  for (const [name, value] of Object.entries(defaults)) {
    if (present.has(name)) continue;
    const pair = `${encodeURIComponent(name)}=${encodeURIComponent(value)}`;
    query = query === '' ? pair : `${query}&${pair}`;
  }
  return query;
}
