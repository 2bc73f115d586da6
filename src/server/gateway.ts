import { isDeepStrictEqual } from 'node:util';
import type { Logger } from 'pino';
import { createHostCheck } from '../access/host-check.ts';
import { KeyCache } from '../access/key-cache.ts';
import type { Limiter } from '../access/limiter.ts';
import { createMemoryLimiter } from '../access/memory-limiter.ts';
import { createRedisLimiter } from '../access/redis-limiter.ts';
import { createSharedLimiter } from '../access/shared-limiter.ts';
import type { Channel } from '../base/channel.ts';
import type { Config } from '../base/config/config.ts';
import type { Environment } from '../base/config/environment.ts';
import { isLoopback } from '../base/loopback.ts';
import type { RelayContext } from '../relay/enter.ts';
import { openStore } from '../store/open-store.ts';
import { createDetailLog } from '../telemetry/detail-log.ts';
import { createRequestLog, type LineSink } from '../telemetry/request-log.ts';
import type { UpstreamClient } from '../upstream/client.ts';
import { Http1Client } from '../upstream/http1/http1-client.ts';
import { ReplicaTable } from '../upstream/pick.ts';
import { UndiciClient } from '../upstream/undici-client.ts';
import { type Additions, contextFrom } from './context.ts';
import type { GatewayState } from './control.ts';
import { ControlPlane } from './control-plane.ts';
import { createHandlers } from './dispatch.ts';
import { openPort, type Port } from './port.ts';
import type { Drained } from './port-drain.ts';

export interface GatewayOptions {
  readonly config: Config;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly logger: Logger;
  /** The process's own, for what the gateway starts; see `ModelService`. */
  readonly environment?: Environment;
  /** False in one of several processes on one port, which would each load the same models. Default true. */
  readonly loadsModels?: boolean;
  /** In one of several processes on one port: to where limits are counted for all, unless Redis does; see `openSharedLimits`. */
  readonly limits?: Channel | null;
  /** Where the lines of requests may go without passing through the logger; see `createRequestLog`. */
  readonly lines?: LineSink | null;
  readonly version: string;
}

/** A running gateway: one port, and what answers on it. */
export interface Gateway {
  /** `http://host:port`, or https. */
  readonly url: string;
  /** Requests, streams and websockets under way. */
  readonly inFlight: number;
  /** Requests under way by deployment id, in the current configuration. */
  readonly outstanding: ReadonlyMap<string, number>;
  /** New requests see the new configuration, those under way keep theirs. Throws on an unusable certificate. */
  reconfigure(config: Config): void;
  /** Stops listening, lets what is under way finish within the drain timeout, then breaks it. */
  drain(): Promise<Drained>;
  /** Drains at once. */
  close(): Promise<void>;
}

