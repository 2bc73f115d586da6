import type { RedisNode } from './config.ts';
import { type Environment, firstVariable, variable } from './environment.ts';
import {
  databaseFrom,
  isRedisUrl,
  nodeFrom,
  portFrom,
  REDIS_DEFAULTS,
  type RedisReading,
  redisStateFrom,
  withChecks,
} from './redis-url.ts';

/** What the environment says of a Redis: the variable that names it, and what it was read as. */
export interface RedisVariables {
  readonly name: string;
  readonly reading: RedisReading;
}

const NAMES = ['REDIS_URL', 'REDIS_CLUSTER_NODES', 'REDIS_SENTINEL_NODES', 'REDIS_HOST'];

/**
 * The Redis of LiteLLM's variables (https://docs.litellm.ai/docs/proxy/caching_redis); null: none is named. Of several
 * that name one the first of `NAMES` counts.
 */
export function redisFromVariables(environment: Environment): RedisVariables | null {
  const naming = firstVariable(environment, NAMES);
  if (naming === null) return null;
  const { name, value } = naming;
  try {
    return { name, reading: readingFrom(name, value, environment) };
  } catch (error) {
    return {
      name,
      reading: { kind: 'problem', problem: error instanceof Error ? error.message : String(error) },
    };
  }
}

function readingFrom(name: string, value: string, environment: Environment): RedisReading {
  const given = (variableName: string): string | null => variable(environment, variableName);
  if (name === 'REDIS_URL') {
    if (isRedisUrl(value)) return redisStateFrom(value);
    throw new Error('must be a URL like redis://user:password@host:6379/0');
  }
  const common = {
    ...REDIS_DEFAULTS,
    username: given('REDIS_USERNAME'),
    password: given('REDIS_PASSWORD'),
    tls: /^(?:true|1|yes|on)$/i.test(given('REDIS_SSL') ?? ''),
    verifyTls: given('REDIS_SSL_CERT_REQS')?.toLowerCase() !== 'none',
  };
  if (name === 'REDIS_CLUSTER_NODES') {
    return withChecks({ ...common, topology: 'cluster', nodes: nodesFrom(value, 6_379) });
  }
  const database = databaseFrom(given('REDIS_DB') ?? '');
  if (name === 'REDIS_SENTINEL_NODES') {
    return withChecks({
      ...common,
      topology: 'sentinel',
      nodes: nodesFrom(value, 26_379),
      masterName: given('REDIS_SERVICE_NAME') ?? 'mymaster',
      sentinelPassword: given('REDIS_SENTINEL_PASSWORD'),
      database,
    });
  }
  const port = portFrom(given('REDIS_PORT') ?? '6379');
  return withChecks({ ...common, nodes: [{ host: nodeFrom(value, port).host, port }], database });
}

/** `[{"host": "a", "port": 7001}, …]`, `[["a", 26379], …]`, or `a:7001,b:7001`. @throws Error with the problem */
function nodesFrom(text: string, defaultPort: number): readonly RedisNode[] {
  if (!text.trimStart().startsWith('[')) return text.split(',').map((node) => nodeFrom(node, defaultPort));
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch {
    throw new Error('is neither JSON nor host:port,host:port');
  }
  if (!Array.isArray(list) || list.length === 0) throw new Error('must be a list of nodes');
  return list.map((node: unknown) => {
    const [host, port] = Array.isArray(node) ? node : Object.values(hostAndPort(node));
    if (typeof host !== 'string') throw new Error('has a node without host');
    return { ...nodeFrom(host, defaultPort), port: portFrom(String(port ?? defaultPort)) };
  });
}

function hostAndPort(node: unknown): { readonly host: unknown; readonly port: unknown } {
  if (typeof node !== 'object' || node === null) return { host: undefined, port: undefined };
  return { host: Reflect.get(node, 'host'), port: Reflect.get(node, 'port') };
}
