import type { Provider } from './config.ts';
import { refersToEnvironment } from './interpolate.ts';
import { nearest } from './nearest.ts';
import { quote } from './section.ts';
import { unrelayedProviderOf, unrelayedReason } from './unrelayed-providers.ts';

export type ModelProvider =
  | { readonly kind: 'relayed'; readonly provider: Provider; readonly upstreamModel: string }
  /** LiteLLM serves it, we can't. */
  | { readonly kind: 'unrelayed'; readonly name: string; readonly reason: string }
  | { readonly kind: 'unknown'; readonly key: 'model' | 'custom_llm_provider'; readonly message: string };

export interface ModelQuestion {
  /** `litellm_params.model`. */
  readonly model: string;
  readonly customProvider: string | null;
  /** The same two as the file has them, for messages: a variable may hold what isn't to be shown. */
  readonly written: { readonly model: string; readonly customProvider: string };
  readonly hasApiBase: boolean;
  readonly providers: readonly Provider[];
}

/** The provider with this id or alias. */
function providerNamed(name: string, providers: readonly Provider[]): Provider | null {
  return providers.find((provider) => provider.id === name || provider.aliases.includes(name)) ?? null;
}

/**
 * Decides who serves a model, and under which name, from the way LiteLLM writes models: an explicit
 * `custom_llm_provider` (https://docs.litellm.ai/docs/providers), else the prefix before the first slash
 * (`hosted_vllm/papluca/x`), else the bare name's pattern (`gpt-4o`), else, with an `api_base`, anything that
 * speaks OpenAI's API.
 */
export function providerOfModel(question: ModelQuestion): ModelProvider {
  const { model, providers } = question;
  if (question.customProvider !== null) return byCustomProvider(question.customProvider, question);
  const slash = model.indexOf('/');
  if (slash > 0) {
    const named = byName(model.slice(0, slash), model.slice(slash + 1), question);
    if (named !== null) return named;
  } else {
    const provider = providers.find((candidate) =>
      candidate.modelPatterns.some((pattern) => pattern.test(model)),
    );
    if (provider !== undefined) return { kind: 'relayed', provider, upstreamModel: model };
    const unrelayed = unrelayedProviderOf(model);
    if (unrelayed !== null && !question.hasApiBase) return leftOut(unrelayed);
  }
  const openai = providerNamed('openai', providers);
  if (question.hasApiBase && openai !== null)
    return { kind: 'relayed', provider: openai, upstreamModel: model };
  return { kind: 'unknown', key: 'model', message: unknownModel(question) };
}

function byCustomProvider(name: string, question: ModelQuestion): ModelProvider {
  const { model, providers } = question;
  const prefix = model.slice(0, Math.max(0, model.indexOf('/')));
  const provider = providerNamed(name, providers);
  // LiteLLM strips the prefix only where it repeats the provider: `openai/gpt-oss-20b` is a name that vLLM knows.
  const repeated = prefix === name || (provider !== null && providerNamed(prefix, providers) === provider);
  const known = byName(name, repeated ? model.slice(prefix.length + 1) : model, question);
  if (known !== null) return known;
  const near = nearest(name, namesOf(providers));
  return {
    kind: 'unknown',
    key: 'custom_llm_provider',
    message: `${quote(question.written.customProvider)} is no provider known here; ${near === null ? `known are ${idsOf(providers)}` : `did you mean ${near}?`}`,
  };
}

function byName(name: string, upstreamModel: string, question: ModelQuestion): ModelProvider | null {
  const provider = providerNamed(name, question.providers);
  if (provider === null) return unrelayedReason(name) === null ? null : leftOut(name);
  if (upstreamModel === '') {
    return { kind: 'unknown', key: 'model', message: `names no model behind ${quote(`${name}/`)}` };
  }
  return { kind: 'relayed', provider, upstreamModel };
}

function leftOut(name: string): ModelProvider {
  return { kind: 'unrelayed', name, reason: unrelayedReason(name) ?? '' };
}

function unknownModel(question: ModelQuestion): string {
  const { providers } = question;
  const { model } = question.written;
  const slash = model.indexOf('/');
  const prefix = slash > 0 && !refersToEnvironment(model) ? model.slice(0, slash) : '';
  const near = prefix === '' ? null : nearest(prefix, namesOf(providers));
  if (near !== null) {
    return `${quote(prefix)} is no provider known here; did you mean ${near}${model.slice(slash)}, or hosted_vllm/${model}?`;
  }
  return `no provider can be told from ${quote(model)}; put one in front, like hosted_vllm/${model}, or give an api_base; known are ${idsOf(providers)}`;
}

function namesOf(providers: readonly Provider[]): readonly string[] {
  return providers.flatMap((provider) => [provider.id, ...provider.aliases]);
}

function idsOf(providers: readonly Provider[]): string {
  return providers.map((provider) => provider.id).join(', ');
}
