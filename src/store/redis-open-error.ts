import type { RedisState } from '../base/config/config.ts';
import { isState, whatIs } from './redis-errors.ts';
import { StoreOpenError } from './store-open-error.ts';

const REMEDY = 'start it, or say where it is with DATABASE_URL=redis://host:port or REDIS_URL';
const REMEDY_OF_STATE = 'mend that, and start again';

/** A Redis that can't be used. One line for the operator, without user and password. */
export function redisOpenError(state: RedisState, cause: unknown): StoreOpenError {
  return new StoreOpenError(
    locationOf(state),
    reasonOf(cause),
    isState(cause) ? REMEDY_OF_STATE : REMEDY,
    cause,
  );
}

function locationOf({ tls, nodes, topology, masterName, database }: RedisState): string {
  const scheme = `${tls ? 'rediss' : 'redis'}${topology === 'standalone' ? '' : `+${topology}`}`;
  const hosts = nodes.map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`);
  const path = topology === 'sentinel' ? `/${masterName}/${database}` : `/${database}`;
  return `${scheme}://${hosts.join(',')}${topology === 'cluster' ? '' : path}`;
}

function reasonOf(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  if (code === 'ECONNREFUSED') return 'nothing listens there';
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'its name is not known';
  if (code === 'ETIMEDOUT') return "it can't be reached in time";
  const text = whatIs(cause);
  return text === "Redis can't be reached" && cause instanceof Error ? `${text} (${cause.message})` : text;
}
