import type { StoredConfiguration } from '../store/store.ts';
import type { LoadProgress, LoadStage, Runtime, RuntimeUpstream } from './driver.ts';

/** Whether what was brought up is up, as its driver tells. */
export type Health =
  | { readonly kind: 'up' }
  /** Its driver is starting it again. */
  | { readonly kind: 'down' }
  | { readonly kind: 'dead'; readonly reason: string };

/** One bringing-up of a model: from the driver's start to the end of its runtime. */
export class Attempt {
  readonly configuration: StoredConfiguration;
  /** Aborted when it is not wanted any more: stops the load, and what the driver tells later isn't heard. */
  readonly abort = new AbortController();
  health: Health = { kind: 'up' };
  runtime: Runtime | null = null;
  /** Where it is since its last recovery; null: where it was at first. */
  movedTo: RuntimeUpstream | null = null;
  /** Settles when `Driver.load` and what belongs to it is over; never rejects. */
  ended: Promise<void> = Promise.resolve();
  stage: LoadStage | null = null;
  percent = 0;
  lastLogLine = '';
  #startedAt = 0;
  #tookMs: number | null = null;
  #outcome: PromiseWithResolvers<void> = unheardOutcome();

  constructor(configuration: StoredConfiguration, now: number) {
    this.configuration = configuration;
    this.#startedAt = now;
  }

  /** Of this load, or of the recovery after a crash: resolves when ready, rejects with the reason. */
  get outcome(): Promise<void> {
    return this.#outcome.promise;
  }

  hear({ stage, percent, line }: LoadProgress): void {
    if (stage !== null) this.stage = stage;
    if (percent !== null && Number.isFinite(percent)) {
      this.percent = Math.max(this.percent, Math.min(100, Math.max(0, Math.floor(percent))));
    }
    if (line !== null) this.lastLogLine = line;
  }

  /** Begins anew after it was ready. */
  restart(now: number): void {
    this.#startedAt = now;
    this.#tookMs = null;
    this.#outcome = unheardOutcome();
    this.stage = null;
    this.percent = 0;
  }

  succeed(now: number): void {
    this.#tookMs ??= now - this.#startedAt;
    this.#outcome.resolve();
  }

  fail(now: number, error: unknown): void {
    this.#tookMs ??= now - this.#startedAt;
    this.#outcome.reject(error);
  }

  elapsedMs(now: number): number {
    return this.#tookMs ?? now - this.#startedAt;
  }
}

/** Nobody may be waiting for it: a load that a restart began, or whose caller has left. */
function unheardOutcome(): PromiseWithResolvers<void> {
  const outcome = Promise.withResolvers<void>();
  outcome.promise.catch(() => {});
  return outcome;
}
