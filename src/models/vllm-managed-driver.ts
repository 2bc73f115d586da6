import type { Logger } from 'pino';
import type { Environment } from '../base/config/environment.ts';
import type { Json } from '../base/json.ts';
import type { StoredConfiguration } from '../store/store.ts';
import { type Clock, SYSTEM_CLOCK } from './clock.ts';
import type { Driver, Runtime, RuntimeEvents } from './driver.ts';
import { parseModelKwargs } from './model-kwargs.ts';
import { secretTexts } from './redaction.ts';
import { freePort } from './supervisor/free-port.ts';
import { RESTART_POLICY, type RestartPolicy, supervise } from './supervisor/supervise.ts';
import { type LaunchPlan, type LaunchTools, launch } from './vllm-managed/launch.ts';
import { modelArgument, serveArguments } from './vllm-managed/serve-arguments.ts';

export interface VllmManagedOptions {
  /** The program that runs vLLM and its first arguments, the operator's alone (`general_settings.vllm_command`). */
  readonly command: readonly string[];
  /** Arguments that load code or read files and are let through all the same (`vllm_allowed_arguments`). */
  readonly allowedArguments?: readonly string[];
  /** The gateway's own; secrets in it are not passed on (vllm-managed/child-environment.ts). */
  readonly environment: Environment;
  /** What the configuration holds of secrets; the variables they came from are not passed on either. */
  readonly secrets?: readonly string[];
  readonly logger: Logger;
  readonly clock?: Clock;
  /** Between SIGTERM and SIGKILL; default 30,000. */
  readonly graceMs?: number;
  /** Between two questions whether it is ready; default 500. */
  readonly pollIntervalMs?: number;
  /** For the answer to one; default 10,000. */
  readonly tryTimeoutMs?: number;
  readonly restarts?: RestartPolicy;
  /** Finds a port of the loopback interface that nobody listens on. */
  readonly freePort?: () => Promise<number>;
}

/**
 * Runs `model_type: vllm` without `api_base`: `vllm serve` as a process of the gateway's, on a loopback port of its own
 * and with a key that nobody else knows; started again when it ends, gone when the gateway is gone.
 */
export function createVllmManagedDriver(options: VllmManagedOptions): Driver {
  const { clock = SYSTEM_CLOCK, restarts = RESTART_POLICY } = options;
  const allowed = new Set(options.allowedArguments);
  const tools: LaunchTools = {
    command: options.command,
    environment: options.environment,
    secrets: options.secrets ?? [],
    logger: options.logger,
    clock,
    freePort: options.freePort ?? freePort,
    graceMs: options.graceMs ?? 30_000,
    pollIntervalMs: options.pollIntervalMs ?? 500,
    tryTimeoutMs: options.tryTimeoutMs ?? 10_000,
  };
  return {
    check(configuration) {
      const { apiKey } = parseModelKwargs(configuration.modelKwargs).own;
      // Refused as the argument of vLLM's that it would be. One that was stored before it was refused changes nothing.
      planOf(configuration, allowed, apiKey === null ? {} : { api_key: apiKey });
    },
    async load(configuration, events, signal) {
      const plan = planOf(configuration, allowed);
      return runtimeOf(plan, { tools, restarts, events, signal });
    },
  };
}

/** @throws SluiceError `invalid_request` */
function planOf(
  configuration: StoredConfiguration,
  allowed: ReadonlySet<string>,
  more: Readonly<Record<string, Json>> = {},
): LaunchPlan {
  const { own, engine } = parseModelKwargs(configuration.modelKwargs);
  return {
    modelId: configuration.modelId,
    model: modelArgument(configuration.modelName),
    ...serveArguments({ ...more, ...engine }, allowed),
    secrets: secretTexts(configuration.modelKwargs),
    loadTimeoutMs: own.loadTimeoutMs,
  };
}

async function runtimeOf(
  plan: LaunchPlan,
  around: {
    readonly tools: LaunchTools;
    readonly restarts: RestartPolicy;
    readonly events: RuntimeEvents;
    readonly signal: AbortSignal;
  },
): Promise<Runtime> {
  const { tools, restarts, events, signal } = around;
  const supervised = await supervise(
    {
      launch: (stop) => launch(plan, tools, (progress) => events.progress(progress), stop),
      clock: tools.clock,
      policy: restarts,
      events: {
        lost: (reason) => events.lost(reason),
        waiting: () => events.progress({ stage: 'waiting_to_restart', percent: 0, line: null }),
        recovered: (upstream) => events.recovered(upstream),
        failed: (reason) => events.failed(reason),
      },
    },
    signal,
  );
  return { upstream: supervised.value, stop: () => supervised.stop() };
}
