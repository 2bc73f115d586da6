import type { Loading } from './settings.ts';

/** What `vllm serve MODEL …` was told, and what only a simulator can be told. */
export interface CommandLine {
  readonly host: string;
  readonly port: number;
  /** Null: no model was named. */
  readonly models: readonly string[] | null;
  readonly apiKeys: readonly string[];
  readonly intervalMs: number;
  readonly loading: Required<Loading>;
  /** Exit with an error at the first log line with this text, as for want of memory; null: don't. */
  readonly failsLoadingAt: string | null;
  /** Exit with an error so long after it was ready; null: don't. */
  readonly crashAfterMs: number | null;
  /** How many worker processes to have, which only a signal to the process group stops surely. */
  readonly workers: number;
  /** Only SIGKILL ends it, and its workers. */
  readonly ignoresSigterm: boolean;
}

/** Where vLLM runs out of memory as a rule. */
const FAILS_AT = 'Starting to load model';

const LOADING_MODES: readonly string[] = ['refuse', 'hang', 'unhealthy'];

/**
 * Reads the arguments of `vllm serve`; engine arguments that mean nothing here are skipped with their values.
 * vLLM listens on every address unless told otherwise; the simulator on 127.0.0.1.
 */
export function parseCommandLine(args: readonly string[]): CommandLine {
  const positional: string[] = [];
  const flags = new Map<string, string[]>();
  let current: string[] | null = null;
  for (const arg of args) {
    const flag = /^--([^=]+)(?:=(.*))?$/s.exec(arg);
    if (flag?.[1] !== undefined) {
      // Python's argparse takes `--served_model_name`, too.
      const name = flag[1].replaceAll('_', '-');
      current = flags.get(name) ?? [];
      flags.set(name, current);
      if (flag[2] !== undefined) {
        current.push(flag[2]);
        current = null;
      }
    } else if (current === null) positional.push(arg);
    else current.push(arg);
  }
  const one = (name: string) => flags.get(name)?.at(-1);
  const number = (name: string, otherwise: number) => Number(one(name) ?? otherwise);
  const model = positional.filter((arg) => arg !== 'serve')[0] ?? one('model');
  const mode = one('sim-loading-mode') ?? 'hang';
  if (!LOADING_MODES.includes(mode))
    throw new Error(`--sim-loading-mode: one of ${LOADING_MODES.join(', ')}`);
  const crashAfter = one('sim-crash-after-ms');
  return {
    host: one('host') ?? '127.0.0.1',
    port: number('port', 8000),
    models: flags.get('served-model-name') ?? (model === undefined ? null : [model]),
    apiKeys: flags.get('api-key') ?? [],
    intervalMs: number('sim-interval-ms', 20),
    loading: { mode: mode as Loading['mode'], durationMs: number('sim-loading-ms', 0) },
    failsLoadingAt: flags.has('sim-fail-loading') ? (one('sim-fail-loading') ?? FAILS_AT) : null,
    crashAfterMs: crashAfter === undefined ? null : Number(crashAfter),
    workers: number('sim-workers', 0),
    ignoresSigterm: flags.has('sim-ignore-sigterm'),
  };
}
