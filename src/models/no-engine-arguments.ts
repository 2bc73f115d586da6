import { nearest } from '../base/config/nearest.ts';
import { SluiceError } from '../base/errors.ts';
import { SAMPLING_NAMES } from './sampling-names.ts';

/** @throws SluiceError `invalid_request` naming each, with what was perhaps meant */
export function refuseEngineArguments(names: readonly string[], why: string): void {
  const [first] = names;
  if (first === undefined) return;
  const known = [...SAMPLING_NAMES, 'api_base', 'api_key', 'keep_alive', 'load_on_request', 'load_timeout'];
  const faults = names.map((name) => {
    const near = nearest(name, known);
    return `model_kwargs.${name}: is not known, and ${why}; ${near === null ? 'remove it' : `did you mean ${near}?`}`;
  });
  throw new SluiceError('invalid_request', faults.join('\n'), { param: `model_kwargs.${first}` });
}
