import { describe, expect, test } from 'vitest';
import { LoadStages } from '../../../src/models/vllm-managed/load-stages.ts';

/** Lines of vLLM's log as it writes them, with the stage that each leads to. */
const LOG: readonly (readonly [line: string, stage: string])[] = [
  ['INFO 01-02 03:04:05 [__init__.py:216] Automatically detected platform cuda.', 'starting_process'],
  [
    '(APIServer pid=1) INFO 01-02 03:04:05 [api_server.py:1839] vLLM API server version 0.32.0',
    'starting_process',
  ],
  [
    "(EngineCore_DP0 pid=2) INFO 01-02 03:04:05 [core.py:77] Initializing a V1 LLM engine (v0.32.0) with config: model='org/m', compilation_config={'level':3}, kv_cache_dtype=auto",
    'initializing_engine',
  ],
  ['(Worker_TP0 pid=3) INFO [gpu_model_runner.py:2602] Starting to load model org/m...', 'loading_weights'],
  [
    '(EngineCore_DP0 pid=2) Loading safetensors checkpoint shards:   0% Completed | 0/4 [00:00<?, ?it/s]',
    'loading_weights',
  ],
  ['Loading safetensors checkpoint shards:  50% Completed | 2/4 [00:01<00:01,  1.9it/s]', 'loading_weights'],
  ['Multi-thread loading shards: 100% Completed | 4/4 [00:01<00:01,  1.9it/s]', 'loading_weights'],
  ['INFO [default_loader.py:267] Loading weights took 1.23 seconds', 'loading_weights'],
  ['INFO [gpu_model_runner.py:2653] Model loading took 1.0401 GiB and 1.523110 seconds', 'loading_weights'],
  ["INFO [backends.py:548] Using cache directory: /home/vllm/.cache for vLLM's torch.compile", 'compiling'],
  ['INFO [backends.py:559] Dynamo bytecode transform time: 4.41 s', 'compiling'],
  ['INFO [monitor.py:34] torch.compile takes 5.62 s in total', 'compiling'],
  ['INFO [gpu_worker.py:298] Available KV cache memory: 17.32 GiB', 'allocating_kv_cache'],
  ['INFO [kv_cache_utils.py:1087] GPU KV cache size: 127,472 tokens', 'allocating_kv_cache'],
  ['Capturing CUDA graphs (mixed prefill-decode, PIECEWISE):  40%|████      | 27/67', 'capturing_graphs'],
  ['INFO [gpu_model_runner.py:3480] Graph capturing finished in 3 secs, took 0.22 GiB', 'capturing_graphs'],
  [
    'INFO [core.py:210] init engine (profile, create kv cache, warmup model) took 9.10 seconds',
    'starting_server',
  ],
  [
    '(APIServer pid=1) INFO [api_server.py:1912] Starting vLLM API server 0 on http://127.0.0.1:8000',
    'starting_server',
  ],
  ['(APIServer pid=1) INFO:     Application startup complete.', 'starting_server'],
];

describe('the log of a load', () => {
  test.each(LOG)('%s → %s', (line, stage) => {
    const stages = new LoadStages();
    // An early line of one worker may come behind a later one of another: each is judged by itself here.
    expect(stages.read(line)).toMatchObject({ stage, line });
  });

  test('leads to 100 %, and neither stage nor percentage ever falls', () => {
    const stages = new LoadStages();
    const seen = [stages.begin(), ...LOG.map(([line]) => stages.read(line)), stages.ready()];
    const percents = seen.map(({ percent }) => percent ?? Number.NaN);
    expect(percents[0]).toBe(0);
    expect(percents).toEqual(percents.toSorted((a, b) => a - b));
    expect(new Set(percents).size).toBeGreaterThan(14);
    expect(percents.at(-2)).toBe(99);
    expect(seen.at(-1)).toEqual({ stage: 'ready', percent: 100, line: null });
    const again = LOG.map(([line]) => stages.read(line));
    expect(new Set(again.map(({ stage, percent }) => `${stage} ${percent}`))).toEqual(new Set(['ready 100']));
  });

  test('stays where it was at lines that say nothing of it', () => {
    const stages = new LoadStages();
    stages.read('Loading safetensors checkpoint shards:  50% Completed');
    for (const line of ['whatever', 'Loading safetensors checkpoint shards:   0% Completed', '999%'])
      expect(stages.read(line)).toEqual({ stage: 'loading_weights', percent: 29, line });
  });

  test('is not led astray by a configuration that names everything', () => {
    const stages = new LoadStages();
    const config = "non-default args: {'model': 'torch.compile KV cache size', 'host': '127.0.0.1'}";
    stages.read(config);
    expect(stages.read('x').stage).toBe('starting_process');
  });
});
