import { createDoor } from '../access/admit.ts';
import type { Config } from '../base/config/config.ts';
import type { RelayContext } from '../relay/enter.ts';
import { DestinationTable } from '../upstream/destination.ts';
import { TargetPicker } from '../upstream/pick.ts';
import { PROVIDERS } from '../upstream/providers.ts';

/** What outlives a configuration: connections and logs. */
export type Outlasting = Pick<RelayContext, 'client' | 'log' | 'detail'>;

/** Builds all that depends on the configuration. */
export function contextFrom(config: Config, { client, log, detail }: Outlasting): RelayContext {
  const providerPrefixes = new Map<string, string>();
  for (const { id, aliases } of PROVIDERS) {
    for (const prefix of [id, ...aliases]) providerPrefixes.set(prefix, id);
  }
  return {
    door: createDoor(config.masterKey),
    destinations: new DestinationTable({ routes: config.routes, providerPrefixes }),
    picker: new TargetPicker(config),
    client,
    limits: config.limits,
    log,
    detail,
  };
}
