import { decodePercent } from './percent.ts';
import type { PathTemplate } from './template.ts';

/** What a table holds: anything with a template and a method, `*` for any. */
export interface Routable {
  readonly template: PathTemplate;
  readonly httpMethod: string;
}

export type RouteMatch<R> =
  /** `segments` are the path's as they came, without the verb. */
  | { readonly kind: 'route'; readonly route: R; readonly segments: readonly string[] }
  /** The path is known, the method isn't; `allow` are those that are, sorted. */
  | { readonly kind: 'method_not_allowed'; readonly allow: readonly string[] };

/**
 * Templates as a trie of their segments. Segment by segment from the left a literal beats `*` beats `**`, a verb beats
 * none, a named method beats `*`; a route that doesn't take the method never hides one that does.
 */
export class RouteTable<R extends Routable> {
  readonly #root = createNode<R>();
  readonly #optionalSlash: boolean;

  constructor(options: { readonly trailingSlash: 'strict' | 'optional' }) {
    this.#optionalSlash = options.trailingSlash === 'optional';
  }

  /** Adds a route. Returns the one that already takes the same requests, if any; the table is then unchanged. */
  add(route: R): R | null {
    const { segments, verb } = route.template;
    let node = this.#root;
    for (const segment of segments) node = childFor(node, segment);
    let methods = node.routes.get(verb);
    if (methods === undefined) {
      methods = new Map();
      node.routes.set(verb, methods);
    }
    const clash = methods.get(route.httpMethod);
    if (clash !== undefined) return clash;
    methods.set(route.httpMethod, route);
    return null;
  }

  /** Finds the route for a raw path, its percent-encoding untouched; null when none has such a path. */
  match(httpMethod: string, path: string): RouteMatch<R> | null {
    if (!path.startsWith('/') || this.#beginsUnknown(path)) return null;
    const search = new Search<R>(httpMethod);
    const found = search.path(this.#root, path);
    if (found !== null) return found;
    if (this.#optionalSlash && path.length > 1 && path.endsWith('/') && !path.endsWith('//')) {
      const slashless = search.path(this.#root, path.slice(0, -1));
      if (slashless !== null) return slashless;
    }
    return search.refusal();
  }

  /** Most paths that are none of these routes' are told by their first segment. */
  #beginsUnknown(path: string): boolean {
    const { literals, single, rest } = this.#root;
    if (single !== null || rest !== null) return false;
    const end = path.indexOf('/', 1);
    const first = end === -1 ? path.slice(1) : path.slice(1, end);
    return first !== '' && !literals.has(first) && !first.includes('%') && !first.includes(':');
  }
}

/** Templates that have all segments so far in common. */
interface Node<R> {
  readonly literals: Map<string, Node<R>>;
  single: Node<R> | null;
  /** Holds routes alone: `**` is the last segment. */
  rest: Node<R> | null;
  /** Templates that end here, by verb and method. */
  readonly routes: Map<string, Map<string, R>>;
}

function createNode<R>(): Node<R> {
  return { literals: new Map(), single: null, rest: null, routes: new Map() };
}

function childFor<R>(node: Node<R>, segment: PathTemplate['segments'][number]): Node<R> {
  switch (segment.kind) {
    case 'literal': {
      const known = node.literals.get(segment.text);
      if (known !== undefined) return known;
      const child = createNode<R>();
      node.literals.set(segment.text, child);
      return child;
    }
    case 'single':
      node.single ??= createNode();
      return node.single;
    case 'rest':
      node.rest ??= createNode();
      return node.rest;
  }
}

class Search<R> {
  readonly #httpMethod: string;
  #segments: readonly string[] = [];
  #verb = '';
  /** Methods of the routes whose path matched. */
  #allow: Set<string> | null = null;

  constructor(httpMethod: string) {
    this.#httpMethod = httpMethod;
  }

  path(root: Node<R>, path: string): RouteMatch<R> | null {
    const segments = path === '/' ? [] : path.slice(1).split('/');
    const last = segments.at(-1) ?? '';
    const colon = last.lastIndexOf(':');
    if (colon !== -1) {
      const verb = decodePercent(last.slice(colon + 1));
      if (verb !== null && verb !== '') {
        const found = this.#walkFrom(root, [...segments.slice(0, -1), last.slice(0, colon)], verb);
        if (found !== null) return found;
      }
    }
    // A colon that is no template's verb belongs to the segment: `/models/llama3:8b`.
    return this.#walkFrom(root, segments, '');
  }

  refusal(): RouteMatch<R> | null {
    if (this.#allow === null) return null;
    if (this.#allow.has('GET')) this.#allow.add('HEAD');
    return { kind: 'method_not_allowed', allow: [...this.#allow].sort() };
  }

  #walkFrom(root: Node<R>, segments: readonly string[], verb: string): RouteMatch<R> | null {
    this.#segments = segments;
    this.#verb = verb;
    const route = this.#walk(root, 0);
    return route === null ? null : { kind: 'route', route, segments };
  }

  /** Visits each node at most once, since only one choice of children leads there. */
  #walk(node: Node<R>, index: number): R | null {
    const segment = this.#segments[index];
    if (segment === undefined) {
      const here = this.#routeAt(node);
      if (here !== null) return here;
    } else {
      const text = decodePercent(segment);
      const literal = text === null ? undefined : node.literals.get(text);
      if (literal !== undefined) {
        const found = this.#walk(literal, index + 1);
        if (found !== null) return found;
      }
      if (node.single !== null && segment !== '') {
        const found = this.#walk(node.single, index + 1);
        if (found !== null) return found;
      }
    }
    return node.rest !== null && this.#restMatches(index) ? this.#routeAt(node.rest) : null;
  }

  /** No variable captures a leading slash (google/api/http.proto): `//x` under a prefix is nobody's path. */
  #restMatches(index: number): boolean {
    return this.#segments[index] !== '' || index === this.#segments.length - 1;
  }

  #routeAt(node: Node<R>): R | null {
    const methods = node.routes.get(this.#verb);
    if (methods === undefined) return null;
    const method = this.#httpMethod;
    const route =
      methods.get(method) ?? (method === 'HEAD' ? methods.get('GET') : undefined) ?? methods.get('*');
    if (route !== undefined) return route;
    this.#allow ??= new Set();
    for (const allowed of methods.keys()) this.#allow.add(allowed);
    return null;
  }
}
