import type { Deployment, Provider } from './config.ts';
import { secret, text, texts } from './fields.ts';
import { headerValueProblem, readHeaders } from './headers.ts';
import { parseHttpUrl } from './http-url.ts';
import { resolveReferences } from './interpolate.ts';
import { PARAM_HINTS, PARAM_KEYS, PARAM_PREFIXES } from './known-model-keys.ts';
import { type ModelProvider, providerOfModel } from './model-provider.ts';
import { PRICE_FIELDS, pricesFrom } from './prices.ts';
import type { ProviderSetting } from './provider-targets.ts';
import type { Path } from './report.ts';
import { type Reading, readSection, section, type Values, valueAt } from './section.ts';
import { firstTimeouts, type PartialTimeouts, TIMEOUT_FIELDS, timeoutsFrom } from './timeouts.ts';
import { isYamlObject, type YamlObject, type YamlValue } from './yaml-tree.ts';

export const MODEL_PARAMS = section({
  description: 'How the model is reached.',
  used: {
    model: text({
      description:
        'The provider, a slash, and the name that the upstream knows: hosted_vllm/papluca/xlm-roberta-base-language-detection. Without a provider, a name like gpt-4o tells it, or api_base makes it an OpenAI-compatible server.',
    }),
    api_base: text({ description: "The upstream's base URL. Default: the provider's own." }),
    base_url: text({ description: 'Another name of api_base.' }),
    api_key: secret({
      description: "The upstream's key. Default: the provider's variable, for the provider's own address.",
    }),
    custom_llm_provider: text({ description: 'The provider, where the prefix of model does not tell it.' }),
    extra_headers: texts({ description: 'Headers added to every request to the upstream.', writeOnly: true }),
    headers: texts({ description: 'Another name of extra_headers.', writeOnly: true }),
    ...TIMEOUT_FIELDS,
    request_timeout: TIMEOUT_FIELDS.timeout.meta({ description: 'Another name of timeout.' }),
    ...PRICE_FIELDS,
  },
  required: ['model'],
  ignored: PARAM_KEYS,
  ignoredPrefixes: PARAM_PREFIXES,
  hints: PARAM_HINTS,
});

type ParamValues = Values<typeof MODEL_PARAMS.used>;

export interface ModelReading extends Reading {
  readonly providers: readonly Provider[];
  /** By provider id. */
  readonly settings: ReadonlyMap<string, ProviderSetting>;
  /** What a deployment has that names none of its own. */
  readonly timeouts: PartialTimeouts;
}

/** A deployment but for what the whole list decides. */
export type DeploymentDraft = Omit<Deployment, 'id' | 'modelName'>;

/**
 * Who serves the model. It is asked first, since the keys of a provider that can't be served (and the variables
 * they name) don't matter. Null where `model` is missing or faulty, which `readDeployment` tells.
 */
export function ownerOf(params: YamlObject, reading: ModelReading): ModelProvider | null {
  const model = resolved(params.model, reading);
  if (model === null) return null;
  return providerOfModel({
    model,
    customProvider: resolved(params.custom_llm_provider, reading),
    written: { model: String(params.model), customProvider: String(params.custom_llm_provider) },
    hasApiBase: isGiven(params.api_base) || isGiven(params.base_url),
    providers: reading.providers,
  });
}

function resolved(value: YamlValue | undefined, reading: ModelReading): string | null {
  if (typeof value !== 'string' || value === '') return null;
  const { text: replaced, problems } = resolveReferences(value, reading.environment);
  return problems.length === 0 ? replaced : null;
}

function isGiven(value: YamlValue | undefined): boolean {
  return value !== undefined && value !== null;
}

/** Reads `litellm_params` at `path`. Null when a fault or a missing piece leaves nothing to serve. */
export function readDeployment(
  params: YamlObject,
  owner: ModelProvider | null,
  modelInfo: YamlObject,
  path: Path,
  reading: ModelReading,
): DeploymentDraft | null {
  const values = readSection(MODEL_PARAMS, params, path, reading);
  const headers = (['extra_headers', 'headers'] as const).flatMap((key) => {
    const given = values[key];
    return given === undefined ? [] : readHeaders(given, [...path, key], reading).pairs;
  });
  const prices = pricesFrom(values, modelInfo, [...path.slice(0, -1), 'model_info'], reading.report);
  if (owner?.kind === 'unknown') reading.report.fault([...path, owner.key], owner.message);
  if (owner?.kind !== 'relayed') return null;
  const apiBase = baseOf(values, owner.provider, path, reading);
  const apiKey = keyOf(values, owner.provider, apiBase, path, reading);
  if (apiBase === null) return null;
  return {
    provider: owner.provider.id,
    upstreamModel: owner.upstreamModel,
    apiBase,
    apiKey,
    headers,
    timeouts: firstTimeouts(
      timeoutsFrom(values),
      { firstByteTimeoutMs: values.request_timeout },
      reading.timeouts,
    ),
    prices,
    modelInfo,
  };
}

function baseOf(values: ParamValues, provider: Provider, path: Path, reading: ModelReading): string | null {
  const raw = valueAt(reading.tree.root, path);
  const written = isYamlObject(raw) ? raw : {};
  const key = isGiven(written.api_base) ? 'api_base' : 'base_url';
  const given = values[key];
  if (given !== undefined) {
    const parsed = parseHttpUrl(given, { raw: String(written[key]), use: 'base', credentials: 'api_key' });
    if (parsed.kind === 'url') return parsed.url;
    reading.report.fault([...path, key], parsed.problem);
    return null;
  }
  // One that is written and has no value is faulty, and told already.
  if (isGiven(written[key])) return null;
  const base = reading.settings.get(provider.id)?.apiBase ?? null;
  if (base === null) {
    const variables = provider.apiBaseEnv.length === 0 ? '' : `, or set ${provider.apiBaseEnv.join(' or ')}`;
    reading.report.fault(
      path,
      `has no api_base, and ${provider.id} has no address of its own; give one${variables}`,
    );
  }
  return base;
}

/** A key of the environment goes to the provider that it is for, and never to whatever `api_base` names. */
function keyOf(
  values: ParamValues,
  provider: Provider,
  apiBase: string | null,
  path: Path,
  reading: ModelReading,
): string | null {
  const given = values.api_key ?? '';
  const problem = headerValueProblem(given);
  if (problem !== null) reading.report.fault([...path, 'api_key'], problem);
  const setting = reading.settings.get(provider.id);
  if (given !== '') return given;
  if (apiBase === null || setting === undefined) return null;
  const { apiKey, apiKeyName, keyOrigins } = setting;
  if (keyOrigins === null || keyOrigins.has(new URL(apiBase).origin)) {
    const wanted = provider.apiKeyEnv[0];
    if (apiKey === null && wanted !== undefined && provider.apiBase?.startsWith('https:') === true) {
      reading.report.warn(path, `has no api_key, and ${wanted} is not set: ${provider.id} will refuse it`);
    }
    return apiKey;
  }
  if (apiKeyName !== null) {
    reading.report.warn(
      path,
      `has no api_key, and ${apiKeyName} only goes to ${provider.id}'s own address; write api_key: os.environ/${apiKeyName} to send it here`,
    );
  }
  return null;
}
