import { createDoor } from '../access/admit.ts';
import type { KeySource } from '../access/key-cache.ts';
import type { Limiter } from '../access/limiter.ts';
import type { Config, Deployment, PathRoute } from '../base/config/config.ts';
import type { RelayContext } from '../relay/enter.ts';
import { DestinationTable } from '../upstream/destination.ts';
import { type ReplicaTable, TargetPicker } from '../upstream/pick.ts';
import { PROVIDERS } from '../upstream/providers.ts';

/** What outlives a configuration: connections, load counts, keys and logs. */
export interface Outlasting extends Pick<RelayContext, 'client' | 'log' | 'detail' | 'wake'> {
  readonly replicas: ReplicaTable;
  /** Default: there are no virtual keys. */
  readonly keys?: KeySource;
  readonly limiter?: Limiter;
}

/** What is added to the configuration's own while the gateway runs. */
export interface Additions {
  /** Of loaded models. */
  readonly deployments: readonly Deployment[];
  /** Names of models that a request may bring up. */
  readonly asleep: ReadonlySet<string>;
  /** See `PickerOptions`. */
  readonly remedyFor?: (model: string) => string | null;
  /** All routes, the configuration's among them. */
  readonly routes: readonly PathRoute[];
}

/** Builds all that depends on the configuration. */
export function contextFrom(config: Config, additions: Additions, outlasting: Outlasting): RelayContext {
  const { client, log, detail, wake, replicas, keys = null, limiter = null } = outlasting;
  const { asleep, remedyFor } = additions;
  const providerPrefixes = new Map<string, string>();
  for (const { id, aliases } of PROVIDERS) {
    for (const prefix of [id, ...aliases]) providerPrefixes.set(prefix, id);
  }
  return {
    door: createDoor({ masterKey: config.masterKey, keys, limiter }),
    destinations: new DestinationTable({ routes: additions.routes, providerPrefixes }),
    picker: new TargetPicker(
      {
        deployments: [...config.deployments, ...additions.deployments],
        providerTargets: config.providerTargets,
      },
      { asleep, replicas, ...(remedyFor !== undefined && { remedyFor }) },
    ),
    client,
    limits: config.limits,
    wake,
    log,
    detail,
  };
}
