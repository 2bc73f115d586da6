import { prometheusText } from '../engine/metrics.ts';
import type { Exchange } from '../http/exchange.ts';
import type { Route } from '../http/route.ts';

/** The version of vLLM whose answers these are. */
export const VLLM_VERSION = '0.32.0';

/** How the server is doing. */
export const statusRoutes: readonly Route[] = [
  { methods: ['GET'], path: '/health', handle: health },
  { methods: ['GET', 'POST'], path: '/ping', handle: health },
  { methods: ['GET'], path: '/version', handle: (x) => x.send(200, { version: VLLM_VERSION }) },
  { methods: ['GET'], path: '/load', handle: (x) => x.send(200, { server_load: x.engine.load.running }) },
  { methods: ['GET'], path: '/metrics', handle: metrics },
  { methods: ['GET'], path: '/docs', handle: docs },
];

/** A dead engine says so with a status alone. */
async function health(exchange: Exchange): Promise<void> {
  await exchange.sendEmpty(exchange.engine.health === 'ready' ? 200 : 503);
}

async function metrics(exchange: Exchange): Promise<void> {
  const { engine } = exchange;
  const page = prometheusText(engine.settings.models[0] ?? '', engine.load, engine.counters);
  await exchange.sendBytes(200, page, ['content-type', 'text/plain; version=0.0.4; charset=utf-8']);
}

async function docs(exchange: Exchange): Promise<void> {
  const page = '<!DOCTYPE html><html><head><title>FastAPI - Swagger UI</title></head><body></body></html>';
  await exchange.sendBytes(200, page, ['content-type', 'text/html; charset=utf-8']);
}
