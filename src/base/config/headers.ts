import { refersToEnvironment } from './interpolate.ts';
import type { Path } from './report.ts';
import { quote, type Reading, valueAt } from './section.ts';

/** RFC 9110 §5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** RFC 9110 §5.5: visible ASCII, obs-text, space and tab. */
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Headers that belong to one connection or to the message's framing: each hop writes its own (RFC 9110 §7.6.1). */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Lower case. Not headers of the target: their value names the header in which clients send their key. */
export const KEY_HEADER_SETTINGS: ReadonlySet<string> = new Set([
  'litellm_user_api_key',
  'dheera_ai_user_api_key',
  'remodl_user_api_key',
  'user_api_key',
]);

export interface ConfiguredHeaders {
  /** Raw name-value pairs in the file's order. */
  readonly pairs: readonly string[];
  /** Lower case; from `litellm_user_api_key` and its synonyms. */
  readonly keyHeader: string | null;
}

export function isHeaderName(name: string): boolean {
  return TOKEN.test(name);
}

/** Why `value` can't be sent as a header's value, or null. Never shows the value. */
export function headerValueProblem(value: string): string | null {
  if (/[\r\n]/.test(value)) {
    return 'has a line break, which no header can carry (a variable read from a file may end in one)';
  }
  return FIELD_VALUE.test(value) ? null : 'has a character that no header can carry';
}

/**
 * Checks configured headers. `LANGFUSE_PUBLIC_KEY` and `LANGFUSE_SECRET_KEY` become the basic authorization that
 * Langfuse wants.
 */
export function readHeaders(
  values: Readonly<Record<string, string>>,
  path: Path,
  reading: Reading,
): ConfiguredHeaders {
  const { report } = reading;
  const pairs: string[] = [];
  const names = new Map<string, string>();
  let keyHeader: string | null = null;
  for (const [name, untrimmed] of Object.entries(values)) {
    const at = [...path, name];
    const lower = name.toLowerCase();
    const value = withoutPadding(untrimmed);
    if (KEY_HEADER_SETTINGS.has(lower)) {
      if (keyHeader !== null)
        report.faultAtKey(at, "names the header of the clients' keys a second time; keep one");
      else if (!isHeaderName(value))
        report.fault(at, `must be a header's name, not ${shown(value, at, reading)}`);
      else keyHeader = value.toLowerCase();
      continue;
    }
    const earlier = names.get(lower);
    if (earlier !== undefined) {
      report.faultAtKey(at, `is the same header as ${quote(earlier)} above`);
      continue;
    }
    names.set(lower, name);
    const problem = headerValueProblem(value);
    if (!isHeaderName(name)) report.faultAtKey(at, `${quote(name)} can't be a header's name`);
    else if (OWN_HEADERS.has(lower))
      report.faultAtKey(at, `${name} is set by Sluice for each request; remove it`);
    else if (problem !== null) report.fault(at, problem);
    else pairs.push(name, value);
  }
  return { pairs: foldLangfuse(pairs, path, reading), keyHeader };
}

/** Without spaces and tabs around it. Not by a pattern: one that looks for the end of a value tries each space in it. */
function withoutPadding(value: string): string {
  let start = 0;
  let end = value.length;
  while (start < end && isPadding(value.charCodeAt(start))) start++;
  while (end > start && isPadding(value.charCodeAt(end - 1))) end--;
  return value.slice(start, end);
}

function isPadding(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

function shown(value: string, path: Path, reading: Reading): string {
  const raw = valueAt(reading.tree.root, path);
  return quote(typeof raw === 'string' && refersToEnvironment(raw) ? raw : value);
}

function foldLangfuse(pairs: readonly string[], path: Path, reading: Reading): readonly string[] {
  const rest: string[] = [];
  let publicKey: string | null = null;
  let secretKey: string | null = null;
  let authorized = false;
  for (let index = 0; index < pairs.length; index += 2) {
    const name = pairs[index] ?? '';
    const value = pairs[index + 1] ?? '';
    const upper = name.toUpperCase();
    if (upper === 'LANGFUSE_PUBLIC_KEY') publicKey = value;
    else if (upper === 'LANGFUSE_SECRET_KEY') secretKey = value;
    else rest.push(name, value);
    authorized ||= upper === 'AUTHORIZATION';
  }
  if (publicKey === null && secretKey === null) return pairs;
  if (publicKey === null || secretKey === null) {
    const missing = publicKey === null ? 'LANGFUSE_PUBLIC_KEY' : 'LANGFUSE_SECRET_KEY';
    reading.report.fault(path, `has no ${missing}: Langfuse wants both of its keys`);
  } else if (authorized) {
    reading.report.fault(
      path,
      'has Authorization and the LANGFUSE_ keys, which become one; keep one of them',
    );
  }
  const credentials = Buffer.from(`${publicKey}:${secretKey}`).toString('base64');
  return [...rest, 'Authorization', `Basic ${credentials}`];
}
