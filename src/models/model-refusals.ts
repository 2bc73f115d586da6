import { SluiceError } from '../base/errors.ts';

export function unknownConfiguration(configId: string): SluiceError {
  return new SluiceError('config_not_found', `There is no configuration ${JSON.stringify(configId)}.`, {
    param: 'config_id',
  });
}

export function shuttingDown(): SluiceError {
  return new SluiceError('shutting_down', 'The gateway is shutting down.');
}

/** It is being started, and whoever asks doesn't wait for it. */
export function notReady(modelId: string): SluiceError {
  return new SluiceError(
    'model_not_ready',
    `The model ${JSON.stringify(modelId)} is being started and does not answer yet.`,
    { param: 'model' },
  );
}

/** Its load failed; why is for the administrator, in `cause`. */
export function notUp(modelId: string, cause: unknown): SluiceError {
  if (cause instanceof SluiceError && cause.reason === 'shutting_down') return cause;
  return new SluiceError('load_failed', `The model ${JSON.stringify(modelId)} could not be loaded.`, {
    cause,
  });
}
