/**
 * The names of everything that is kept in Redis. All of them have one hash tag, so that on a Cluster they live in one
 * slot and a script may touch several: what has to be atomic is.
 */
export interface RedisKeys {
  /** Grows with each change of anything but counters; its changes are published in the channel of the same name. */
  readonly version: string;
  readonly channel: string;
  /** Where the order of creation comes from. */
  readonly sequence: string;
  /** Hash: id → `order json`. */
  readonly configurations: string;
  /** Hash: model id → configuration id. */
  readonly loaded: string;
  /** Hash: id → `order json`. */
  readonly routes: string;
  /** Hash: `METHOD path` → id of the route that takes it. */
  readonly routeClaims: string;
  /** Grows with each change of keys that decides who may what. */
  readonly keysVersion: string;
  /** Hash: id → `order json`, without what the next two hold. */
  readonly virtualKeys: string;
  /** Hash: id → nano-dollars spent since the last reset. */
  readonly spend: string;
  /** Hash: id → when spending begins anew, ms since 1970. */
  readonly resets: string;
  /** Hash: token, present or previous → id. */
  readonly tokens: string;
  /** Hash: alias → id. */
  readonly aliases: string;
  /** Sorted set: `order id` by the time of creation. */
  readonly keyOrder: string;
  /** The same, of one user's keys. */
  keysOfUser(userId: string): string;
  /** The same, of one team's keys. */
  keysOfTeam(teamId: string): string;
  /** Sorted set: instance by the time of its last heartbeat, ms of Redis's clock. */
  readonly instances: string;
  /** Hash: what a key has used in the last minutes; see consume.lua. */
  use(keyId: string): string;
  /** Sorted set: lease of a request under way, by its expiry, ms of Redis's clock. */
  running(keyId: string): string;
}

export function redisKeys(prefix: string): RedisKeys {
  const at = (name: string): string => `${prefix}:{state}:${name}`;
  return {
    version: at('version'),
    channel: at('version'),
    sequence: at('sequence'),
    configurations: at('configurations'),
    loaded: at('loaded'),
    routes: at('routes'),
    routeClaims: at('route-claims'),
    keysVersion: at('keys-version'),
    virtualKeys: at('keys'),
    spend: at('key-spend'),
    resets: at('key-resets'),
    tokens: at('key-tokens'),
    aliases: at('key-aliases'),
    keyOrder: at('key-order'),
    keysOfUser: (userId) => at(`key-order:user:${userId}`),
    keysOfTeam: (teamId) => at(`key-order:team:${teamId}`),
    instances: at('instances'),
    use: (keyId) => at(`use:${keyId}`),
    running: (keyId) => at(`running:${keyId}`),
  };
}
