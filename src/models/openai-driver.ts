import type { UpstreamClient } from '../upstream/client.ts';
import { failed, probe, requireModel } from './api-probe.ts';
import type { Driver } from './driver.ts';
import { parseModelKwargs } from './model-kwargs.ts';
import { refuseEngineArguments } from './no-engine-arguments.ts';
import { credentialHeaders, keyedBase, type ProviderTargetOf } from './upstream-key.ts';

export interface OpenaiDriverOptions {
  readonly client: () => UpstreamClient;
  readonly providerTarget: ProviderTargetOf;
}

const PROVIDER = 'openai';

/**
 * `openai`: an API that speaks OpenAI's language and runs already, OpenAI's own by default. Loading checks its
 * credential and that it has the model; nothing is started, so that nothing is watched or stopped either: an API that
 * goes away is told by each request.
 */
export function createOpenaiDriver(options: OpenaiDriverOptions): Driver {
  return {
    check({ modelKwargs }) {
      const { engine } = parseModelKwargs(modelKwargs);
      refuseEngineArguments(Object.keys(engine), 'openai has no engine arguments');
    },

    async load({ modelName, modelKwargs }, events, signal) {
      const { own } = parseModelKwargs(modelKwargs);
      const { apiBase, apiKey } = keyedBase(own, PROVIDER, options.providerTarget(PROVIDER));
      if (apiBase === null) throw failed('there is no api_base');
      events.progress({ stage: 'connecting', percent: null, line: null });
      const credential = credentialHeaders(PROVIDER, apiKey);
      const api = { client: options.client(), apiBase, guarded: own.apiBase !== null, credential };
      const answer = await probe(api, 'v1/models', signal);
      if (answer.kind !== 'answer') throw failed(`${apiBase} could not be reached: ${answer.why}`);
      requireModel(answer, api, modelName);
      const upstream = { provider: PROVIDER, apiBase, apiKey, upstreamModel: modelName };
      return { upstream, stop: () => Promise.resolve() };
    },
  };
}
