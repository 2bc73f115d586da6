import { onTestFinished } from 'vitest';
import type { ProviderTarget } from '../../src/base/config/config.ts';
import { SluiceError } from '../../src/base/errors.ts';
import type { Json } from '../../src/base/json.ts';
import type { Driver, LoadProgress, Runtime } from '../../src/models/driver.ts';
import type { StoredConfiguration } from '../../src/store/store.ts';
import type { UpstreamClient } from '../../src/upstream/client.ts';
import { Http1Client } from '../../src/upstream/http1/http1-client.ts';

/** A client of its own for one test. */
export function openClient(): UpstreamClient {
  const client = new Http1Client({});
  onTestFinished(() => client.close());
  return client;
}

export function configurationOf(
  modelType: string,
  modelName: string,
  modelKwargs: Readonly<Record<string, Json>>,
): StoredConfiguration {
  return { configId: 'c1', modelId: 'm1', modelName, modelType, modelKwargs };
}

export function targetOf(provider: string, apiBase: string, apiKey: string | null): ProviderTarget {
  const timeouts = { connectTimeoutMs: 5_000, firstByteTimeoutMs: 5_000, idleTimeoutMs: 5_000 };
  return { provider, apiBase, apiKey, configured: true, timeouts };
}

export interface LoadUnderWay {
  readonly outcome: Promise<Runtime>;
  /** The refusal's reason and message; `none` when it came up. */
  readonly refusal: Promise<string>;
  readonly abort: (reason: unknown) => void;
  readonly progress: readonly LoadProgress[];
}

export function startLoad(driver: Driver, configuration: StoredConfiguration): LoadUnderWay {
  const abort = new AbortController();
  const progress: LoadProgress[] = [];
  const unexpected = () => {
    throw new Error('nothing of the kind happens here');
  };
  const outcome = driver.load(
    configuration,
    {
      progress: (one) => void progress.push(one),
      lost: unexpected,
      recovered: unexpected,
      failed: unexpected,
    },
    abort.signal,
  );
  const refusal = outcome.then(
    () => 'none',
    (error: unknown) => {
      if (error instanceof SluiceError) return `${error.reason}: ${error.message}`;
      throw error;
    },
  );
  refusal.catch(() => {});
  return { outcome, refusal, abort: (reason) => abort.abort(reason), progress };
}
