import { ApiError, notFound } from '../errors.ts';
import type { Exchange } from '../http/exchange.ts';
import type { Route } from '../http/route.ts';

/** `--max-model-len` of every simulated model. It is told, not enforced: tests send bodies of any size. */
export const MAX_MODEL_LEN = 32_768;

/** What is served under which name, and LoRA adapters put beside it at run time. */
export const modelRoutes: readonly Route[] = [
  { methods: ['GET'], path: '/v1/models', handle: models },
  { methods: ['POST'], path: '/v1/load_lora_adapter', handle: loadAdapter },
  { methods: ['POST'], path: '/v1/unload_lora_adapter', handle: unloadAdapter },
];

async function models(exchange: Exchange): Promise<void> {
  const { settings, adapters } = exchange.engine;
  const [first = ''] = settings.models;
  const card = (id: string, root: string, parent: string | null) => ({
    id,
    object: 'model',
    created: exchange.engine.nowSeconds,
    owned_by: 'vllm',
    root,
    parent,
    max_model_len: parent === null ? MAX_MODEL_LEN : null,
    permission: [
      {
        id: `modelperm-${exchange.engine.id(id)}`,
        object: 'model_permission',
        created: exchange.engine.nowSeconds,
        allow_create_engine: false,
        allow_sampling: true,
        allow_logprobs: true,
        allow_search_indices: false,
        allow_view: true,
        allow_fine_tuning: false,
        organization: '*',
        group: null,
        is_blocking: false,
      },
    ],
  });
  await exchange.send(200, {
    object: 'list',
    data: [
      ...settings.models.map((name) => card(name, name, null)),
      ...[...adapters].map(([name, { path }]) => card(name, path, first)),
    ],
  });
}

async function loadAdapter(exchange: Exchange): Promise<void> {
  const body = await exchange.json();
  const { lora_name: name, lora_path: path } = body;
  if (typeof name !== 'string' || typeof path !== 'string' || name === '' || path === '')
    throw new ApiError(400, 'InvalidUserInput', "Both 'lora_name' and 'lora_path' must be provided.");
  const { adapters } = exchange.engine;
  if (adapters.has(name) && body.load_inplace !== true)
    throw new ApiError(400, 'InvalidUserInput', `The lora adapter '${name}' has already been loaded.`);
  adapters.set(name, { path });
  await exchange.sendBytes(200, `Success: LoRA adapter '${name}' added successfully.`, []);
}

async function unloadAdapter(exchange: Exchange): Promise<void> {
  const { lora_name: name } = await exchange.json();
  if (typeof name !== 'string' || name === '')
    throw new ApiError(400, 'InvalidUserInput', "'lora_name' needs to be provided to unload a LoRA adapter.");
  if (!exchange.engine.adapters.delete(name)) throw notFound(`The lora adapter '${name}' cannot be found.`);
  await exchange.sendBytes(200, `Success: LoRA adapter '${name}' removed successfully.`, []);
}
