import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Routable, type RouteMatch, RouteTable } from '../../src/bridge/route-table.ts';
import { parseTemplate } from '../../src/bridge/template.ts';

interface Route extends Routable {
  readonly name: string;
}

/** `GET /v1/{a}`. */
function routeFrom(name: string): Route {
  const [httpMethod, source] = name.split(' ') as [string, string];
  return { name, httpMethod, template: parseTemplate(source) };
}

function tableOf(
  names: readonly string[],
  trailingSlash: 'strict' | 'optional' = 'strict',
): RouteTable<Route> {
  const table = new RouteTable<Route>({ trailingSlash });
  for (const name of names) expect(table.add(routeFrom(name))?.name).toBeUndefined();
  return table;
}

/** `GET /v1/{a} [v1,b]`, `405 GET,HEAD` or `404`. */
function shown(match: RouteMatch<Route> | null): string {
  if (match === null) return '404';
  if (match.kind === 'method_not_allowed') return `405 ${match.allow.join(',')}`;
  return `${match.route.name} [${match.segments.join(',')}]`;
}

const ROUTES = [
  'GET /',
  'GET /a',
  'POST /a',
  'GET /a/b',
  'GET /a/{x}',
  'DELETE /a/{x}',
  'GET /a/{x}/c',
  'GET /a/b/d',
  'POST /a/{x}:run',
  'POST /a/b:run',
  'GET /a:list',
  'GET /files/{path=**}',
  'PUT /files/{path=**}:upload',
  'GET /files/special',
  'GET /{name=shelves/*/books/*}',
  'GET /shelves/{shelf}/{kind}/new',
  'GET /x%2Fy/z',
  'GET /caf%C3%A9',
  'PURGE /a/b',
  '* /any/{x}',
  'GET /any/{x}',
  'HEAD /head/{x}',
  'GET /head/{x}',
  'GET /only/get',
];

const CASES: readonly (readonly [asked: string, found: string])[] = [
  // the root, and what isn't a path
  ['GET /', 'GET / []'],
  ['POST /', '405 GET,HEAD'],
  ['GET a', '404'],
  ['GET ', '404'],
  ['OPTIONS *', '404'],
  // literals
  ['GET /a', 'GET /a [a]'],
  ['GET /A', '404'],
  ['GET /b', '404'],
  ['GET /a/b', 'GET /a/b [a,b]'],
  ['GET /aa', '404'],
  // a literal beats a wildcard, and going back where it leads nowhere
  ['GET /a/z', 'GET /a/{x} [a,z]'],
  ['GET /a/b/c', 'GET /a/{x}/c [a,b,c]'],
  ['GET /a/b/d', 'GET /a/b/d [a,b,d]'],
  ['GET /a/z/d', '404'],
  ['GET /shelves/1/books/2', 'GET /{name=shelves/*/books/*} [shelves,1,books,2]'],
  ['GET /shelves/1/books/new', 'GET /{name=shelves/*/books/*} [shelves,1,books,new]'],
  ['GET /shelves/1/other/new', 'GET /shelves/{shelf}/{kind}/new [shelves,1,other,new]'],
  // a route that doesn't take the method hides none that does
  ['DELETE /a/b', 'DELETE /a/{x} [a,b]'],
  ['PURGE /a/b', 'PURGE /a/b [a,b]'],
  ['PURGE /a/z', '405 DELETE,GET,HEAD'],
  ['PUT /a/b', '405 DELETE,GET,HEAD,PURGE'],
  ['PUT /a', '405 GET,HEAD,POST'],
  ['get /a', '405 GET,HEAD,POST'],
  // HEAD is GET's where there is no other
  ['HEAD /a', 'GET /a [a]'],
  ['HEAD /head/1', 'HEAD /head/{x} [head,1]'],
  ['HEAD /any/1', 'GET /any/{x} [any,1]'],
  ['PUT /any/1', '* /any/{x} [any,1]'],
  // a wildcard takes one segment that isn't empty
  ['GET /a/', '404'],
  ['GET /a//c', '404'],
  ['GET /a/b/', '404'],
  ['GET //a', '404'],
  // ** takes the rest, nothing included, but no leading slash
  ['GET /files', 'GET /files/{path=**} [files]'],
  ['GET /files/', 'GET /files/{path=**} [files,]'],
  ['GET /files/x', 'GET /files/{path=**} [files,x]'],
  ['GET /files/x/y/', 'GET /files/{path=**} [files,x,y,]'],
  ['GET /files/x//y', 'GET /files/{path=**} [files,x,,y]'],
  ['GET /files//x', '404'],
  ['GET /files//', '404'],
  ['GET /files/special', 'GET /files/special [files,special]'],
  ['GET /files/special/x', 'GET /files/{path=**} [files,special,x]'],
  // verbs
  ['POST /a/b:run', 'POST /a/b:run [a,b]'],
  ['POST /a/z:run', 'POST /a/{x}:run [a,z]'],
  ['POST /a/z%3Arun', '405 DELETE,GET,HEAD'],
  ['POST /a/z:ru%6E', 'POST /a/{x}:run [a,z]'],
  ['GET /a:list', 'GET /a:list [a]'],
  ['POST /a:list', '405 GET,HEAD'],
  ['PUT /files/x/y:upload', 'PUT /files/{path=**}:upload [files,x,y]'],
  ['PUT /files:upload', 'PUT /files/{path=**}:upload [files]'],
  ['PUT /files/x:y/z:upload', 'PUT /files/{path=**}:upload [files,x:y,z]'],
  ['POST /a/:run', '405 DELETE,GET,HEAD'],
  // a colon that is no verb's belongs to its segment
  ['GET /a/llama3:8b', 'GET /a/{x} [a,llama3:8b]'],
  ['GET /a/z:run', 'GET /a/{x} [a,z:run]'],
  ['GET /a/z:', 'GET /a/{x} [a,z:]'],
  ['GET /a/:', 'GET /a/{x} [a,:]'],
  ['GET /a/x:y:run', 'GET /a/{x} [a,x:y:run]'],
  ['POST /a/x:y:run', 'POST /a/{x}:run [a,x:y]'],
  // literals are compared percent-decoded, whole segments at a time
  ['GET /%61', 'GET /a [%61]'],
  ['GET /x%2fy/z', 'GET /x%2Fy/z [x%2fy,z]'],
  ['GET /x/y/z', '404'],
  ['GET /caf%c3%a9', 'GET /caf%C3%A9 [caf%c3%a9]'],
  ['GET /a%2Fb', '404'],
  ['GET /a/%zz', 'GET /a/{x} [a,%zz]'],
  ['GET /%zz', '404'],
  ['GET /a/b%2Fd', 'GET /a/{x} [a,b%2Fd]'],
];

