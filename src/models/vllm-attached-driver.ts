import type { UpstreamClient } from '../upstream/client.ts';
import { failed, type Probe, type ProbedApi, probe, refuseCredential, requireModel } from './api-probe.ts';
import { type Clock, pause, SYSTEM_CLOCK } from './clock.ts';
import type { Driver } from './driver.ts';
import { parseModelKwargs } from './model-kwargs.ts';
import { refuseEngineArguments } from './no-engine-arguments.ts';
import { credentialHeaders, keyedBase, type ProviderTargetOf } from './upstream-key.ts';

export interface VllmAttachedDriverOptions {
  readonly client: () => UpstreamClient;
  readonly providerTarget: ProviderTargetOf;
  readonly clock?: Clock;
}

const PROVIDER = 'vllm';
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 2_000;

/**
 * `vllm` with `api_base`: a vLLM server that someone else started, and which may still be loading: it then refuses,
 * hangs or answers 503, and is asked again until `load_timeout`. Ready is /health with 200 and the model in
 * /v1/models.
 *
 * Once it is ready it is not polled: each request finds out by itself, and whoever started the server restarts it.
 */
export function createVllmAttachedDriver(options: VllmAttachedDriverOptions): Driver {
  const clock = options.clock ?? SYSTEM_CLOCK;
  return {
    check({ modelKwargs }) {
      const { engine } = parseModelKwargs(modelKwargs);
      refuseEngineArguments(
        Object.keys(engine),
        'a server that runs already (api_base) takes no engine arguments',
      );
    },

    async load({ modelName, modelKwargs }, events, signal) {
      const { own } = parseModelKwargs(modelKwargs);
      const { apiBase, apiKey } = keyedBase(own, PROVIDER, options.providerTarget(PROVIDER));
      if (apiBase === null) throw failed('there is no api_base');
      const credential = credentialHeaders(PROVIDER, apiKey);
      const api = { client: options.client(), apiBase, guarded: own.apiBase !== null, credential };
      const until = clock.now() + own.loadTimeoutMs;
      let pauseMs = FIRST_PAUSE_MS;
      events.progress({ stage: 'connecting', percent: null, line: null });
      for (;;) {
        const why = await obstacle(api, modelName, signal);
        if (why === null) break;
        if (clock.now() + pauseMs >= until) {
          const seconds = Math.round(own.loadTimeoutMs / 1000);
          throw failed(`${apiBase} was not ready within ${seconds} s (load_timeout): ${why}`);
        }
        await pause(clock, pauseMs, signal);
        signal.throwIfAborted();
        pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2);
      }
      const upstream = { provider: PROVIDER, apiBase, apiKey, upstreamModel: modelName };
      return { upstream, stop: () => Promise.resolve() };
    },
  };
}

/**
 * Why it is not ready yet; null: it is.
 * @throws SluiceError `load_failed` when waiting is no use
 */
async function obstacle(api: ProbedApi, modelName: string, signal: AbortSignal): Promise<string | null> {
  // vLLM has /health beside /v1, not below it.
  const health = await probe({ ...api, apiBase: api.apiBase.replace(/\/v1$/, '') }, 'health', signal);
  const notHealthy = waitFor('/health', health);
  if (notHealthy !== null) return notHealthy;
  if (health.kind === 'answer' && health.status !== 200) {
    refuseCredential(health, api);
    throw failed(
      `${api.apiBase} answered ${health.status} to /health, which vLLM has; for another server take model_type openai`,
    );
  }
  const models = await probe(api, 'v1/models', signal);
  const notServing = waitFor('/v1/models', models);
  if (notServing !== null) return notServing;
  if (models.kind === 'answer') requireModel(models, api, modelName);
  return null;
}

function waitFor(path: string, result: Probe): string | null {
  switch (result.kind) {
    case 'hopeless':
      throw failed(result.why);
    case 'silent':
      return `${path}: ${result.why}`;
    case 'answer':
      return isPassing(result.status) ? `${path} answered ${result.status}` : null;
  }
}

/** What a server that is loading answers, or a proxy in front of it. */
function isPassing(status: number): boolean {
  return status >= 500 || status === 408 || status === 429;
}
