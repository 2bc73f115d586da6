import { createDoor } from '../access/admit.ts';
import type { Config } from '../base/config/config.ts';
import type { RelayContext } from '../relay/enter.ts';
import type { RequestLog } from '../telemetry/request-log.ts';
import type { UpstreamClient } from '../upstream/client.ts';
import { DestinationTable } from '../upstream/destination.ts';
import { TargetPicker } from '../upstream/pick.ts';
import { PROVIDERS } from '../upstream/providers.ts';

/** Builds all that depends on the configuration; connections outlive it, so the client comes from outside. */
export function contextFrom(config: Config, client: UpstreamClient, log: RequestLog): RelayContext {
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
  };
}
