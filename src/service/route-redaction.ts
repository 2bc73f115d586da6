import { KEY_HEADER_SETTINGS } from '../base/config/headers.ts';
import { SluiceError } from '../base/errors.ts';

/*
 * Credentials of routes as they may be read, `Bearer ****1234`, and back: what comes in as it was read stands for what
 * is stored.
 */

/** Names of headers and query parameters whose values are credentials; rather one too many than one too few. */
const SECRET_NAME = /auth|cookie|credential|jwt|key|passw|secret|session|signature|token/i;

/** Credentials give themselves away under other names as well. */
const SECRET_VALUE = /^(?:bearer|basic|token)\s+\S|^(?:sk|pk|rk|ghp|hf|xox[abp])[-_]\S{8}/i;

const SCHEME = /^([a-z][a-z\d-]{0,15})[ \t]+(?=\S)/i;

const HIDDEN = '****';

/** What `hidden` may have made of something. */
const REDACTED = /^(?:[a-z][a-z\d-]{0,15} )?\*{4}.{0,4}$/i;

/** Fewer characters of a secret would tell too much of it. */
const MIN_LENGTH_FOR_TAIL = 16;
const TAIL_LENGTH = 4;

type Named = Readonly<Record<string, string>>;
type Redact = (name: string, value: string) => string;

export function redactedHeaders(headers: Named): Record<string, string> {
  return redacted(headers, redactedHeader);
}

export function redactedQueryParams(parameters: Named): Record<string, string> {
  return redacted(parameters, redactedParameter);
}

/** A target's own query may hold a key. */
export function redactedTarget(target: string): string {
  const query = target.indexOf('?');
  if (query === -1) return target;
  const pairs = target.slice(query + 1).split('&');
  const shown = pairs.map((pair) => {
    const [, name = '', value = ''] = /^([^=]*)=(.*)$/s.exec(pair) ?? [];
    return value === '' ? pair : `${name}=${redactedParameter(name, value)}`;
  });
  return `${target.slice(0, query)}?${shown.join('&')}`;
}

/**
 * Headers as they are to be stored: values that were read, redacted, become those of `stored` again.
 * @throws SluiceError `invalid_request` for a redacted value that is of no stored header
 */
export function headersToStore(given: Named, stored: Named): Record<string, string> {
  const byName = new Map(
    Object.entries(stored).map(([name, value]) => [name.toLowerCase(), { name, value }]),
  );
  return restored(given, 'headers', (name, value) => {
    const known = byName.get(name.toLowerCase());
    return known !== undefined && redactedHeader(known.name, known.value) === value ? known.value : null;
  });
}

/** The same for query parameters, whose names have case. */
export function queryParamsToStore(given: Named, stored: Named): Record<string, string> {
  return restored(given, 'default_query_params', (name, value) => {
    const known = Object.hasOwn(stored, name) ? stored[name] : undefined;
    return known !== undefined && redactedParameter(name, known) === value ? known : null;
  });
}

/** The same for a target. */
export function targetToStore(given: string, stored: string | null): string {
  if (stored !== null && given === redactedTarget(stored)) return stored;
  if (/[?&][^=&]*=\*{4}[^&]{0,4}(?:&|$)/.test(given)) throw unknownRedaction('target');
  return given;
}

function redactedHeader(name: string, value: string): string {
  // It names a header; that is no secret.
  if (KEY_HEADER_SETTINGS.has(name.toLowerCase())) return value;
  return SECRET_NAME.test(name) || SECRET_VALUE.test(value) ? hidden(name, value) : value;
}

function redactedParameter(name: string, value: string): string {
  return SECRET_NAME.test(name) || SECRET_VALUE.test(value) ? hidden(name, value) : value;
}

/** Scheme and last characters stay, so that one can tell which credential it is. */
function hidden(name: string, value: string): string {
  if (value === '') return value;
  const scheme = SCHEME.exec(value)?.[1] ?? null;
  const secret = scheme === null ? value : value.slice(scheme.length).trimStart();
  // The end of basic authorization is the end of a password, and a cookie may end in anything.
  const telling = scheme?.toLowerCase() === 'basic' || /cookie|passw/i.test(name);
  const tail = telling || secret.length < MIN_LENGTH_FOR_TAIL ? '' : secret.slice(-TAIL_LENGTH);
  return `${scheme === null ? '' : `${scheme} `}${HIDDEN}${tail}`;
}

function redacted(values: Named, redact: Redact): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, redact(name, value)]));
}

function restored(
  given: Named,
  field: string,
  storedFor: (name: string, value: string) => string | null,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(given).map(([name, value]) => {
      const stored = storedFor(name, value);
      if (stored === null && REDACTED.test(value)) throw unknownRedaction(`${field}.${name}`);
      return [name, stored ?? value];
    }),
  );
}

function unknownRedaction(param: string): SluiceError {
  return new SluiceError(
    'invalid_request',
    `${param}: is redacted, and not what is stored under this name; give the whole value`,
    { param },
  );
}
