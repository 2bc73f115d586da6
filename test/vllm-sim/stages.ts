import { setTimeout as delay } from 'node:timers/promises';
import { VLLM_VERSION } from './endpoints/status.ts';

/** What vLLM logs on its way to ready, with the share of the whole time that passes before each line. */
function stages(model: string, port: number): readonly (readonly [share: number, line: string])[] {
  const engine = (text: string) => `(EngineCore_0 pid=${process.pid}) INFO ${text}`;
  const shards = [25, 50, 75, 100].map((percent, index): readonly [number, string] => [
    0.1,
    `Loading safetensors checkpoint shards: ${String(percent).padStart(3)}% Completed | ${index + 1}/4`,
  ]);
  return [
    [0, `(APIServer pid=${process.pid}) INFO vLLM API server version ${VLLM_VERSION}`],
    [0.1, engine(`Initializing a V1 LLM engine (v${VLLM_VERSION}) with config: model='${model}'`)],
    [0.05, engine(`Starting to load model ${model}...`)],
    ...shards,
    [0, engine('Loading weights took 1.23 seconds')],
    [0.05, engine('Model loading took 1.0401 GiB and 1.523110 seconds')],
    [0.15, engine('torch.compile takes 5.62 s in total')],
    [0.05, engine('GPU KV cache size: 127,472 tokens')],
    [0.1, engine('Graph capturing finished in 3 secs, took 0.22 GiB')],
    [0.05, engine('init engine (profile, create kv cache, warmup model) took 9.10 seconds')],
    [0.05, `(APIServer pid=${process.pid}) INFO Starting vLLM API server on port ${port}`],
  ];
}

/** Logs the stages over `durationMs`; ends early, without the rest, when `stop` aborts. */
export async function logStages(
  log: (line: string) => void,
  what: { readonly model: string; readonly port: number; readonly durationMs: number },
  stop: AbortSignal,
): Promise<void> {
  for (const [share, line] of stages(what.model, what.port)) {
    if (share > 0 && what.durationMs > 0)
      await delay(share * what.durationMs, undefined, { signal: stop }).catch(() => {});
    if (stop.aborted) return;
    log(line);
  }
}

export const READY_LINES: readonly string[] = [
  'INFO:     Waiting for application startup.',
  'INFO:     Application startup complete.',
];
