import { headerValueProblem } from '../base/config/headers.ts';
import { parseHttpUrl } from '../base/config/http-url.ts';
import { refersToEnvironment } from '../base/config/interpolate.ts';
import { SluiceError } from '../base/errors.ts';
import type { Json } from '../base/json.ts';
import { isForbiddenHost } from '../upstream/address-guard.ts';
import type { ModelKwargs, OwnKwargs } from './driver.ts';
import { parseDuration } from './duration.ts';
import { depthOf, placeOfNonFinite } from './json.ts';
import { REDACTED } from './redaction.ts';
import { SAMPLING_NAMES } from './sampling-names.ts';

const DEFAULTS: OwnKwargs = {
  apiBase: null,
  apiKey: null,
  keepAliveMs: null,
  loadOnRequest: false,
  loadTimeoutMs: 30 * 60_000,
};

/** vLLM has some 300 arguments; what is wrong with more than so many names takes seconds to find out. */
const MAX_NAMES = 512;
const MAX_NAME_LENGTH = 256;
const MAX_URL_LENGTH = 4_096;
/** A level is up to three messages of protobuf, and many of its parsers stop at 100: a list with a deeper one can't be read. */
const MAX_DEPTH = 30;

/** The gateway writes these into each request itself. */
const OF_THE_REQUEST: ReadonlySet<string> = new Set(['model', 'messages', 'prompt', 'stream']);

type Read = (value: Json, fault: (message: string) => void) => Partial<OwnKwargs>;

const OWN: Readonly<Record<string, Read>> = {
  api_base: readApiBase,
  base_url: readApiBase,
  api_key: readApiKey,
  keep_alive: (value, fault) => ({ keepAliveMs: readDuration(value, fault) }),
  load_timeout: (value, fault) => ({ loadTimeoutMs: readDuration(value, fault) ?? DEFAULTS.loadTimeoutMs }),
  load_on_request(value, fault) {
    if (typeof value !== 'boolean') fault('must be true or false');
    return { loadOnRequest: value === true };
  },
};

/**
 * Tells `model_kwargs` apart: defaults of inference, the gateway's own settings, engine arguments (all the rest). A
 * null counts as not given.
 * @throws SluiceError `invalid_request` that lists every fault: `model_kwargs.api_base: not a URL: …`
 */
export function parseModelKwargs(kwargs: Readonly<Record<string, Json>>): ModelKwargs {
  refuseFlood(Object.keys(kwargs));
  const sampling: [string, Json][] = [];
  const engine: [string, Json][] = [];
  let own = DEFAULTS;
  const faults: { readonly param: string; readonly message: string }[] = [];
  for (const [name, value] of Object.entries(kwargs)) {
    const param = `model_kwargs.${name}`;
    const fault = (message: string) => faults.push({ param, message });
    const usual = name.replaceAll('-', '_');
    const read = Object.hasOwn(OWN, usual) ? OWN[usual] : undefined;
    const isKnown = read !== undefined || SAMPLING_NAMES.has(usual);
    const nonFinite = placeOfNonFinite(value, param);
    if (nonFinite !== null)
      faults.push({ param: nonFinite, message: 'must be a finite number: JSON has no other' });
    else if (depthOf(value) > MAX_DEPTH) fault(`is nested more than ${MAX_DEPTH} levels deep`);
    else if (OF_THE_REQUEST.has(usual)) fault('is part of each request; remove it');
    else if (isKnown && usual !== name) fault(`write it ${usual}`);
    else if (value === null) continue;
    else if (read !== undefined) {
      if (usual === 'base_url' && Object.hasOwn(kwargs, 'api_base'))
        fault('is api_base again; keep one of them');
      own = { ...own, ...read(value, fault) };
    } else (isKnown ? sampling : engine).push([name, value]);
  }
  const [first] = faults;
  if (first !== undefined) {
    const told = faults.map(({ param, message }) => `${param}: ${message}`).join('\n');
    throw new SluiceError('invalid_request', told, { param: first.param });
  }
  return Object.freeze({
    sampling: Object.freeze(Object.fromEntries(sampling)),
    own: Object.freeze(own),
    engine: Object.freeze(Object.fromEntries(engine)),
  });
}

function refuseFlood(names: readonly string[]): void {
  const isLong = names.some(({ length }) => length > MAX_NAME_LENGTH);
  if (names.length <= MAX_NAMES && !isLong) return;
  const what = isLong
    ? `a name of more than ${MAX_NAME_LENGTH} characters`
    : `${names.length} names; ${MAX_NAMES} are taken`;
  throw new SluiceError('invalid_request', `model_kwargs: has ${what}`, { param: 'model_kwargs' });
}

function readApiBase(value: Json, fault: (message: string) => void): Partial<OwnKwargs> {
  if (typeof value !== 'string') {
    fault('must be a URL, like "http://127.0.0.1:8000"');
    return {};
  }
  if (value.length > MAX_URL_LENGTH) {
    fault(`is longer than ${MAX_URL_LENGTH} characters`);
    return {};
  }
  const parsed = parseHttpUrl(value, { raw: value, use: 'base', credentials: 'api_key' });
  if (parsed.kind === 'problem') fault(parsed.problem);
  else if (isForbiddenHost(new URL(parsed.url).hostname)) {
    fault('is a link-local, metadata, unspecified or multicast address, where no model is served');
  } else return { apiBase: parsed.url };
  return {};
}

function readApiKey(value: Json, fault: (message: string) => void): Partial<OwnKwargs> {
  if (typeof value !== 'string' || value === '') {
    fault('must be a text that is not empty');
    return {};
  }
  const problem = headerValueProblem(value);
  if (problem !== null) fault(problem);
  else if (value === REDACTED) fault('is the placeholder of a key that was redacted; give the key itself');
  else if (refersToEnvironment(value))
    fault('names a variable, which only the configuration file may do; give the key itself, or leave it out');
  return { apiKey: value };
}

function readDuration(value: Json, fault: (message: string) => void): number | null {
  const milliseconds = parseDuration(value);
  if (milliseconds === null)
    fault('must be a duration like "30s", "5m" or "1h30m", or a number of seconds, above 0');
  return milliseconds;
}
