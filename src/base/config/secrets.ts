import type { Config } from './config.ts';

type Holder = Pick<Config, 'masterKey' | 'deployments' | 'providerTargets' | 'routes'>;

/** What a configuration holds that nobody may see: keys, and the values of configured headers. */
export function secretsOf({ masterKey, deployments, providerTargets, routes }: Holder): readonly string[] {
  const keys = [masterKey, ...[...deployments, ...providerTargets.values()].map(({ apiKey }) => apiKey)];
  const headers = [...deployments, ...routes].flatMap((holder) =>
    holder.headers.filter((_, index) => index % 2 === 1),
  );
  return [...keys, ...headers].filter((secret) => secret !== null);
}
