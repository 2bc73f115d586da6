import type { Driver } from './driver.ts';
import { parseModelKwargs } from './model-kwargs.ts';
import type { ChooseDriver } from './models.ts';

export interface Drivers {
  readonly openai: Driver;
  /** A vLLM server that runs already. */
  readonly vllmAttached: Driver;
  /** One that the gateway starts and supervises. */
  readonly vllmManaged: Driver;
}

/** Which driver a configuration has, by its `model_type`; for `ModelsOptions.drivers`. */
export function driversByType({
  openai,
  vllmAttached,
  vllmManaged,
}: Drivers): Readonly<Record<string, ChooseDriver>> {
  return {
    openai: () => openai,
    vllm: ({ modelKwargs }) =>
      parseModelKwargs(modelKwargs).own.apiBase === null ? vllmManaged : vllmAttached,
  };
}
