import { ROUTE_METHODS } from '../base/config/pass-through.ts';
import { SluiceError } from '../base/errors.ts';
import { SqliteDatabase, type SqliteOptions } from './sqlite-database.ts';
import { SqliteKeyStore } from './sqlite-key-store.ts';
import {
  configurationFrom,
  methodsFrom,
  parametersFromConfiguration,
  parametersFromRoute,
  routeFrom,
  text,
} from './sqlite-rows.ts';
import type { Store, StoredConfiguration, StoredRoute } from './store.ts';

/**
 * Opens the embedded store: an SQLite database, made where there is none, that several processes may share.
 * @throws StoreOpenError of one line: where, what, and what to do
 */
export async function openSqliteStore(options: SqliteOptions): Promise<Store> {
  return new SqliteStore(await SqliteDatabase.open(options));
}

class SqliteStore extends SqliteKeyStore implements Store {
  readonly #database: SqliteDatabase;

  constructor(database: SqliteDatabase) {
    super(database);
    this.#database = database;
  }

  createConfiguration(configuration: StoredConfiguration): Promise<void> {
    return this.#database.write(() => {
      if (this.#database.run('insertConfiguration', parametersFromConfiguration(configuration)) === 0) {
        throw idTaken('configuration', configuration.configId);
      }
    });
  }

  configuration(configId: string): Promise<StoredConfiguration | null> {
    return this.#database.read(() => {
      const row = this.#database.row('selectConfiguration', { configId });
      return row === null ? null : configurationFrom(row);
    });
  }

  configurations(): Promise<readonly StoredConfiguration[]> {
    return this.#database.read(() => this.#database.rows('selectConfigurations').map(configurationFrom));
  }

  deleteConfiguration(configId: string): Promise<boolean> {
    return this.#database.write(() => this.#database.run('deleteConfiguration', { configId }) > 0);
  }

  setLoaded(modelId: string, configId: string | null): Promise<void> {
    return this.#database.write(() => {
      if (configId === null) this.#database.run('deleteLoaded', { modelId });
      else this.#database.run('upsertLoaded', { modelId, configId });
    });
  }

  loaded(): Promise<ReadonlyMap<string, string>> {
    return this.#database.read(() => {
      const rows = this.#database.rows('selectLoaded');
      return new Map(rows.map((row) => [text(row, 'model_id'), text(row, 'config_id')]));
    });
  }

  createRoute(route: StoredRoute): Promise<void> {
    return this.#database.write(() => {
      this.#refuseTaken(route);
      if (this.#database.run('insertRoute', parametersFromRoute(route)) === 0)
        throw idTaken('route', route.id);
    });
  }

  routes(): Promise<readonly StoredRoute[]> {
    return this.#database.read(() => this.#database.rows('selectRoutes').map(routeFrom));
  }

  updateRoute(id: string, change: (stored: StoredRoute) => StoredRoute): Promise<StoredRoute | null> {
    return this.#database.write(() => {
      const row = this.#database.row('selectRoute', { id });
      if (row === null) return null;
      const changed = { ...change(routeFrom(row)), id };
      this.#refuseTaken(changed);
      this.#database.run('updateRoute', parametersFromRoute(changed));
      return routeFrom(this.#database.row('selectRoute', { id }) ?? row);
    });
  }

  deleteRoute(id: string): Promise<StoredRoute | null> {
    return this.#database.write(() => {
      const row = this.#database.row('selectRoute', { id });
      if (row === null) return null;
      this.#database.run('deleteRoute', { id });
      return routeFrom(row);
    });
  }

  watch(onChange: () => void): () => void {
    return this.#database.watch(onChange);
  }

  async check(): Promise<boolean> {
    return this.#database.check();
  }

  async close(): Promise<void> {
    this.#database.close();
  }

  /** Within the transaction that writes it. */
  #refuseTaken(route: StoredRoute): void {
    const { id, path } = route;
    for (const row of this.#database.rows('selectNamesakes', { id, path })) {
      const taken = methodsOf({ methods: methodsFrom(row) });
      const both = methodsOf(route).filter((method) => taken.includes(method));
      if (both.length === 0) continue;
      const message = `The route ${text(row, 'id')} takes ${both.join(', ')} on ${path} already.`;
      throw new SluiceError('already_exists', message, { param: 'path' });
    }
  }
}

function methodsOf({ methods }: Pick<StoredRoute, 'methods'>): readonly string[] {
  return methods.length === 0 ? ROUTE_METHODS : methods;
}

function idTaken(what: string, id: string): SluiceError {
  return new SluiceError('already_exists', `A ${what} with the id ${id} exists already.`);
}
