import { createHash, randomUUID } from 'node:crypto';
import { ApiError, modelNotFound } from '../errors.ts';
import { Gone } from '../http/reply.ts';
import type { Settings } from '../settings.ts';
import { Gate } from './gate.ts';
import { Counters, type EngineLoad } from './metrics.ts';
import { Run } from './run.ts';

/** What a sleeping engine has put away; awake when both are back. */
type SleepPart = 'weights' | 'kv_cache';

/** 2025-01-01T00:00:00Z, where a frozen clock stands. */
const FROZEN_MS = 1_735_689_600_000;

/** The state of the simulated server behind its endpoints. */
export class Engine {
  readonly settings: Settings;
  health: 'loading' | 'ready' | 'dead';
  readonly counters: Counters;
  /** LoRA adapters by name. */
  readonly adapters = new Map<string, { readonly path: string }>();
  /** Load as a test pretends it to be; what is left out is measured. */
  pretendedLoad: Partial<EngineLoad> = {};
  /** Shut by /pause and by sleep level 0. */
  readonly gate = new Gate();
  readonly #asleep = new Set<SleepPart>();
  readonly #runs = new Set<Run>();
  /** Open while nothing runs. */
  readonly #drained = new Gate();
  readonly #waiting = new Set<() => void>();

  constructor(settings: Settings) {
    this.settings = settings;
    this.counters = new Counters(settings.frozen);
    this.health = settings.loading === null ? 'ready' : 'loading';
  }

  get nowMs(): number {
    return this.settings.frozen ? FROZEN_MS : Date.now();
  }

  /** Unix seconds: the `created` of every answer. */
  get nowSeconds(): number {
    return Math.floor(this.nowMs / 1000);
  }

  /** 32 hex digits: random, or the same for the same `seed` when frozen. */
  id(seed: string): string {
    if (!this.settings.frozen) return randomUUID().replaceAll('-', '');
    return createHash('sha256').update(seed).digest('hex').slice(0, 32);
  }

  /**
   * The name that the answer carries for the model that a request asked for.
   *
   * @throws ApiError 404 for one that is not served.
   */
  modelFor(requested: unknown): string {
    const first = this.settings.models[0] ?? '';
    if (requested === undefined || requested === null || requested === '') return first;
    const name = String(requested);
    if (this.settings.models.includes(name) || this.adapters.has(name)) return name;
    throw modelNotFound(name);
  }

  /** @throws ApiError when nothing can be inferred: loading, dead or asleep. */
  assertServing(): void {
    if (this.health === 'loading')
      throw new ApiError(503, 'ServiceUnavailableError', 'The engine is still loading the model.');
    if (this.health === 'dead')
      throw new ApiError(
        500,
        'InternalServerError',
        'EngineCore encountered an issue. See stack trace (above) for the root cause.',
      );
    if (this.#asleep.size > 0)
      throw new ApiError(503, 'ServiceUnavailableError', 'The engine is sleeping; POST /wake_up first.');
  }

  get load(): EngineLoad {
    const running = this.settings.frozen ? 0 : this.#runs.size;
    const waiting = this.settings.frozen ? 0 : this.#waiting.size;
    const measured = { running, waiting, kvCacheUsage: Math.min(1, running / 100) };
    return { ...measured, ...this.pretendedLoad };
  }

  /**
   * Does `work` as one of the running requests, of which there are `maxRunning` at a time; later ones wait.
   *
   * @throws Gone when the client left while it waited.
   */
  async run<T>(id: string, gone: AbortSignal, work: (run: Run) => Promise<T>): Promise<T> {
    while (this.#runs.size >= this.settings.maxRunning && !gone.aborted) await this.#turn(gone);
    if (gone.aborted) throw new Gone();
    const run = new Run(id, this.gate, gone);
    this.#runs.add(run);
    this.#drained.shut();
    try {
      return await work(run);
    } finally {
      this.#runs.delete(run);
      if (this.#runs.size === 0) this.#drained.open();
      const [next] = this.#waiting;
      next?.();
    }
  }

  #turn(gone: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const go = () => {
        this.#waiting.delete(go);
        resolve();
      };
      this.#waiting.add(go);
      gone.addEventListener('abort', go, { once: true });
    });
  }

  /** Aborts those of `ids` (with or without the endpoint's prefix) that run, or all; returns how many. */
  abort(ids: readonly string[] | null): number {
    const hit = [...this.#runs].filter((run) => ids === null || ids.some((id) => run.id.endsWith(id)));
    for (const run of hit) run.abort();
    return hit.length;
  }

  /** Resolves when nothing runs. */
  drained(): Promise<void> {
    return this.#drained.pass(new AbortController().signal);
  }

  get sleeping(): boolean {
    return this.#asleep.size > 0 || !this.gate.isOpen;
  }

  /** Level 0 only stops scheduling, 1 puts the weights aside, 2 discards them. */
  sleep(level: number): void {
    if (level === 0) {
      this.gate.shut();
      return;
    }
    this.abort(null);
    this.#asleep.add('weights').add('kv_cache');
  }

  /** @param tags what to bring back; empty: everything. */
  wakeUp(tags: readonly string[]): void {
    if (tags.length === 0 || tags.includes('weights')) this.#asleep.delete('weights');
    if (tags.length === 0 || tags.includes('kv_cache')) this.#asleep.delete('kv_cache');
    if (this.#asleep.size === 0) this.gate.open();
  }
}
