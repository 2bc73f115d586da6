import type { Exchange } from '../exchange.ts';

const NOT_BY_METHOD = { operator: 'a route without `methods` takes the seven usual ones' };

const target = (name: string, path: string, why: string): Exchange => ({ name, why, request: { path } });
const method = (name: string, not?: Exchange['not']): Exchange => ({
  name: `the method ${name}`,
  why: 'a proxy has no say in what methods mean',
  request: { method: name, path: '/v1/thing?x=1' },
  ...(not !== undefined && { not }),
});

/** Methods and request targets. */
export const TARGETS: readonly Exchange[] = [
  ...['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'].map((name) => method(name)),
  ...['QUERY', 'PROPFIND', 'MKCOL', 'REPORT', 'SEARCH', 'M-SEARCH', 'PURGE', 'LINK', 'MERGE'].map((name) =>
    method(name, NOT_BY_METHOD),
  ),
  target('an encoded slash', '/v1/a%2Fb/%2f', 'decoded it would be another path'),
  target('encoded letters', '/v1/%63hat/%7Ejoe', 'equivalent to unencoded ones, but not the same bytes'),
  target('lower-case hex digits', '/v1/%e2%82%ac', 'normalising would make them upper case'),
  target('an encoded space and a plus', '/v1/c%20d+e', 'both mean a space to some'),
  target('a percent sign that encodes nothing', '/v1/100%/%zz/%', 'decoding it would throw'),
  target('an encoded NUL and line end', '/v1/a%00b%0d%0ac', 'decoding it would split the request'),
  target('path parameters', '/v1/a;b=c/d,e;f', 'some routers cut them off'),
  target('every sub-delimiter', "/v1/~!$&'()*+,;=:@-._", 'all of them may stand in a path as they are'),
  target(
    'characters that a URL parser would encode',
    '/v1/"<>^`{|}\\[]',
    'a browser would; a raw client does not',
  ),
  target('a double slash', '/v1/a//b///', 'an empty segment is a segment'),
  target('a slash at the end', '/v1/things/', 'with and without are two resources'),
  target('dots that are no dot segments', '/v1/.well-known/a..b/...', 'only `.` and `..` climb'),
  target('a path with a colon', '/v1/models/a:generate', 'must not be taken for a scheme'),
  target('an address in the path', '/v1/proxy/http://example.com:80/x', 'a URL inside a path is only a path'),
  target(
    'an odd query',
    '/v1/thing?a&b=&=c&a=1&a=2&x=%2F+',
    'names without values, values without names, repetition, both ways to write a space',
  ),
  target('a query of question marks', '/v1/thing??a=?&?', 'only the first one ends the path'),
  target('a query of ampersands', '/v1/thing?&&a=1&&', 'a parser would drop the empty pairs'),
  target(
    'an empty query',
    '/v1/thing?',
    'not the same target as without the question mark (RFC 3986 §6.2.3)',
  ),
  target('dot segments in a query', '/v1/thing?file=../../etc/./x', 'they climb nowhere there'),
  target('a URL in a query', '/v1/thing?u=http://a:1/b?c=d&e#'.replace('#', '%23'), 'full of delimiters'),
  target(
    'unencoded brackets in a query',
    '/v1/thing?a[]=1&a[b]={"c":"|^`\\"}',
    'URL parsers disagree on them',
  ),
  target(
    'a query parameter named key',
    '/v1/thing?key=AIza-no-key-of-ours&k=v',
    'keys of ours begin with sk-',
  ),
  target(
    'a model in the query',
    '/v1/thing?model=a-name-of-our-own',
    'only a body or a websocket names the model',
  ),
  target('very many parameters', `/v1/thing?${'a=1&'.repeat(2_000)}`, 'no parser, no limit on pairs'),
  target('a very long path', `/v1/${'segment/'.repeat(1_500)}end`, 'URLs of 12 KB occur'),
  target('a very long query', `/v1/thing?q=${'%C3%A4'.repeat(2_000)}`, 'URLs of 12 KB occur'),
];
