import { badRequest, invalid } from '../errors.ts';
import type { Exchange } from '../http/exchange.ts';
import type { Route } from '../http/route.ts';
import { VLLM_VERSION } from './status.ts';

const dev = (method: string, path: string, handle: (exchange: Exchange) => Promise<void>): Route => ({
  methods: [method],
  path,
  handle,
  dev: true,
});

const done = (value: object) => (exchange: Exchange) => exchange.send(200, value);
const empty = (exchange: Exchange) => exchange.sendEmpty(200);

/** What an operator does to a server; most of it exists in development mode alone. */
export const adminRoutes: readonly Route[] = [
  { methods: ['POST'], path: '/abort_requests', handle: abortRequests },
  { methods: ['POST'], path: '/start_profile', handle: empty },
  { methods: ['POST'], path: '/stop_profile', handle: empty },
  { methods: ['POST'], path: '/scale_elastic_ep', handle: scale },
  { methods: ['POST'], path: '/is_scaling_elastic_ep', handle: done({ is_scaling_elastic_ep: false }) },
  dev('POST', '/sleep', sleep),
  dev('POST', '/wake_up', wakeUp),
  dev('GET', '/is_sleeping', (x) => x.send(200, { is_sleeping: x.engine.sleeping })),
  dev('POST', '/pause', pause),
  dev('POST', '/resume', resume),
  dev('GET', '/is_paused', (x) => x.send(200, { is_paused: !x.engine.gate.isOpen })),
  dev('POST', '/reset_prefix_cache', resetPrefixCache),
  dev('POST', '/reset_mm_cache', empty),
  dev('POST', '/reset_encoder_cache', empty),
  dev('POST', '/collective_rpc', collectiveRpc),
  dev('GET', '/server_info', serverInfo),
  dev('POST', '/init_weight_transfer_engine', done({ message: 'Weight transfer initialized' })),
  dev('POST', '/start_weight_update', done({ message: 'Weight update started' })),
  dev('POST', '/update_weights', done({ message: 'Weights updated' })),
  dev('POST', '/finish_weight_update', done({ message: 'Weight update finished' })),
  dev('GET', '/get_world_size', done({ world_size: 1 })),
];

async function abortRequests(exchange: Exchange): Promise<void> {
  const { request_ids: ids } = await exchange.lenientJson();
  const wanted = Array.isArray(ids) && ids.length > 0 ? ids.map(String) : null;
  await exchange.send(200, { status: 'aborted', aborted: exchange.engine.abort(wanted) });
}

async function sleep(exchange: Exchange): Promise<void> {
  const level = Number(exchange.query.get('level') ?? '1');
  if (![0, 1, 2].includes(level)) throw badRequest('Sleep level must be 0, 1 or 2.', 'level');
  exchange.engine.sleep(level);
  await exchange.sendEmpty(200);
}

async function wakeUp(exchange: Exchange): Promise<void> {
  exchange.engine.wakeUp(exchange.query.getAll('tags'));
  await exchange.sendEmpty(200);
}

/** `abort` ends what runs, `keep` freezes it, `wait` lets it finish first. */
async function pause(exchange: Exchange): Promise<void> {
  const { engine } = exchange;
  const mode = exchange.query.get('mode') ?? 'abort';
  if (!['abort', 'keep', 'wait'].includes(mode))
    throw invalid('literal_error', ['mode'], "Input should be \\'abort\\', \\'wait\\' or \\'keep\\'");
  if (mode === 'wait') await engine.drained();
  if (mode === 'abort') engine.abort(null);
  engine.gate.shut();
  await exchange.send(200, { status: 'paused' });
}

async function resume(exchange: Exchange): Promise<void> {
  exchange.engine.gate.open();
  await exchange.send(200, { status: 'resumed' });
}

async function resetPrefixCache(exchange: Exchange): Promise<void> {
  exchange.engine.counters.clearPrefixCache();
  await exchange.send(200, { success: true });
}

async function collectiveRpc(exchange: Exchange): Promise<void> {
  const { method } = await exchange.lenientJson();
  if (method === undefined) throw badRequest("Missing 'method' in request body");
  await exchange.send(200, { results: [null] });
}

async function scale(exchange: Exchange): Promise<void> {
  const { new_data_parallel_size: size } = await exchange.lenientJson();
  if (typeof size !== 'number') throw badRequest('new_data_parallel_size is required');
  await exchange.send(200, { message: `Scaled to ${size} data parallel engines` });
}

async function serverInfo(exchange: Exchange): Promise<void> {
  const { models } = exchange.engine.settings;
  await exchange.send(200, {
    vllm_config: `model='${models[0]}'`,
    vllm_env: {},
    system_env: { vllm: VLLM_VERSION },
  });
}
