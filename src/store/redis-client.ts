import { Cluster, Redis, type RedisOptions } from 'ioredis';
import type { RedisState } from '../base/config/config.ts';

/** What both kinds of client can do, as far as it is used here. */
export type RedisClient = Redis | Cluster;

/** How long a connection may take to come about, ms. */
const CONNECT_TIMEOUT_MS = 1_000;

/** A connection on which an answer has been due for this long is given up, ms. */
const SOCKET_TIMEOUT_MS = 3_000;

/** The longest pause before another attempt, ms: what has come back is found within it. */
const MAX_PAUSE_MS = 500;

/** Makes a client that connects by itself, again and again, and never keeps a command for later. */
export function createRedisClient(state: RedisState): RedisClient {
  if (state.topology === 'cluster') {
    return new Cluster([...state.nodes], {
      enableOfflineQueue: false,
      // What is sent again and again is beyond its deadline before it arrives; slots are looked up by a MOVED.
      retryDelayOnFailover: 0,
      retryDelayOnClusterDown: 0,
      slotsRefreshInterval: 1_000,
      slotsRefreshTimeout: CONNECT_TIMEOUT_MS,
      clusterRetryStrategy: pauseMs,
      clusterNodeRetryStrategy: pauseMs,
      redisOptions: commonOptions(state),
      // Names stay names, so that a certificate can be checked against them.
      ...(state.tls ? { dnsLookup: (address, callback) => callback(null, address) } : {}),
    });
  }
  const options = {
    ...commonOptions(state),
    db: state.database,
    enableOfflineQueue: false,
    retryStrategy: pauseMs,
  } satisfies RedisOptions;
  if (state.topology === 'sentinel') {
    return new Redis({
      ...options,
      sentinels: [...state.nodes],
      name: state.masterName ?? 'mymaster',
      sentinelUsername: state.sentinelUsername ?? undefined,
      sentinelPassword: state.sentinelPassword ?? undefined,
      sentinelRetryStrategy: pauseMs,
      enableTLSForSentinelMode: state.tls,
      ...(state.tls ? { sentinelTLS: tlsOptions(state) } : {}),
    });
  }
  const [node = { host: 'localhost', port: 6_379 }] = state.nodes;
  return new Redis({ ...options, host: node.host, port: node.port });
}

function commonOptions(state: RedisState) {
  return {
    username: state.username ?? undefined,
    password: state.password ?? undefined,
    // All replies are texts, numbers and lists, which RESP2 has; proxies between here and Redis often know no other.
    protocol: 2 as const,
    connectionName: 'sluice',
    connectTimeout: CONNECT_TIMEOUT_MS,
    socketTimeout: SOCKET_TIMEOUT_MS,
    maxLoadingRetryTime: MAX_PAUSE_MS,
    // A command that was under way when its connection broke may have been done: it fails, and is never sent again.
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    reconnectOnError: reconnectWhenDemoted(),
    ...(state.tls ? { tls: tlsOptions(state) } : {}),
  } satisfies RedisOptions;
}

function tlsOptions(state: RedisState): { rejectUnauthorized: boolean } {
  return { rejectUnauthorized: state.verifyTls };
}

/**
 * A server that became a replica stays one: behind a name, or a Sentinel, the master is elsewhere now. Once a second at
 * most, for the name may need a while to follow.
 */
function reconnectWhenDemoted(): (error: Error) => boolean {
  let last = 0;
  return (error) => {
    if (!/^(?:READONLY|MASTERDOWN)\b/.test(error.message) || Date.now() - last < 1_000) return false;
    last = Date.now();
    return true;
  };
}

function pauseMs(attempt: number): number {
  return Math.min(25 * 2 ** Math.min(attempt, 5), MAX_PAUSE_MS) * (0.75 + Math.random() / 4);
}
