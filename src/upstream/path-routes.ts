import { createHash, randomUUID } from 'node:crypto';
import type { Config, PathRoute, Timeouts } from '../base/config/config.ts';
import { SluiceError } from '../base/errors.ts';
import type { Store, StoredRoute } from '../store/store.ts';
import { normalRoute, routeFromStored } from './stored-route.ts';

/** What the routes depend on of a configuration. */
export type RouteConfig = Pick<Config, 'file' | 'routes' | 'routeTimeouts'>;

export interface PathRoutesOptions {
  readonly store: Store;
  readonly config: RouteConfig;
  /** Takes what the operator should know, a line each time. */
  readonly warn: (message: string) => void;
  /** How long after a failure the store is read again, ms. Default 1,000. */
  readonly retryAfterMs?: number;
}

/** An operator's route, as it is managed. */
export type ManagedRoute =
  | { readonly kind: 'file'; readonly id: string; readonly route: PathRoute }
  /** `route` is null where this version can't use what was stored; it can still be changed and deleted. */
  | {
      readonly kind: 'created';
      readonly id: string;
      readonly stored: StoredRoute;
      readonly route: PathRoute | null;
    };

export type RouteFields = Omit<StoredRoute, 'id'>;

/**
 * Opens the operator's routes: those of the file, and those of the store.
 * @throws SluiceError `store_unavailable`
 */
export async function openPathRoutes(options: PathRoutesOptions): Promise<PathRoutes> {
  const routes = new PathRoutes(options);
  await routes.refresh();
  return routes;
}

/** The routes of the file, which are as they are, and those created through the API, which are kept in the store. */
export class PathRoutes {
  readonly #store: Store;
  readonly #warn: (message: string) => void;
  readonly #retryAfterMs: number;
  readonly #listeners = new Set<() => void>();
  readonly #stopWatching: () => void;
  #file: string | null = null;
  #timeouts: Timeouts;
  #fromFile: readonly ManagedRoute[] = [];
  #stored: readonly StoredRoute[] = [];
  #created: readonly ManagedRoute[] = [];
  #routes: readonly PathRoute[] = [];
  #warned: ReadonlySet<string> = new Set();
  #reading: Promise<void> = Promise.resolve();
  #next: Promise<void> | null = null;
  #retry: NodeJS.Timeout | null = null;

  constructor({ store, config, warn, retryAfterMs = 1_000 }: PathRoutesOptions) {
    this.#store = store;
    this.#warn = warn;
    this.#retryAfterMs = retryAfterMs;
    this.#timeouts = config.routeTimeouts;
    this.setFileRoutes(config);
    // Before the first reading, so that no change falls between the two.
    this.#stopWatching = store.watch(() => this.#refreshSoon());
  }

  /** All that are in effect: the file's first, which win, then the created ones. The same array until they change. */
  routes(): readonly PathRoute[] {
    return this.#routes;
  }

  /** In the same order, with their ids; also those that can't be in effect. */
  list(): readonly ManagedRoute[] {
    return [...this.#fromFile, ...this.#created];
  }

  /** @throws SluiceError `route_not_found` */
  get(id: string): ManagedRoute {
    const found = this.list().find((route) => route.id === id);
    if (found === undefined) {
      throw new SluiceError('route_not_found', `No route has the id ${JSON.stringify(id)}.`, {
        param: 'endpoint_id',
      });
    }
    return found;
  }

  /**
   * In effect when this resolves.
   * @throws SluiceError `invalid_request` with every fault; `already_exists`: another route has its path and a method
   */
  async create(fields: RouteFields): Promise<ManagedRoute> {
    const stored = normalRoute({ ...fields, id: randomUUID() }, this.#timeouts);
    this.#refuseTakenByFile(stored);
    await this.#store.createRoute(stored);
    await this.refresh();
    return this.#managed(stored);
  }

  /**
   * Changes a created route; in effect when this resolves. `change` may be called several times.
   * @throws SluiceError as `create`; `route_not_found`; `failed_precondition`: the route stands in the file
   */
  async update(id: string, change: (stored: StoredRoute) => StoredRoute): Promise<ManagedRoute> {
    this.#refuseFileRoute(id);
    const updated = await this.#store.updateRoute(id, (stored) => {
      const changed = normalRoute(change(stored), this.#timeouts);
      this.#refuseTakenByFile(changed);
      return changed;
    });
    await this.refresh();
    return updated === null ? this.get(id) : this.#managed(updated);
  }

  /**
   * Deletes a created route; out of effect when this resolves.
   * @returns what it was
   * @throws SluiceError `route_not_found`; `failed_precondition`: the route stands in the file
   */
  async delete(id: string): Promise<ManagedRoute> {
    this.#refuseFileRoute(id);
    const deleted = await this.#store.deleteRoute(id);
    await this.refresh();
    return deleted === null ? this.get(id) : this.#managed(deleted);
  }

  /** Takes those of a new configuration, at once; listeners aren't told, since whoever calls knows. */
  setFileRoutes({ file, routes, routeTimeouts }: RouteConfig): void {
    this.#file = file;
    this.#timeouts = routeTimeouts;
    this.#fromFile = routes.map((route) => ({ kind: 'file', id: fileRouteId(route), route }));
    this.#compose();
  }

  /** Calls back after `routes()` has changed, through this object or another process. Returns how to stop it. */
  onChange(listener: () => void): () => void {
    const own = (): void => listener();
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  /** Reads the store again. What was stored before the call is in effect when this resolves. */
  refresh(): Promise<void> {
    // One reading waits behind the one that is under way, which may have begun too early for this caller.
    this.#next ??= this.#reading.then(() => {
      this.#next = null;
      return this.#read();
    });
    this.#reading = this.#next.catch(() => {});
    return this.#next;
  }

