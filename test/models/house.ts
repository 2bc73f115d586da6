import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import type { Json } from '../../src/base/json.ts';
import { Models } from '../../src/models/models.ts';
import type { Activity } from '../../src/upstream/pick.ts';
import { FakeClock } from './fake-clock.ts';
import { FakeDriver } from './fake-driver.ts';
import { type FragileStore, openFragileStore } from './fragile-store.ts';

/** Models over a fake driver, a fake clock and a store in memory. */
export interface House {
  readonly models: Models;
  readonly driver: FakeDriver;
  readonly clock: FakeClock;
  readonly store: FragileStore;
  /** What the data plane did, by model id. */
  readonly activity: Map<string, Activity>;
  readonly lines: readonly string[];
  /** How often the deployments changed. */
  readonly changes: () => number;
  configure(modelId: string, modelKwargs?: Readonly<Record<string, Json>>): Promise<string>;
}

export const DRAIN_TIMEOUT_MS = 10_000;

export async function openHouse(given: FragileStore | null = null): Promise<House> {
  const store = given ?? (await openFragileStore());
  const clock = new FakeClock();
  const driver = new FakeDriver();
  const lines: string[] = [];
  const activity = new Map<string, Activity>();
  const models = new Models({
    store,
    clock,
    drivers: { openai: () => driver, vllm: () => driver },
    logger: pino({ base: null }, { write: (line: string) => void lines.push(line) }),
    activity: ({ modelName }) => activity.get(modelName) ?? { outstanding: 0, served: 0 },
    drainTimeoutMs: () => DRAIN_TIMEOUT_MS,
  });
  let changes = 0;
  models.onChange(() => changes++);
  onTestFinished(() => models.close());
  await models.restore();
  return {
    models,
    driver,
    clock,
    store,
    activity,
    lines,
    changes: () => changes,
    configure: (modelId, modelKwargs = {}) =>
      models.configure({ modelId, modelName: `org/${modelId}`, modelType: 'vllm', modelKwargs }),
  };
}
