import type { ProviderTarget } from '../base/config/config.ts';
import { providerFrom } from '../upstream/providers.ts';
import type { OwnKwargs } from './driver.ts';

/** Where the environment says that a provider's API is, and with which key; null where it says nothing. */
export type ProviderTargetOf = (provider: string) => ProviderTarget | null;

export interface KeyedBase {
  readonly apiBase: string | null;
  readonly apiKey: string | null;
}

/**
 * The base and the key of a configuration. What it leaves out comes from the environment (`OPENAI_API_KEY`), whose key
 * goes to the environment's own address and the provider's public one, and never to whatever else `api_base` names.
 */
export function keyedBase(own: OwnKwargs, provider: string, target: ProviderTarget | null): KeyedBase {
  const publicBase = providerFrom(provider)?.apiBase ?? null;
  const apiBase = own.apiBase ?? target?.apiBase ?? publicBase;
  if (own.apiKey !== null || apiBase === null || target === null) return { apiBase, apiKey: own.apiKey };
  const mayHaveIt = [target.apiBase, publicBase].some(
    (base) => base !== null && originOf(base) === originOf(apiBase),
  );
  return { apiBase, apiKey: mayHaveIt ? target.apiKey : null };
}

function originOf(url: string): string {
  return new URL(url).origin;
}

/** Raw name-value pairs that carry the key as the provider takes it. */
export function credentialHeaders(provider: string, apiKey: string | null): readonly string[] {
  const known = providerFrom(provider);
  return apiKey === null || known === null ? [] : [known.authHeader, `${known.authPrefix}${apiKey}`];
}
