/**
 * The simulator as a process, started as vLLM is:
 *
 *     node test/vllm-sim/main.ts serve MODEL --host H --port P --served-model-name NAME --api-key K
 *
 * and, for tests of a supervisor, `--sim-loading-ms`, `--sim-loading-mode`, `--sim-interval-ms`,
 * `--sim-fail-loading`, `--sim-fail-loading=TEXT OF A LOG LINE`, `--sim-crash-after-ms`, `--sim-workers`, `--sim-ignore-sigterm` (command-line.ts).
 * `VLLM_API_KEY` and `VLLM_SERVER_DEV_MODE=1` are heeded as vLLM heeds them.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { parseCommandLine } from './command-line.ts';
import { DEFAULT_MODELS, startVllmSim, type VllmSim } from './index.ts';

const given = parseCommandLine(process.argv.slice(2));
const environmentKey = process.env.VLLM_API_KEY;

/** vLLM logs to stdout, but for its progress bars. */
function log(line: string): void {
  const isBar = line.startsWith('Loading safetensors');
  if (isBar) process.stderr.write(`\r${line}\n`);
  else process.stdout.write(`${line}\n`);
  if (given.failsLoadingAt !== null && line.includes(given.failsLoadingAt)) {
    process.stderr.write('torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.02 GiB.\n');
    stop(1);
  }
}

const WORKER = `${given.ignoresSigterm ? 'process.on("SIGTERM", () => {});' : ''}setInterval(() => {}, 1e9);console.log()`;

const workers: ChildProcess[] = Array.from({ length: given.workers }, () =>
  spawn(process.execPath, ['-e', WORKER], { stdio: ['ignore', 'pipe', 'ignore'] }),
);

/** Resolves when all workers are up, and tells their process ids as vLLM does. */
async function workersUp(): Promise<void> {
  for (const [rank, worker] of workers.entries()) {
    await once(worker.stdout as Readable, 'data');
    process.stdout.write(`(Worker_TP${rank} pid=${worker.pid}) INFO Worker is up\n`);
  }
}
let sim: VllmSim | null = null;

function stop(code: number): void {
  for (const worker of workers) worker.kill();
  void (sim?.close() ?? Promise.resolve()).then(() => process.exit(code));
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    if (given.ignoresSigterm) return;
    process.stdout.write('INFO:     Shutting down\nINFO:     Application shutdown complete.\n');
    stop(0);
  });
}

try {
  await workersUp();
  sim = await startVllmSim({
    host: given.host,
    port: given.port,
    models: given.models ?? DEFAULT_MODELS,
    apiKeys: given.apiKeys.length === 0 && environmentKey ? [environmentKey] : given.apiKeys,
    devMode: process.env.VLLM_SERVER_DEV_MODE === '1',
    chunkIntervalMs: given.intervalMs,
    loading: given.loading,
    // A process has no test to look at its records.
    recordLimit: 0,
    log,
  });
  await sim.ready;
  if (given.crashAfterMs !== null)
    setTimeout(() => {
      process.stderr.write('RuntimeError: EngineCore died unexpectedly.\n');
      stop(1);
    }, given.crashAfterMs);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  stop(1);
}
