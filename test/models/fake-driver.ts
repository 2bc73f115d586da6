import { SluiceError } from '../../src/base/errors.ts';
import type { Driver, Runtime, RuntimeEvents, RuntimeUpstream } from '../../src/models/driver.ts';
import type { StoredConfiguration } from '../../src/store/store.ts';
import { Watch } from '../helpers/watch.ts';

/** One load that the driver was asked for; the test decides what becomes of it. */
export class FakeLoad {
  readonly configuration: StoredConfiguration;
  readonly events: RuntimeEvents;
  readonly signal: AbortSignal;
  stops = 0;
  readonly #loaded = Promise.withResolvers<Runtime>();
  #stopped: () => void = () => {};
  #mayStop: Promise<void> = Promise.resolve();

  constructor(configuration: StoredConfiguration, events: RuntimeEvents, signal: AbortSignal) {
    this.configuration = configuration;
    this.events = events;
    this.signal = signal;
    signal.addEventListener('abort', () => this.#loaded.reject(new Error('aborted')));
  }

  get loaded(): Promise<Runtime> {
    return this.#loaded.promise;
  }

  succeed(port = 8000): void {
    const upstream = upstreamAt(port, this.configuration);
    const stop = async () => {
      this.stops++;
      await this.#mayStop;
    };
    this.#loaded.resolve({ upstream, stop });
  }

  fail(reason: string): void {
    this.#loaded.reject(new SluiceError('load_failed', reason));
  }

  failWith(error: Error): void {
    this.#loaded.reject(error);
  }

  recover(port: number): void {
    this.events.recovered(upstreamAt(port, this.configuration));
  }

  /** The runtime takes its time to stop, until `finishStop`. */
  stopSlowly(): void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#mayStop = promise;
    this.#stopped = resolve;
  }

  finishStop(): void {
    this.#stopped();
  }
}

export class FakeDriver implements Driver {
  readonly loads: FakeLoad[] = [];
  readonly #watch = new Watch();
  #asked = 0;

  check(configuration: StoredConfiguration): void {
    if (configuration.modelKwargs.unusable === true)
      throw new SluiceError('invalid_request', 'model_kwargs.unusable: remove it');
  }

  load(configuration: StoredConfiguration, events: RuntimeEvents, signal: AbortSignal): Promise<Runtime> {
    const load = new FakeLoad(configuration, events, signal);
    this.loads.push(load);
    this.#watch.changed();
    return load.loaded;
  }

  /** The next load that no earlier call has returned. */
  async next(): Promise<FakeLoad> {
    const index = this.#asked++;
    await this.#watch.until(() => index < this.loads.length);
    return this.loads[index] as FakeLoad;
  }
}

function upstreamAt(port: number, configuration: StoredConfiguration): RuntimeUpstream {
  return {
    provider: 'vllm',
    apiBase: `http://127.0.0.1:${port}`,
    apiKey: null,
    upstreamModel: configuration.modelName,
  };
}
