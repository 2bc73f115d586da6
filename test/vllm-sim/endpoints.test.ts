import { afterAll, beforeAll, expect, test } from 'vitest';
import { startVllmSim, type VllmSim } from './index.ts';

let sim: VllmSim;

beforeAll(async () => {
  sim = await startVllmSim({ devMode: true });
});

afterAll(async () => {
  await sim.close();
});

/** Every endpoint of vLLM that the gateway knows of, by its documented method. */
const ENDPOINTS = `
  POST /v1/completions /v1/chat/completions /v1/responses /v1/messages /v1/audio/transcriptions
  POST /v1/audio/translations /inference/v1/generate /v1/chat/completions/batch /v1/messages/count_tokens
  POST /v1/embeddings /v2/embed /pooling /classify /score /v1/score /rerank /v1/rerank /v2/rerank
  POST /generative_scoring /tokenize /detokenize /abort_requests /v1/load_lora_adapter /v1/unload_lora_adapter
  POST /invocations /start_profile /stop_profile /scale_elastic_ep /ping
  GET /v1/models /health /ping /version /load /metrics /tokenizer_info /docs
  POST /sleep /wake_up /reset_prefix_cache /reset_mm_cache /reset_encoder_cache /collective_rpc /pause /resume
  POST /init_weight_transfer_engine /start_weight_update /update_weights /finish_weight_update
  GET /is_sleeping /is_paused /server_info
  POST /chat/completions /completions /embeddings
`;

const rows = ENDPOINTS.trim()
  .split('\n')
  .map((line) => line.trim().split(' '))
  .flatMap(([method = '', ...paths]) => paths.map((path) => [method, path] as const));

test.each(rows)('serves %s %s, and no other method on it', async (method, path) => {
  const init = { method, headers: { 'content-type': 'application/json' } };
  const answer = await fetch(sim.url + path, method === 'POST' ? { ...init, body: '{}' } : init);
  expect([200, 400]).toContain(answer.status);
  expect((await fetch(sim.url + path, { method: 'PUT' })).status).toBe(405);
});