  /** Stops watching the store, which stays open. */
  close(): void {
    this.#stopWatching();
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#listeners.clear();
  }

  async #read(): Promise<void> {
    const stored = await this.#store.routes();
    if (JSON.stringify(stored) === JSON.stringify(this.#stored)) return;
    this.#stored = stored;
    this.#compose();
    for (const listener of [...this.#listeners]) listener();
  }

  #refreshSoon(): void {
    this.refresh().catch((thrown: unknown) => {
      const why = thrown instanceof Error ? thrown.message : String(thrown);
      this.#warn(`routes created elsewhere can't be read, those known stay in use: ${why}`);
      if (this.#retry !== null) clearTimeout(this.#retry);
      this.#retry = setTimeout(() => this.#refreshSoon(), this.#retryAfterMs).unref();
    });
  }

  #compose(): void {
    const warnings = new Set<string>();
    this.#created = this.#stored.map((stored) => {
      try {
        const route = routeFromStored(stored, this.#timeouts);
        const taken = this.#takenByFile(stored.path, route.methods);
        if (taken !== null) {
          warnings.add(`route ${stored.id}, created through the API: ${taken}, which wins`);
        }
        return { kind: 'created', id: stored.id, stored, route };
      } catch (thrown) {
        if (!(thrown instanceof SluiceError)) throw thrown;
        warnings.add(`route ${stored.id} on ${stored.path} is not in effect: ${thrown.message}`);
        return { kind: 'created', id: stored.id, stored, route: null };
      }
    });
    this.#routes = this.list().flatMap(({ route }) => (route === null ? [] : [route]));
    for (const warning of warnings) if (!this.#warned.has(warning)) this.#warn(warning);
    this.#warned = warnings;
  }

  #managed(stored: StoredRoute): ManagedRoute {
    return { kind: 'created', id: stored.id, stored, route: routeOrNull(stored, this.#timeouts) };
  }

  #refuseTakenByFile(stored: StoredRoute): void {
    const { methods } = routeFromStored(stored, this.#timeouts);
    const taken = this.#takenByFile(stored.path, methods);
    if (taken !== null) throw new SluiceError('already_exists', `${taken}.`, { param: 'path' });
  }

  /** `GET, POST on /a is taken by the configuration file (config.yaml:3)` */
  #takenByFile(path: string, methods: readonly string[]): string | null {
    for (const { route } of this.#fromFile) {
      if (route?.path !== path) continue;
      const both = methods.filter((method) => route.methods.includes(method));
      if (both.length === 0) continue;
      return `${both.join(', ')} on ${path} is taken by the configuration file (${this.#placeOf(route)})`;
    }
    return null;
  }

  #refuseFileRoute(id: string): void {
    const found = this.#fromFile.find((route) => route.id === id)?.route;
    if (!found) return;
    throw new SluiceError(
      'failed_precondition',
      `The route ${found.path} stands in the configuration file: edit it there (${this.#placeOf(found)}).`,
      { param: 'endpoint_id' },
    );
  }

  #placeOf({ line }: PathRoute): string {
    return this.#file === null ? `line ${line}` : `${this.#file}:${line}`;
  }
}

function routeOrNull(stored: StoredRoute, timeouts: Timeouts): PathRoute | null {
  try {
    return routeFromStored(stored, timeouts);
  } catch {
    return null;
  }
}

/** The same for the same path and methods, wherever they stand in the file. */
function fileRouteId({ path, methods }: PathRoute): string {
  const text = JSON.stringify([path, methods.toSorted()]);
  return `file-${createHash('sha256').update(text).digest('hex').slice(0, 16)}`;
}
