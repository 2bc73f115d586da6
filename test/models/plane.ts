import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import type { Door } from '../../src/access/admit.ts';
import { parseConfig } from '../../src/base/config/parse.ts';
import { SluiceError } from '../../src/base/errors.ts';
import { Inference } from '../../src/models/inference.ts';
import { type ChooseDriver, Models } from '../../src/models/models.ts';
import type { RelayContext } from '../../src/relay/enter.ts';
import { contextFrom } from '../../src/server/context.ts';
import { type Activity, ReplicaTable } from '../../src/upstream/pick.ts';
import { PROVIDERS } from '../../src/upstream/providers.ts';
import { openClient } from './driver-house.ts';
import { FakeClock } from './fake-clock.ts';
import { FakeDriver } from './fake-driver.ts';
import { openFragileStore } from './fragile-store.ts';

/** Models, a data plane that follows them, and inference over both; upstreams are real sockets. */
export interface Plane {
  readonly models: Models;
  readonly inference: Inference;
  /** Open: nobody has limits. */
  readonly door: () => Door;
  readonly driver: FakeDriver;
  readonly clock: FakeClock;
  /** Of a loaded model; the last one that was loaded under the id. */
  activity(modelId: string): Activity;
}

export interface PlaneOptions {
  readonly yaml?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Default: a fake one for every type. */
  readonly drivers?: Readonly<Record<string, ChooseDriver>>;
}

export async function openPlane(options: PlaneOptions = {}): Promise<Plane> {
  const { yaml = '{}', env = {} } = options;
  const config = parseConfig(yaml, { file: 'config.yaml', env, providers: PROVIDERS, baseDir: '.' });
  const driver = new FakeDriver();
  const clock = new FakeClock();
  const replicas = new ReplicaTable();
  const models = new Models({
    store: await openFragileStore(),
    clock,
    drivers: options.drivers ?? { openai: () => driver, vllm: () => driver },
    logger: pino({ level: 'silent' }),
    activity: (deployment) => replicas.activity(deployment),
    drainTimeoutMs: () => 10_000,
  });
  onTestFinished(() => models.close());
  const client = openClient();
  const wake = async (modelId: string): Promise<RelayContext> => {
    const awake = models.wake(modelId);
    if (awake === null) throw new SluiceError('model_not_found', 'not a sleeper');
    await awake;
    return context;
  };
  const build = () =>
    contextFrom(
      config,
      { deployments: models.deployments(), asleep: models.asleep(), routes: config.routes },
      { client, log: () => {}, detail: null, wake, replicas },
    );
  let context = build();
  const seen = new Map<string, () => Activity>();
  models.onChange(() => {
    context = build();
    for (const one of models.deployments()) seen.set(one.modelName, () => replicas.activity(one));
  });
  await models.restore();
  return {
    models,
    driver,
    clock,
    inference: new Inference({ models, relay: () => context }),
    door: () => context.door,
    activity: (modelId) => seen.get(modelId)?.() ?? { outstanding: 0, served: 0 },
  };
}
