import type { Admission } from '../access/admit.ts';
import { SluiceError } from '../base/errors.ts';
import type { Destination } from '../upstream/destination.ts';
import { createModelScanner, mayNameModel } from './create-model-scanner.ts';
import type { ModelScanner } from './model-scanner.ts';
import { headerValue } from './raw-headers.ts';

export interface BodyModelOptions {
  readonly destination: Destination;
  readonly admission: Admission;
  /** The client's raw name-value pairs. */
  readonly headers: readonly string[];
}

/** Whether the models are limited that the caller may use, so that none may go unseen. */
export function isHeldToModels({ caller }: Admission): boolean {
  return caller.kind === 'key' && caller.key.models.length > 0;
}

/**
 * What a request's body is searched by for its model; null: it passes as it is. A model decides where the request goes on all paths but an operator's routes; for a
 * key that is held to some models it decides there, too, whether it goes.
 * @throws SluiceError `unsupported_encoding`, `model_not_allowed`: the model could be hidden
 */
export function bodyScanner({ destination, admission, headers }: BodyModelOptions): ModelScanner | null {
  const isHeld = isHeldToModels(admission);
  if (destination.kind === 'route' && !isHeld) return null;
  const contentType = headerValue(headers, 'content-type');
  const scanner = createModelScanner(contentType);
  if (isHeld && scanner === null) {
    throw new SluiceError(
      'model_not_allowed',
      `The key may use some models alone, and which one this body names can't be told (content-type: ${contentType}): send JSON or a form.`,
      { param: 'content-type' },
    );
  }
  if (isHeld || (scanner !== null && mayNameModel(contentType))) refuseCompressed(headers);
  return scanner;
}

/** A body that is compressed can't be searched for its model. */
function refuseCompressed(headers: readonly string[]): void {
  const encoding = headerValue(headers, 'content-encoding');
  if (encoding === null || encoding.trim().toLowerCase() === 'identity') return;
  throw new SluiceError(
    'unsupported_encoding',
    `The body is compressed (content-encoding: ${encoding}); where its model matters send it as it is.`,
    { param: 'content-encoding' },
  );
}
