import type { Exchange } from './exchange.ts';

export interface Route {
  readonly methods: readonly string[];
  /** A path; a `{}` segment stands for any one segment, `*` at the end for any rest. */
  readonly path: string;
  readonly handle: (exchange: Exchange) => Promise<void>;
  /** Needs an engine that is loaded, alive and awake. */
  readonly infers?: boolean;
  /** Exists only in development mode. */
  readonly dev?: boolean;
  /** Errors have the shape of Anthropic's API. */
  readonly anthropicErrors?: boolean;
}

export type Match =
  | { readonly kind: 'route'; readonly route: Route; readonly params: readonly string[] }
  | { readonly kind: 'wrong_method'; readonly allow: readonly string[] }
  | { readonly kind: 'none' };

/** Finds the route for a path; where none has the method, says which methods there are. */
export function matchRoute(routes: readonly Route[], method: string, path: string): Match {
  const allow: string[] = [];
  for (const route of routes) {
    const params = paramsOf(route.path, path);
    if (params === null) continue;
    if (route.methods.includes(method)) return { kind: 'route', route, params };
    allow.push(...route.methods);
  }
  return allow.length > 0 ? { kind: 'wrong_method', allow } : { kind: 'none' };
}

function paramsOf(pattern: string, path: string): readonly string[] | null {
  if (pattern.endsWith('*')) return path.startsWith(pattern.slice(0, -1)) ? [] : null;
  if (pattern === path) return [];
  if (!pattern.includes('{}')) return null;
  const wanted = pattern.split('/');
  const segments = path.split('/');
  if (wanted.length !== segments.length) return null;
  const params: string[] = [];
  for (const [index, segment] of segments.entries()) {
    if (wanted[index] === '{}' && segment !== '') params.push(segment);
    else if (wanted[index] !== segment) return null;
  }
  return params;
}
