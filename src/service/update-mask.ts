import { nearest } from '../base/config/nearest.ts';
import { SluiceError } from '../base/errors.ts';

/** A field that an update may change. */
export interface MaskedField<Request> {
  /** Whether the request has a value for it. */
  isGiven(request: Request): boolean;
}

/**
 * The fields that an update is about: those of `update_mask`, `*` for all of them, else those that are given
 * (https://google.aip.dev/134). Fields beside the mask are left alone.
 * @throws SluiceError `invalid_request` naming a path of the mask that is no field
 */
export function fieldsToChange<Request, Field extends MaskedField<Request>>(
  request: Request & { readonly updateMask?: { readonly paths: readonly string[] } | undefined },
  fields: ReadonlyMap<string, Field>,
): readonly Field[] {
  const paths = request.updateMask?.paths ?? [];
  if (paths.length === 0) return [...fields.values()].filter((field) => field.isGiven(request));
  if (paths.length === 1 && paths[0] === '*') return [...fields.values()];
  return [...new Set(paths)].map((path) => {
    const field = fields.get(path);
    if (field !== undefined) return field;
    const near = nearest(path, fields.keys());
    const remedy = near === null ? `known are ${[...fields.keys()].join(', ')}` : `did you mean ${near}?`;
    throw maskError(`${JSON.stringify(path)} is no field that can be changed; ${remedy}`);
  });
}

/** A refusal of an update's mask. */
export function maskError(message: string): SluiceError {
  return new SluiceError('invalid_request', `update_mask: ${message}`, { param: 'update_mask' });
}
