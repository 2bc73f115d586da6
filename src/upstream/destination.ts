import type { PathRoute } from '../base/config/config.ts';
import { isControlPlanePath } from '../base/config/reserved-paths.ts';
import { SluiceError } from '../base/errors.ts';
import { type RequestPath, refuseDotSegments } from '../base/request-path.ts';

/** What a path means on the data plane. */
export type Destination =
  /** An operator's route; `subpath` is what stands behind its path, with its slash, or ``. */
  | { readonly kind: 'route'; readonly route: PathRoute; readonly subpath: string }
  /** `/{provider}/{endpoint}`: the endpoint is the target's own path. */
  | { readonly kind: 'provider'; readonly provider: string; readonly endpoint: string }
  /** `/v1/{endpoint}`; `endpoint` keeps its `v1/`. */
  | { readonly kind: 'v1'; readonly endpoint: string };

/**
 * Endpoints that the LiteLLM proxy serves without `/v1` as well, because its clients are told to use the bare
 * URL as their base: they mean the `/v1` one.
 */
const V1_WITHOUT_PREFIX = [
  '/chat/completions',
  '/completions',
  '/embeddings',
  '/moderations',
  '/responses',
  '/rerank',
  '/audio/transcriptions',
  '/audio/translations',
  '/audio/speech',
  '/images/generations',
  '/images/edits',
  '/models',
];

export interface DestinationTableOptions {
  readonly routes: readonly PathRoute[];
  /** Path prefix without slashes → provider id, aliases included. */
  readonly providerPrefixes: ReadonlyMap<string, string>;
}

/** Maps a path to its destination: operator's routes (the longest path first), providers, `/v1`. */
export class DestinationTable {
  /** Routes by path, for the exact match; several when they split the methods between them. */
  readonly #exact = new Map<string, PathRoute[]>();
  /** Routes that take what is below them, longest path first. */
  readonly #prefixes: PathRoute[] = [];
  readonly #providers: ReadonlyMap<string, string>;

  constructor(options: DestinationTableOptions) {
    this.#providers = options.providerPrefixes;
    for (const route of options.routes) {
      const known = this.#exact.get(route.path);
      if (known === undefined) this.#exact.set(route.path, [route]);
      else known.push(route);
      if (route.includeSubpath) this.#prefixes.push(route);
    }
    this.#prefixes.sort((a, b) => b.path.length - a.path.length);
  }

  /**
   * @returns the destination, or null when nothing on the data plane has this path
   * @throws SluiceError `method_not_allowed` with `Allow`, `forbidden_path`
   */
  resolve(method: string, path: RequestPath): Destination | null {
    const { raw } = path;
    if (this.#exact.size > 0) {
      const taken = this.#resolveRoute(method, raw);
      if (taken !== null) return taken;
    }
    const slash = raw.indexOf('/', 1);
    const first = slash === -1 ? raw.slice(1) : raw.slice(1, slash);
    if (first === 'v1' && slash !== -1) {
      refuseDotSegments(raw);
      return { kind: 'v1', endpoint: raw.slice(1) };
    }
    const provider = this.#providers.get(first);
    if (provider !== undefined) {
      refuseDotSegments(raw);
      return { kind: 'provider', provider, endpoint: slash === -1 ? '' : raw.slice(slash + 1) };
    }
    if (V1_WITHOUT_PREFIX.includes(raw)) return { kind: 'v1', endpoint: `v1${raw}` };
    return null;
  }

  #resolveRoute(method: string, raw: string): Destination | null {
    const exact = this.#exact.get(raw) ?? (raw.endsWith('/') ? this.#exact.get(raw.slice(0, -1)) : undefined);
    const below = this.#prefixes.filter((route) => isBelow(raw, route.path));
    const [longest] = below;
    const candidates = exact ?? (longest && below.filter((route) => route.path === longest.path));
    if (candidates === undefined) return null;
    // Also what is not served, or not yet: a misspelt call would take its key and its secrets to the route's target.
    if (candidates[0]?.path === '/' && isControlPlanePath(raw)) return null;
    refuseDotSegments(raw);
    const route = candidates.find(({ methods }) => methods.includes(method));
    if (route === undefined) {
      const allow = [...new Set(candidates.flatMap(({ methods }) => methods))].join(', ');
      throw new SluiceError(
        'method_not_allowed',
        `${method} is not allowed on this route; it takes ${allow}.`,
        {
          headers: ['allow', allow],
        },
      );
    }
    const subpath = raw.slice(route.path === '/' ? 0 : route.path.length);
    return { kind: 'route', route, subpath: !route.includeSubpath && subpath === '/' ? '' : subpath };
  }
}

/** At a segment boundary: `/bria` takes `/bria/v1`, never `/briax`. */
function isBelow(path: string, prefix: string): boolean {
  if (prefix === '/') return true;
  return path.startsWith(prefix) && path.charCodeAt(prefix.length) === 0x2f;
}
