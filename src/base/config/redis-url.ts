import type { RedisNode, RedisState } from './config.ts';

export type RedisReading = RedisState | { readonly kind: 'problem'; readonly problem: string };

/** What a Redis has that nothing else was said of. */
export const REDIS_DEFAULTS = {
  kind: 'redis',
  topology: 'standalone',
  masterName: null,
  username: null,
  password: null,
  sentinelUsername: null,
  sentinelPassword: null,
  database: 0,
  tls: false,
  verifyTls: true,
  prefix: 'sluice',
} as const satisfies Partial<RedisState>;

const REDIS_PORT = 6_379;
const SENTINEL_PORT = 26_379;

const SCHEME = /^redis(s?)(?:[+-](sentinel|cluster))?:\/\//i;

/** True: it is meant for `redisStateFrom`. */
export function isRedisUrl(url: string): boolean {
  return SCHEME.test(url);
}

/**
 * Reads a Redis's URL.
 *
 *     url        = scheme "://" [ [ user ] [ ":" password ] "@" ] node *( "," node ) [ path ] [ "?" parameters ]
 *     scheme     = ( "redis" / "rediss" ) [ ( "+" / "-" ) ( "sentinel" / "cluster" ) ]     ; rediss: TLS
 *     node       = [ "redis://" / "rediss://" ] host [ ":" port ]
 *     path       = "/" [ database ]  /  "/" master [ "/" database ]                        ; the latter for sentinel
 *     parameters = cluster=true, prefix=…, ssl_cert_reqs=none, sentinel_username=…, sentinel_password=…
 *
 * Several nodes of `redis` are a Cluster's. User and password are percent-encoded.
 * (https://www.iana.org/assignments/uri-schemes/prov/redis)
 */
export function redisStateFrom(url: string): RedisReading {
  const [scheme = '', secure, kind] = SCHEME.exec(url) ?? [];
  const [beforeQuery = '', query = ''] = split(
    url.slice(scheme.length).replaceAll(/,rediss?:\/\//gi, ','),
    '?',
  );
  const at = beforeQuery.lastIndexOf('@');
  const [hosts = '', path = ''] = split(beforeQuery.slice(at + 1), '/');
  try {
    const parameters = parametersFrom(query);
    const isSentinel = kind?.toLowerCase() === 'sentinel';
    const nodes = hosts.split(',').map((node) => nodeFrom(node, isSentinel ? SENTINEL_PORT : REDIS_PORT));
    const isCluster = kind?.toLowerCase() === 'cluster' || parameters.cluster;
    const topology = isSentinel ? 'sentinel' : isCluster || nodes.length > 1 ? 'cluster' : 'standalone';
    if (isSentinel && isCluster) throw new Error('means Sentinel and Cluster at once');
    const [master = '', database = ''] = isSentinel ? split(path, '/') : [undefined, path];
    return withChecks({
      ...REDIS_DEFAULTS,
      topology,
      nodes,
      masterName: isSentinel ? (master === '' ? 'mymaster' : decoded(master)) : null,
      ...credentialsFrom(at === -1 ? '' : beforeQuery.slice(0, at)),
      database: databaseFrom(database),
      tls: secure !== undefined && secure !== '',
      verifyTls: parameters.verifyTls,
      prefix: parameters.prefix,
      sentinelUsername: parameters.sentinelUsername,
      sentinelPassword: parameters.sentinelPassword,
    });
  } catch (error) {
    return { kind: 'problem', problem: error instanceof Error ? error.message : String(error) };
  }
}

/** What can't be, whoever said it. @throws Error with the problem */
export function withChecks(state: RedisState): RedisState {
  if (state.topology === 'cluster' && state.database !== 0) {
    throw new Error('a Redis Cluster has no database but 0');
  }
  // Braces would be taken for the hash tag that keeps everything in one slot.
  if (!/^[\w.:-]{1,64}$/.test(state.prefix)) {
    throw new Error('prefix has characters other than letters, digits, _ . : -');
  }
  return state;
}

/** @throws Error with the problem */
export function nodeFrom(text: string, defaultPort: number): RedisNode {
  const [, bracketed, plain, port] =
    /^(?:\[([\da-f:.]+)\]|([^:[\]@\s]+))(?::(\d+))?$/i.exec(text.trim()) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined) throw new Error(text === '' ? 'names no host' : 'has a host that is none');
  return { host, port: port === undefined ? defaultPort : portFrom(port) };
}

/** @throws Error with the problem */
export function portFrom(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port < 1 || port > 65_535) throw new Error('has a port that is none');
  return port;
}

/** @throws Error with the problem */
export function databaseFrom(text: string): number {
  if (!/^\d{0,6}$/.test(text)) throw new Error('has a database that is no number');
  return Number(text);
}

interface Parameters {
  readonly cluster: boolean;
  readonly prefix: string;
  readonly verifyTls: boolean;
  readonly sentinelUsername: string | null;
  readonly sentinelPassword: string | null;
}

function parametersFrom(query: string): Parameters {
  const given = new URLSearchParams(query);
  const known = ['cluster', 'prefix', 'ssl_cert_reqs', 'sentinel_username', 'sentinel_password'];
  const unknown = [...given.keys()].find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new Error(`has an unknown parameter ${JSON.stringify(unknown)}; there are ${known.join(', ')}`);
  }
  const cluster = given.get('cluster') ?? 'false';
  if (!/^(?:true|false|1|0|)$/i.test(cluster)) throw new Error('cluster must be true or false');
  return {
    cluster: !/^(?:false|0)$/i.test(cluster),
    prefix: given.get('prefix') ?? REDIS_DEFAULTS.prefix,
    verifyTls: given.get('ssl_cert_reqs')?.toLowerCase() !== 'none',
    sentinelUsername: given.get('sentinel_username'),
    sentinelPassword: given.get('sentinel_password'),
  };
}

function credentialsFrom(text: string): Pick<RedisState, 'username' | 'password'> {
  if (text === '') return { username: null, password: null };
  const [username = '', password = ''] = split(text, ':');
  return {
    username: username === '' ? null : decoded(username),
    password: password === '' ? null : decoded(password),
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Error('has a % that begins no percent-encoded character');
  }
}

/** What is before the first separator, and what is behind it. */
function split(text: string, separator: string): readonly [string, string] {
  const index = text.indexOf(separator);
  return index === -1 ? [text, ''] : [text.slice(0, index), text.slice(index + 1)];
}
