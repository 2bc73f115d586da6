import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import type { Json } from '../../../src/base/json.ts';
import { type Clock, SYSTEM_CLOCK } from '../../../src/models/clock.ts';
import type { LoadProgress, Runtime, RuntimeEvents, RuntimeUpstream } from '../../../src/models/driver.ts';
import { createVllmManagedDriver, type VllmManagedOptions } from '../../../src/models/vllm-managed-driver.ts';
import type { StoredConfiguration } from '../../../src/store/store.ts';
import { temporaryFolder } from '../../helpers/program.ts';
import { Watch } from '../../helpers/watch.ts';
import { pidsIn } from '../processes.ts';

const SIM = fileURLToPath(new URL('../../vllm-sim/main.ts', import.meta.url));

/** The simulator in vLLM's place; flags for it can be given as model_kwargs, `sim_workers: 2`. */
export const SIM_COMMAND: readonly string[] = [process.execPath, SIM];

/** A program called `vllm` that runs a script of its own: its file. */
export function scriptedVllm(script: string): string {
  const file = join(temporaryFolder(), 'vllm');
  rewrite(file, script);
  return file;
}

export function rewrite(file: string, script: string): void {
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
}

export function configurationOf(
  modelKwargs: Readonly<Record<string, Json>> = {},
  modelName = 'org/model',
): StoredConfiguration {
  return { configId: 'c-1', modelId: 'my-model', modelName, modelType: 'vllm', modelKwargs };
}

type Told =
  | { readonly kind: 'progress'; readonly progress: LoadProgress }
  | { readonly kind: 'lost'; readonly reason: string }
  | { readonly kind: 'recovered'; readonly upstream: RuntimeUpstream }
  | { readonly kind: 'failed'; readonly reason: string };

/** A driver whose times are short, and all that its runtimes and its log tell. */
export function managed(options: Partial<VllmManagedOptions> = {}) {
  const watch = new Watch();
  const told: Told[] = [];
  const logged: Record<string, unknown>[] = [];
  const tell = (event: Told) => {
    told.push(event);
    watch.changed();
  };
  const events: RuntimeEvents = {
    progress: (progress) => tell({ kind: 'progress', progress }),
    lost: (reason) => tell({ kind: 'lost', reason }),
    recovered: (upstream) => tell({ kind: 'recovered', upstream }),
    failed: (reason) => tell({ kind: 'failed', reason }),
  };
  const logger = pino(
    { level: 'debug' },
    {
      write(line: string) {
        logged.push(JSON.parse(line) as Record<string, unknown>);
        watch.changed();
      },
    },
  );
  const driver = createVllmManagedDriver({
    command: SIM_COMMAND,
    environment: { PATH: process.env.PATH ?? '' },
    logger,
    graceMs: 5_000,
    pollIntervalMs: 10,
    restarts: { firstDelayMs: 10, maxDelayMs: 40, maxRestarts: 3, stableMs: 60_000 },
    ...options,
  });
  const lines = () => logged.flatMap(({ line }) => (typeof line === 'string' ? [line] : []));
  return {
    driver,
    told,
    logged,
    lines,
    /** Of the processes that have told theirs so far. */
    pids: () => pidsIn(lines()),
    progress: () => told.flatMap((event) => (event.kind === 'progress' ? [event.progress] : [])),
    until: (passes: () => boolean) => watch.until(passes),
    untilLogged: (text: string) => watch.until(() => lines().some((line) => line.includes(text))),
    async heard<Kind extends Told['kind']>(kind: Kind): Promise<Extract<Told, { kind: Kind }>> {
      const find = () => told.find((event) => event.kind === kind);
      await watch.until(() => find() !== undefined);
      return find() as Extract<Told, { kind: Kind }>;
    },
    async load(
      kwargs: Readonly<Record<string, Json>> = {},
      signal = new AbortController().signal,
    ): Promise<Runtime> {
      const runtime = await driver.load(configurationOf(kwargs), events, signal);
      onTestFinished(() => runtime.stop());
      return runtime;
    },
  };
}

/** Real time, but for waits of exactly so long: those are over when the test says so. */
export function heldClock(heldMs: number): Clock & { fire(): void } {
  const held = new Set<() => void>();
  return {
    now: SYSTEM_CLOCK.now,
    after(delayMs, callback) {
      if (delayMs !== heldMs) return SYSTEM_CLOCK.after(delayMs, callback);
      held.add(callback);
      return () => held.delete(callback);
    },
    fire() {
      for (const callback of [...held]) callback();
    },
  };
}

/** Why a load failed. */
export async function failureOf(load: Promise<unknown>): Promise<string> {
  try {
    await load;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  throw new Error('it did not fail');
}
