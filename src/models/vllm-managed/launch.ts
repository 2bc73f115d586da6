import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import type { Environment } from '../../base/config/environment.ts';
import { SluiceError } from '../../base/errors.ts';
import { type Clock, pause } from '../clock.ts';
import type { LoadProgress, RuntimeUpstream } from '../driver.ts';
import { findProgram } from '../supervisor/find-program.ts';
import { LogTail } from '../supervisor/log-tail.ts';
import { type Exit, exitText, ProcessGroup } from '../supervisor/process-group.ts';
import type { Run } from '../supervisor/supervise.ts';
import { childEnvironment } from './child-environment.ts';
import { LoadStages } from './load-stages.ts';
import { Readiness } from './readiness.ts';
import { option } from './serve-arguments.ts';

/** What is started for a configuration, but for what each start has of its own. */
export interface LaunchPlan {
  /** The name that it is served under, and shown in the log. */
  readonly modelId: string;
  /** What vLLM loads. */
  readonly model: string;
  /** Engine arguments. */
  readonly words: readonly string[];
  readonly hfToken: string | null;
  /** What of the configuration may not be shown: vLLM logs its arguments. */
  readonly secrets: readonly string[];
  readonly loadTimeoutMs: number;
}

export interface LaunchTools {
  readonly command: readonly string[];
  readonly environment: Environment;
  /** See `childEnvironment`. */
  readonly secrets: readonly string[];
  readonly logger: Logger;
  readonly clock: Clock;
  readonly freePort: () => Promise<number>;
  readonly graceMs: number;
  readonly pollIntervalMs: number;
  readonly tryTimeoutMs: number;
}

/** Between the gateway's look for a free port and vLLM's taking it someone else may take it. */
const MAX_PORTS = 3;
const PORT_TAKEN = /address already in use|EADDRINUSE/i;

type Outcome =
  | { readonly kind: 'ready' }
  | { readonly kind: 'exited'; readonly exit: Exit }
  | { readonly kind: 'timeout' }
  | { readonly kind: 'aborted' };

/**
 * Starts vLLM and resolves once it answers for the model.
 * @throws SluiceError `load_failed` with the reason and the last log lines; nothing of it is left running then
 */
export async function launch(
  plan: LaunchPlan,
  tools: LaunchTools,
  progress: (progress: LoadProgress) => void,
  signal: AbortSignal,
): Promise<Run<RuntimeUpstream>> {
  const [program = ''] = tools.command;
  if (!(await findProgram(program, tools.environment.PATH))) {
    throw failure(
      `There is no program ${JSON.stringify(program)} to run vLLM with: install vLLM, or set general_settings.vllm_command to where it is.`,
    );
  }
  for (let attempt = 1; ; attempt++) {
    if (signal.aborted) throw aborted();
    const port = await tools.freePort();
    const result = await launchOn(port, plan, tools, progress, signal);
    if (result !== 'port taken') return result;
    if (attempt === MAX_PORTS) throw failure(`vLLM found its port taken, ${MAX_PORTS} times in a row.`);
    tools.logger.warn(
      { model: plan.modelId, port },
      `model ${plan.modelId}: port ${port} is taken; another is tried`,
    );
  }
}

async function launchOn(
  port: number,
  plan: LaunchPlan,
  tools: LaunchTools,
  progress: (progress: LoadProgress) => void,
  signal: AbortSignal,
): Promise<Run<RuntimeUpstream> | 'port taken'> {
  const { modelId } = plan;
  const { clock, logger, graceMs } = tools;
  const apiKey = `sk-${randomBytes(24).toString('base64url')}`;
  const tail = new LogTail([apiKey, ...plan.secrets]);
  const stages = new LoadStages();
  let isLoading = true;
  progress(stages.begin());
  const group = new ProcessGroup({
    command: [
      ...tools.command,
      'serve',
      plan.model,
      ...option('host', '127.0.0.1'),
      ...option('port', String(port)),
      ...option('served_model_name', modelId),
      ...plan.words,
    ],
    environment: childEnvironment(
      tools.environment,
      {
        VLLM_API_KEY: apiKey,
        // Lines that wait in a buffer tell nobody how far it is.
        PYTHONUNBUFFERED: '1',
        ...(plan.hfToken === null ? {} : { HF_TOKEN: plan.hfToken }),
      },
      tools.secrets,
    ),
    graceMs,
    clock,
    warn: (message) => logger.warn({ model: modelId }, `model ${modelId}: ${message}`),
    onLine(line) {
      const shown = tail.add(line);
      logger.debug({ model: modelId, pid: group.pid, line: shown }, 'vllm');
      if (isLoading) progress(stages.read(shown));
    },
  });
  logger.info(
    { model: modelId, pid: group.pid, port },
    `model ${modelId}: vLLM is being started on port ${port}`,
  );
  const base = `http://127.0.0.1:${port}`;
  const readiness = new Readiness({ ...tools, base, apiKey, model: modelId });
  const outcome = await firstOutcome({ group, readiness, clock, plan, signal }).finally(() => {
    isLoading = false;
  });
  if (outcome.kind === 'ready') {
    progress(stages.ready());
    return {
      value: { provider: 'vllm', apiBase: base, apiKey, upstreamModel: modelId },
      ended: group.exited.then(async (exit) => {
        await group.stop();
        return withLog(`vLLM ${exitText(exit)}`, tail);
      }),
      stop: () => group.stop(),
    };
  }
  await group.stop();
  switch (outcome.kind) {
    case 'exited':
      if (outcome.exit.kind === 'code' && tail.some(PORT_TAKEN)) return 'port taken';
      throw failure(withLog(`vLLM ${exitText(outcome.exit)} while it was loading`, tail));
    case 'timeout': {
      const limit = `${plan.loadTimeoutMs / 1_000} s (load_timeout)`;
      throw failure(withLog(`vLLM was not ready within ${limit}: ${readiness.problem}`, tail));
    }
    case 'aborted':
      throw aborted();
  }
}

/** What comes first; the others are called off. */
async function firstOutcome(load: {
  readonly group: ProcessGroup;
  readonly readiness: Readiness;
  readonly clock: Clock;
  readonly plan: LaunchPlan;
  readonly signal: AbortSignal;
}): Promise<Outcome> {
  const { group, readiness, clock, plan, signal } = load;
  const decided = new AbortController();
  const over = AbortSignal.any([decided.signal, signal]);
  const ready = readiness.reached(over).then((): Outcome => ({ kind: 'ready' }));
  const exited = group.exited.then((exit): Outcome => ({ kind: 'exited', exit }));
  const late = pause(clock, plan.loadTimeoutMs, over).then((): Outcome => ({ kind: 'timeout' }));
  const outcome = await Promise.race([exited, ready, late]);
  decided.abort();
  if (signal.aborted) return { kind: 'aborted' };
  // Another process on its port may have answered in its place.
  if (outcome.kind === 'ready' && group.exit !== null) return { kind: 'exited', exit: group.exit };
  return outcome;
}

function withLog(reason: string, tail: LogTail): string {
  const text = tail.text();
  return text === '' ? `${reason}; it has logged nothing.` : `${reason}; its log ends with:\n${text}`;
}

function failure(message: string): SluiceError {
  return new SluiceError('load_failed', message);
}

function aborted(): SluiceError {
  return failure('The load was stopped before the model was ready.');
}
