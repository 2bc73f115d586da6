import type { Logger } from 'pino';
import type { Store, StoredConfiguration } from '../store/store.ts';

export interface ConfigurationListOptions {
  readonly store: Store;
  readonly logger: Logger;
  /** The copy in memory is, or may be, another one. */
  readonly changed: () => void;
}

/**
 * The stored configurations, with a copy in memory: whether a request's model may be woken is asked on the hot path,
 * which waits for no store.
 */
export class ConfigurationList {
  readonly #store: Store;
  readonly #logger: Logger;
  readonly #byModel = new Map<string, StoredConfiguration[]>();
  readonly #byId = new Map<string, StoredConfiguration>();
  /** Kept: a load that has read the configuration before may ask afterwards. */
  readonly #removed = new Set<string>();
  #stopWatching: () => void = () => {};
  readonly #changed: () => void;
  #changes = 0;

  constructor({ store, logger, changed }: ConfigurationListOptions) {
    this.#store = store;
    this.#logger = logger;
    this.#changed = changed;
  }

  /** Reads them, and again whenever another process has changed them. */
  async open(): Promise<void> {
    this.#stopWatching = this.#store.watch(() => {
      this.refresh().catch((error: unknown) => {
        this.#logger.warn({ err: error }, 'the model configurations could not be read again');
      });
    });
    await this.refresh();
  }

  close(): void {
    this.#stopWatching();
  }

  /** Reads all from the store. @returns oldest first */
  async refresh(): Promise<readonly StoredConfiguration[]> {
    const asOf = this.#changes;
    const all = await this.#store.configurations();
    // What was changed here while the store was read may not be in the answer.
    if (asOf === this.#changes) this.#replace(all);
    return all;
  }

  get(configId: string): StoredConfiguration | null {
    return this.#byId.get(configId) ?? null;
  }

  /** Oldest first. */
  ofModel(modelId: string): readonly StoredConfiguration[] {
    return this.#byModel.get(modelId) ?? [];
  }

  /** Of all that have a configuration. */
  modelIds(): readonly string[] {
    return [...this.#byModel.keys()];
  }

  async add(configuration: StoredConfiguration): Promise<void> {
    await this.#store.createConfiguration(configuration);
    this.#changes++;
    if (!this.#byId.has(configuration.configId)) this.#put(configuration);
    this.#changed();
  }

  /** True once `remove` has begun: no load of it may begin. */
  isRemoved(configId: string): boolean {
    return this.#removed.has(configId);
  }

  /**
   * Counts it as gone from now on, does what is to be done `before`, and removes it from the store. Where one of them
   * fails it is there again.
   * @returns false: the store has no such configuration
   */
  async remove(configId: string, before: () => Promise<void>): Promise<boolean> {
    this.#removed.add(configId);
    this.#replace([...this.#byId.values()]);
    try {
      await before();
      return await this.#store.deleteConfiguration(configId);
    } catch (error) {
      this.#removed.delete(configId);
      await this.refresh().catch(() => {});
      throw error;
    } finally {
      this.#changes++;
    }
  }

  #replace(all: readonly StoredConfiguration[]): void {
    this.#byModel.clear();
    this.#byId.clear();
    for (const one of all) if (!this.#removed.has(one.configId)) this.#put(one);
    this.#changed();
  }

  #put(configuration: StoredConfiguration): void {
    this.#byId.set(configuration.configId, configuration);
    const namesakes = this.#byModel.get(configuration.modelId);
    if (namesakes === undefined) this.#byModel.set(configuration.modelId, [configuration]);
    else namesakes.push(configuration);
  }
}