/**
 * Puts the house together and opens the port.
 * @throws Error of one line when the port can't be had
 */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { logger, version } = options;
  const log = createRequestLog(logger, options.lines ?? null);
  const detail = createDetailLog(logger);
  const replicas = new ReplicaTable();
  const { store, redis } = await openStore(options.config.state);
  const keys = new KeyCache({ store });
  const { limits = null } = options;
  let limiter: Limiter;
  if (redis !== null) limiter = createRedisLimiter({ connection: redis, store, logger });
  else if (limits !== null) limiter = createSharedLimiter({ channel: limits });
  else limiter = createMemoryLimiter({ store, logger });
  let config = options.config;
  let client = clientFrom(config);
  let state: GatewayState = stateFrom({ deployments: [], asleep: new Set(), routes: config.routes });

  /** What is new since the last state is in the next one; requests under way keep theirs. */
  function stateFrom(additions: Additions): GatewayState {
    const context = contextFrom(config, additions, { client, log, detail, wake, replicas, keys, limiter });
    const { masterKey, allowedHosts } = config;
    const isOpen = masterKey === null && isLoopback(options.host);
    return {
      context,
      hostCheck: isOpen ? createHostCheck(allowedHosts) : null,
      draining: false,
      version,
      configuredAt: Math.floor(Date.now() / 1000),
      isDegraded: () => redis !== null && !redis.isThere,
    };
  }

  async function wake(model: string): Promise<RelayContext> {
    await controlPlane.wake(model);
    return state.context;
  }

  let controlPlane: ControlPlane;
  try {
    controlPlane = await ControlPlane.open({
      store,
      config,
      environment: options.environment ?? {},
      loadsModels: options.loadsModels ?? true,
      logger,
      replicas,
      relay: () => state.context,
      keysChanged: () => keys.changed(),
    });
  } catch (error) {
    await store.close();
    throw error;
  }
  const refresh = (): void => {
    const { draining } = state;
    state = { ...stateFrom(controlPlane.additions()), draining };
  };
  refresh();
  controlPlane.onChange(refresh);

  const stop = async (): Promise<void> => {
    await controlPlane.close();
    client.close();
    keys.close();
    await limiter.close();
    await store.close();
  };
  let port: Port;
  try {
    port = await openPort({
      host: options.host,
      port: options.port,
      tls: config.tls,
      limits: config.limits,
      handlers: createHandlers(
        () => state,
        controlPlane,
        (error, requestId) =>
          logger.warn({ request: requestId, why: error.reason, cause: error.cause ?? null }, error.message),
      ),
    });
  } catch (error) {
    await stop();
    throw error;
  }
  try {
    // Not before: a second gateway on a taken port must not start the first one's models again.
    await controlPlane.restore();
  } catch (error) {
    await port.drain(0);
    await stop();
    throw error;
  }

  async function drain(deadlineMs: number): Promise<Drained> {
    state = { ...state, draining: true };
    controlPlane.shutdown();
    const drained = await port.drain(deadlineMs);
    await stop();
    return drained;
  }

  return {
    url: `${config.tls === null ? 'http' : 'https'}://${urlHost(port.address.host)}:${port.address.port}`,
    get inFlight() {
      return port.inFlight;
    },
    get outstanding() {
      return state.context.picker.outstanding();
    },
    reconfigure(next) {
      if (next.tls !== null && config.tls !== null) port.setTls(next.tls);
      if (
        next.verifyUpstreamTls !== config.verifyUpstreamTls ||
        next.upstreamClient !== config.upstreamClient
      ) {
        client.close();
        client = clientFrom(next);
      }
      const waiting = settingsOfThePort(config, next);
      if (waiting.length > 0) {
        logger.warn(`${waiting.join(', ')}: a change takes effect at the next start`);
      }
      config = next;
      controlPlane.reconfigure(next);
      refresh();
    },
    drain: () => drain(config.limits.drainTimeoutMs),
    async close() {
      await drain(0);
    },
  };
}

function clientFrom({ upstreamClient, verifyUpstreamTls: verifyTls }: Config): UpstreamClient {
  return upstreamClient === 'undici' ? new UndiciClient({ verifyTls }) : new Http1Client({ verifyTls });
}

/** Names of the changed settings that belong to the open port, which a reload doesn't open anew. */
function settingsOfThePort(before: Config, after: Config): readonly string[] {
  const names = {
    maxHeaderBytes: 'max_header_bytes',
    maxHeaders: 'max_headers',
    headerTimeoutMs: 'header_timeout',
    maxConnections: 'max_connections',
  } as const;
  const changed = Object.entries(names)
    .filter(([key]) => before.limits[key as keyof typeof names] !== after.limits[key as keyof typeof names])
    .map(([, name]) => name as string);
  if ((before.tls === null) !== (after.tls === null)) changed.push('tls');
  if (!isDeepStrictEqual(before.state, after.state)) changed.push('database_url');
  if (before.detailedDebug !== after.detailedDebug) changed.push('set_verbose');
  return changed;
}

/** What a person can paste: every address is reached as localhost, and IPv6 needs brackets. */
function urlHost(host: string): string {
  if (host === '127.0.0.1' || host === '::1' || host === '0.0.0.0' || host === '::') return 'localhost';
  return host.includes(':') ? `[${host}]` : host;
}
