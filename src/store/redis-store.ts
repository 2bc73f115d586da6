import { SluiceError } from '../base/errors.ts';
import { RedisConnection, type RedisConnectionOptions } from './redis-connection.ts';
import { verbErrorFrom } from './redis-errors.ts';
import { RedisKeyStore } from './redis-key-store.ts';
import { claimsOf, claimsTaken } from './redis-route-claims.ts';
import type { ScriptName } from './redis-scripts.ts';
import { inOrder, jsonBehindOrder, pairsFrom, textFrom, textsFrom } from './redis-values.ts';
import { RedisWatch } from './redis-watch.ts';
import type { Store, StoredConfiguration, StoredRoute } from './store.ts';

/** A store on Redis, and the connection that it shares with who else needs one. */
export interface OpenRedisStore extends Store {
  readonly connection: RedisConnection;
}

/**
 * Opens a store on a Redis that several instances share.
 * @throws StoreOpenError of one line: where, what, and what to do
 */
export async function openRedisStore(options: RedisConnectionOptions): Promise<OpenRedisStore> {
  return new RedisStore(await RedisConnection.open(options));
}

class RedisStore extends RedisKeyStore implements OpenRedisStore {
  readonly connection: RedisConnection;
  readonly #watch: RedisWatch;

  constructor(connection: RedisConnection) {
    super(connection);
    this.connection = connection;
    this.#watch = new RedisWatch(connection);
  }

  async createConfiguration(configuration: StoredConfiguration): Promise<void> {
    const { version, sequence, configurations } = this.connection.keys;
    const { configId } = configuration;
    const created = await this.#change(
      'configuration-create',
      [version, sequence, configurations],
      [configId, JSON.stringify(configuration)],
    );
    if (created !== 1) throw idTaken('configuration', configId);
  }

  async configuration(configId: string): Promise<StoredConfiguration | null> {
    const value = await this.#read('hget', this.connection.keys.configurations, configId);
    return value === null ? null : configurationFrom(textFrom(value));
  }

  async configurations(): Promise<readonly StoredConfiguration[]> {
    const values = textsFrom(await this.#read('hvals', this.connection.keys.configurations));
    return inOrder(values).map(configurationFrom);
  }

  async deleteConfiguration(configId: string): Promise<boolean> {
    const { version, configurations } = this.connection.keys;
    return (await this.#change('configuration-delete', [version, configurations], [configId])) === 1;
  }

  async setLoaded(modelId: string, configId: string | null): Promise<void> {
    const { version, loaded } = this.connection.keys;
    await this.#change('loaded-set', [version, loaded], configId === null ? [modelId] : [modelId, configId]);
  }

  async loaded(): Promise<ReadonlyMap<string, string>> {
    return new Map(pairsFrom(await this.#read('hgetall', this.connection.keys.loaded)));
  }

  async createRoute(route: StoredRoute): Promise<void> {
    const { version, sequence, routes, routeClaims } = this.connection.keys;
    const [outcome, ...taken] = textsFrom(
      await this.#change(
        'route-create',
        [version, sequence, routes, routeClaims],
        [route.id, JSON.stringify(route), ...claimsOf(route)],
      ),
    );
    if (outcome === 'id') throw idTaken('route', route.id);
    if (outcome === 'claims') throw claimsTaken(taken, route.path);
  }

  async routes(): Promise<readonly StoredRoute[]> {
    const values = textsFrom(await this.#read('hvals', this.connection.keys.routes));
    return inOrder(values).map(routeFrom);
  }

  async updateRoute(id: string, change: (stored: StoredRoute) => StoredRoute): Promise<StoredRoute | null> {
    const { version, routes, routeClaims } = this.connection.keys;
    for (;;) {
      const value = await this.#read('hget', routes, id);
      if (value === null) return null;
      const stored = routeFrom(textFrom(value));
      const changed = { ...change(stored), id };
      const before = claimsOf(stored);
      const json = JSON.stringify(changed);
      const [outcome, ...taken] = textsFrom(
        await this.#change(
          'route-update',
          [version, routes, routeClaims],
          [id, textFrom(value), json, before.length, ...before, ...claimsOf(changed)],
        ),
      );
      if (outcome === 'claims') throw claimsTaken(taken, changed.path);
      if (outcome === 'updated') return routeFrom(`${textFrom(value).slice(0, 16)} ${json}`);
    }
  }

  async deleteRoute(id: string): Promise<StoredRoute | null> {
    const { version, routes, routeClaims } = this.connection.keys;
    for (;;) {
      const value = await this.#read('hget', routes, id);
      if (value === null) return null;
      const stored = routeFrom(textFrom(value));
      const deleted = await this.#change(
        'route-delete',
        [version, routes, routeClaims],
        [id, textFrom(value), ...claimsOf(stored)],
      );
      if (deleted === 1) return stored;
    }
  }

  watch(onChange: () => void): () => void {
    return this.#watch.add(onChange);
  }

  async check(): Promise<boolean> {
    return this.connection.isThere;
  }

  async close(): Promise<void> {
    this.#watch.close();
    await this.connection.close();
  }

  /** Runs a script whose first key is the version and whose first arguments say who has changed something. */
  async #change(
    script: ScriptName,
    keys: readonly string[],
    args: readonly (string | number)[],
  ): Promise<unknown> {
    try {
      const { keys: names, instance } = this.connection;
      return await this.connection.manage(script, keys, [names.channel, instance, ...args]);
    } catch (error) {
      throw verbErrorFrom(error);
    }
  }

  async #read(name: string, ...args: readonly string[]): Promise<unknown> {
    try {
      return await this.connection.command(name, ...args);
    } catch (error) {
      throw verbErrorFrom(error);
    }
  }
}

function configurationFrom(value: string): StoredConfiguration {
  return { ...(jsonBehindOrder(value) as unknown as StoredConfiguration) };
}

function routeFrom(value: string): StoredRoute {
  return { ...(jsonBehindOrder(value) as unknown as StoredRoute) };
}

function idTaken(what: string, id: string): SluiceError {
  return new SluiceError('already_exists', `A ${what} with the id ${id} exists already.`);
}
