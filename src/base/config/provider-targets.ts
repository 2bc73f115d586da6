import type { Provider, ProviderTarget, Timeouts } from './config.ts';
import { type Environment, firstVariable } from './environment.ts';
import { headerValueProblem } from './headers.ts';
import { parseHttpUrl } from './http-url.ts';
import type { Report } from './report.ts';

/** A provider as the environment sets it up. */
export interface ProviderSetting {
  /** From the environment, else from the table. */
  readonly apiBase: string | null;
  readonly apiKey: string | null;
  /** The name of the variable that holds the key. */
  readonly apiKeyName: string | null;
  readonly configured: boolean;
  /** Where the key of the environment may go; null: anywhere (the provider has no public address). */
  readonly keyOrigins: ReadonlySet<string> | null;
}

/** What the environment says about one provider. */
export function providerSetting(
  provider: Provider,
  environment: Environment,
  report: Report,
): ProviderSetting {
  const base = firstVariable(environment, provider.apiBaseEnv);
  const key = firstVariable(environment, provider.apiKeyEnv);
  const parsed =
    base === null
      ? null
      : parseHttpUrl(base.value, {
          raw: base.value,
          use: 'base',
          credentials: provider.apiKeyEnv[0] ?? 'api_key',
        });
  if (base !== null && parsed?.kind === 'problem') report.faultOfVariable(base.name, parsed.problem);
  const problem = key === null ? null : headerValueProblem(key.value);
  if (key !== null && problem !== null) report.faultOfVariable(key.name, problem);
  const apiBase = parsed?.kind === 'url' ? parsed.url : provider.apiBase;
  const origins = [apiBase, provider.apiBase].filter((one) => one !== null).map((one) => new URL(one).origin);
  return {
    apiBase,
    apiKey: key?.value ?? null,
    apiKeyName: key?.name ?? null,
    configured: base !== null || key !== null,
    keyOrigins: provider.apiBase === null ? null : new Set(origins),
  };
}

/** Where `/{provider}/*` goes without a deployment, for every provider that has an address. */
export function providerTargets(
  settings: ReadonlyMap<string, ProviderSetting>,
  timeouts: Timeouts,
): ReadonlyMap<string, ProviderTarget> {
  const targets = new Map<string, ProviderTarget>();
  for (const [provider, { apiBase, apiKey, configured }] of settings) {
    if (apiBase !== null) targets.set(provider, { provider, apiBase, apiKey, configured, timeouts });
  }
  return targets;
}