describe('RouteTable', () => {
  const strict = tableOf(ROUTES);
  test.for(CASES)('%s finds %s', ([asked, found]) => {
    const [method, path = ''] = asked.split(' ') as [string, string];
    expect(shown(strict.match(method, path))).toBe(found);
  });

  const optional = tableOf(ROUTES, 'optional');
  test.for([
    ['GET /a/', 'GET /a [a]'],
    ['GET /a/b/', 'GET /a/b [a,b]'],
    ['POST /a/z:run/', 'POST /a/{x}:run [a,z]'],
    ['PUT /a/', '405 GET,HEAD,POST'],
    ['GET /a//', '404'],
    ['GET //', '404'],
    ['GET /files//', '404'],
    ['GET /', 'GET / []'],
    ['GET /none/', '404'],
    // as it is where a template takes it so
    ['GET /files/x/', 'GET /files/{path=**} [files,x,]'],
  ] as const)('with an optional trailing slash %s finds %s', ([asked, found]) => {
    const [method, path] = asked.split(' ') as [string, string];
    expect(shown(optional.match(method, path))).toBe(found);
  });

  test.for([
    ['GET /a/{x}', 'GET /a/{y}'],
    ['GET /a/{x}', 'GET /a/*'],
    ['GET /{a=b/*}', 'GET /b/{c}'],
    ['GET /a/{x=**}', 'GET /a/**'],
    ['GET /%61:b', 'GET /a:%62'],
    ['* /a', '* /a'],
  ] as const)('refuses %s beside %s', ([first, second]) => {
    const table = tableOf([first]);
    expect(table.add(routeFrom(second))?.name).toBe(first);
    expect(shown(table.match('GET', '/nowhere/else'))).toBe('404');
  });

  test('agrees with a matcher that looks at every template', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(routeName, { maxLength: 12 }),
        fc.array(path, { maxLength: 8 }),
        (names, paths) => {
          const table = new RouteTable<Route>({ trailingSlash: 'strict' });
          const routes = names.map(routeFrom).filter((route) => table.add(route) === null);
          for (const each of paths) {
            for (const method of ['GET', 'POST', 'HEAD', 'PUT']) {
              expect([each, shown(table.match(method, each))]).toEqual([each, naive(routes, method, each)]);
            }
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  test('takes no longer than there are templates for a path that nearly fits all of them', () => {
    let prefixes = [''];
    for (let depth = 0; depth < 9; depth++)
      prefixes = prefixes.flatMap((prefix) => [`${prefix}/a`, `${prefix}/*`]);
    const table = tableOf(prefixes.map((prefix) => `GET ${prefix}/end`));
    const started = performance.now();
    for (let i = 0; i < 100; i++) expect(table.match('GET', `${'/a'.repeat(9)}/other`)).toBeNull();
    expect(performance.now() - started).toBeLessThan(2_000);
  });
});

const segment = fc.constantFrom('a', 'b', 'c', 'a:b', ':b', '', '%61', 'a%2Fb', 'a:c:b');
const path = fc.array(segment, { minLength: 1, maxLength: 4 }).map((segments) => `/${segments.join('/')}`);
const routeName = fc
  .record({
    method: fc.constantFrom('GET', 'POST', '*'),
    segments: fc.array(fc.constantFrom('a', 'b', '*'), { maxLength: 3 }),
    rest: fc.boolean(),
    verb: fc.constantFrom('', ':b', ':c'),
  })
  .map(({ method, segments, rest, verb }) => {
    const all = [...segments, ...(rest || segments.length === 0 ? ['**'] : [])];
    return `${method} /${all.join('/')}${verb}`;
  });

/** The rules as the docstring has them, over a list. */
function naive(routes: readonly Route[], method: string, asked: string): string {
  const segments = asked === '/' ? [] : asked.slice(1).split('/');
  const last = segments.at(-1) ?? '';
  const colon = last.lastIndexOf(':');
  const attempts: [readonly string[], string][] = [[segments, '']];
  if (colon !== -1 && colon < last.length - 1) {
    attempts.unshift([[...segments.slice(0, -1), last.slice(0, colon)], last.slice(colon + 1)]);
  }
  const allow = new Set<string>();
  for (const [parts, verb] of attempts) {
    const fitting = routes
      .filter(({ template }) => template.verb === verb && fits(template.segments, parts))
      .sort((a, b) => compare(a, b));
    for (const { httpMethod } of fitting) allow.add(httpMethod);
    const taken = fitting.find((route) =>
      fitting
        .filter((other) => compare(other, route) === 0)
        .some(({ httpMethod }) => takes(httpMethod, method)),
    );
    if (taken === undefined) continue;
    const equals = fitting.filter((other) => compare(other, taken) === 0);
    const chosen =
      equals.find(({ httpMethod }) => httpMethod === method) ??
      equals.find(({ httpMethod }) => method === 'HEAD' && httpMethod === 'GET') ??
      equals.find(({ httpMethod }) => httpMethod === '*');
    return `${chosen?.name} [${parts.join(',')}]`;
  }
  if (allow.size === 0) return '404';
  if (allow.has('GET')) allow.add('HEAD');
  return `405 ${[...allow].sort().join(',')}`;
}

function takes(httpMethod: string, method: string): boolean {
  return httpMethod === method || httpMethod === '*' || (httpMethod === 'GET' && method === 'HEAD');
}

function fits(template: Route['template']['segments'], parts: readonly string[]): boolean {
  return (
    template.every((segment, index) => {
      const part = parts[index];
      switch (segment.kind) {
        case 'literal':
          return part !== undefined && decodeURIComponent(part) === segment.text;
        case 'single':
          return part !== undefined && part !== '';
        case 'rest':
          return part !== '' || index === parts.length - 1;
      }
      return false;
    }) &&
    (template.length === parts.length || template.at(-1)?.kind === 'rest')
  );
}

/** More specific first; 0 for the same template. */
function compare({ template: a }: Route, { template: b }: Route): number {
  const ranks = (segments: Route['template']['segments']) =>
    segments.map(({ kind }) => (kind === 'literal' ? 0 : kind === 'single' ? 1 : 2));
  const [left, right] = [ranks(a.segments), ranks(b.segments)];
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    // Templates that end sooner fit all that is there, and so are more specific than a rest of nothing.
    const difference = (left[i] ?? -1) - (right[i] ?? -1);
    if (difference !== 0) return difference;
  }
  return 0;
}
