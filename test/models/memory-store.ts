import { SluiceError } from '../../src/base/errors.ts';
import type { Store, StoredConfiguration } from '../../src/store/store.ts';

/** The half of the store that models use, in memory; it can be made to fail, and outlives a restart. */
export class MemoryStore implements Store {
  readonly #configurations = new Map<string, StoredConfiguration>();
  readonly #loaded = new Map<string, string>();
  readonly #watchers = new Set<() => void>();
  isDown = false;

  async createConfiguration(configuration: StoredConfiguration): Promise<void> {
    this.#assertUp();
    this.#configurations.set(configuration.configId, configuration);
  }

  async configuration(configId: string): Promise<StoredConfiguration | null> {
    this.#assertUp();
    return this.#configurations.get(configId) ?? null;
  }

  async configurations(): Promise<readonly StoredConfiguration[]> {
    this.#assertUp();
    return [...this.#configurations.values()];
  }

  async deleteConfiguration(configId: string): Promise<boolean> {
    this.#assertUp();
    return this.#configurations.delete(configId);
  }

  async setLoaded(modelId: string, configId: string | null): Promise<void> {
    this.#assertUp();
    if (configId === null) this.#loaded.delete(modelId);
    else this.#loaded.set(modelId, configId);
  }

  async loaded(): Promise<ReadonlyMap<string, string>> {
    this.#assertUp();
    return new Map(this.#loaded);
  }

  createRoute = unused;
  routes = unused;
  updateRoute = unused;
  deleteRoute = unused;

  watch(onChange: () => void): () => void {
    this.#watchers.add(onChange);
    return () => this.#watchers.delete(onChange);
  }

  /** As when another process has changed something. */
  tellOfChange(): void {
    for (const watcher of this.#watchers) watcher();
  }

  async check(): Promise<boolean> {
    return !this.isDown;
  }

  async close(): Promise<void> {}

  #assertUp(): void {
    if (this.isDown) throw new SluiceError('store_unavailable', 'The store is away.');
  }
}

function unused(): never {
  throw new Error('models have no business with routes');
}
