/**
 * A simulator of `vllm serve`: every endpoint of its HTTP API with answers in vLLM's shapes, real language
 * detection and text similarity behind /classify, /score and /rerank, and faults on demand.
 *
 * A request may say how it wants to be served, through a gateway as well as directly:
 *
 * - `x-sim-interval-ms: 20`: between two streamed tokens
 * - `x-sim-delay-ms: 500`: before the answer begins
 * - `x-sim-fault: reset@100`: what goes wrong (http/faults.ts has the grammar)
 * - `x-request-id: abc`: the answer's id, as in vLLM
 *
 * and there are endpoints that vLLM does not have:
 *
 * - `/sim/echo…`: what arrived, as JSON
 * - `/sim/bytes?length=&chunk=&interval=`: a body of any size and pace
 * - `/sim/raw?then=fin|keep|reset`: writes the request's body to the connection as the whole response
 * - `/sim/ws`: a websocket that echoes (endpoints/realtime.ts)
 */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { Engine } from './engine/engine.ts';
import type { EngineLoad } from './engine/metrics.ts';
import { FaultBook, type FaultRule } from './fault-book.ts';
import type { RecordedRequest } from './http/record.ts';
import { RequestLog, type RequestMatch, type WaitOptions } from './http/request-log.ts';
import { Watch } from './http/watch.ts';
import { type Script, SimServer } from './server.ts';
import { settingsFrom, type VllmSimOptions } from './settings.ts';
import { logStages, READY_LINES } from './stages.ts';

export { GARBAGE } from './http/faulty-reply.ts';
export { DEFAULT_MODELS, type VllmSimOptions } from './settings.ts';
export { LANGUAGES } from './text/language.ts';

/** A running simulator. All waits resolve at once when what they wait for has happened already. */
export interface VllmSim {
  readonly host: string;
  readonly port: number;
  /** `http://host:port`, without a slash at the end. */
  readonly url: string;
  /** Requests in the order of arrival, running ones included. */
  readonly requests: readonly RecordedRequest[];
  /** TCP connections that are open. */
  readonly openSockets: number;
  /** Requests that have no outcome yet. */
  readonly activeRequests: number;
  /** Resolves when the model is loaded. */
  readonly ready: Promise<void>;
  /** The first request that matches, from its head on. */
  waitForRequest(match?: RequestMatch, options?: WaitOptions): Promise<RecordedRequest>;
  /** The first request that matches and whose client has left before the end of its answer. */
  waitForAbort(match?: RequestMatch, options?: WaitOptions): Promise<RecordedRequest>;
  /** Resolves when no request is under way. */
  waitForIdle(options?: WaitOptions): Promise<void>;
  /** Resolves when `count` connections are open. */
  waitForSockets(count: number, options?: WaitOptions): Promise<void>;
  /** Ends the loading phase. */
  finishLoading(): Promise<void>;
  /** The engine dies: /health says 503, everything that infers 500. */
  killEngine(): void;
  reviveEngine(): void;
  /** What /metrics and /load show from now on; a member left out is measured. */
  pretendLoad(load: Partial<EngineLoad>): void;
  /** Orders a fault for requests to come, as `x-sim-fault` does for one; the result takes it back. */
  fault(rule: FaultRule): () => void;
  /**
   * Hands the bare socket of each request (or upgrade) for `path` to `script`, which writes what it likes and
   * closes it. The request's body is only read when the script calls `request.whole()`. The result takes it back.
   */
  script(path: string, script: Script): () => void;
  /** Closes the port and every connection. */
  close(): Promise<void>;
}

/** Starts a simulator in this process; resolves when its port is known, loading or not. */
export async function startVllmSim(options: VllmSimOptions = {}): Promise<VllmSim> {
  const settings = settingsFrom(options);
  const watch = new Watch();
  const log = new RequestLog(watch, settings.recordLimit);
  const engine = new Engine(settings);
  const faults = new FaultBook();
  const server = new SimServer({ engine, log, faults, watch });
  const loading = settings.loading;
  const listen = async (port: number) => {
    server.http.listen(port, settings.host);
    await once(server.http, 'listening');
    return (server.http.address() as AddressInfo).port;
  };
  if (loading?.mode === 'hang') server.hold();
  const port = await listen(settings.port);
  // Node can't bind a port without listening on it; taken, given back and taken again is the next best thing.
  if (loading?.mode === 'refuse') await server.close(true);

  const becameReady = Promise.withResolvers<void>();
  const stopLoading = new AbortController();
  const finishLoading = async () => {
    if (engine.health !== 'loading' || stopLoading.signal.aborted) return;
    stopLoading.abort();
    if (loading?.mode === 'refuse') await listen(port);
    engine.health = 'ready';
    server.release();
    for (const line of READY_LINES) settings.log(line);
    becameReady.resolve();
    watch.changed();
  };
  const load = async () => {
    const durationMs = loading?.durationMs ?? 0;
    await logStages(settings.log, { model: settings.models[0] ?? '', port, durationMs }, stopLoading.signal);
    if (loading !== null && loading.durationMs !== null) await finishLoading();
  };
  if (loading === null) becameReady.resolve();
  const loaded = load();
  if (loading === null) {
    await loaded;
    for (const line of READY_LINES) settings.log(line);
  }

  return {
    host: settings.host,
    port,
    url: `http://${settings.host.includes(':') ? `[${settings.host}]` : settings.host}:${port}`,
    requests: log.requests,
    get openSockets() {
      return server.sockets.size;
    },
    get activeRequests() {
      return log.active;
    },
    ready: becameReady.promise,
    waitForRequest: (match = () => true, wait = {}) => log.waitFor('a request', match, wait),
    waitForAbort: (match = () => true, wait = {}) => {
      const matches =
        typeof match === 'string' ? (request: RecordedRequest) => request.path === match : match;
      return log.waitFor('an aborted request', (request) => request.aborted && matches(request), wait);
    },
    waitForIdle: (wait = {}) =>
      watch
        .until(
          () => (log.active === 0 ? true : undefined),
          () => `no running request; there are ${log.active}`,
          wait.timeoutMs,
        )
        .then(() => {}),
    waitForSockets: (count, wait = {}) =>
      watch
        .until(
          () => (server.sockets.size === count ? true : undefined),
          () => `${count} open connections; there are ${server.sockets.size}`,
          wait.timeoutMs,
        )
        .then(() => {}),
    finishLoading,
    killEngine: () => {
      engine.health = 'dead';
    },
    reviveEngine: () => {
      engine.health = 'ready';
    },
    pretendLoad: (pretended) => {
      engine.pretendedLoad = pretended;
    },
    fault: (rule) => faults.add(rule),
    script: (path, script) => {
      server.scripts.set(path, script);
      return () => server.scripts.delete(path);
    },
    close: async () => {
      stopLoading.abort();
      await server.close(true);
    },
  };
}
