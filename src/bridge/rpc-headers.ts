import { invalid } from './bridge-error.ts';

/** What the bridge reads of a request's headers, and those that go on to the RPC. */
export interface RequestHeaders {
  readonly forRpc: Headers;
  readonly contentType: string | null;
  readonly contentEncoding: string | null;
  readonly accept: string | null;
  /** The caller's deadline, in milliseconds; null when it set none. */
  readonly timeoutMs: number | null;
}

/**
 * Of one connection (RFC 9110 §7.6.1) or of the HTTP exchange that ends here. `accept-encoding` among them: the RPC's
 * own transport negotiates its compression.
 */
const STAYS: ReadonlySet<string> = new Set([
  'accept',
  'accept-encoding',
  'connection',
  'date',
  'expect',
  'http2-settings',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
/** Entity headers speak of the JSON; the protocols' own would be taken for the RPC's. */
const STAYS_BY_PREFIX = /^(?:content-|proxy-|connect-|grpc-|trailer-|:)/;

/**
 * Sorts raw name-value pairs.
 * @throws BridgeError 400 for a malformed `connect-timeout-ms` or `grpc-timeout`, or a name or value no RPC can carry
 */
export function requestHeadersFrom(raw: readonly string[]): RequestHeaders {
  const forRpc = new Headers();
  const single = new Map<string, string>();
  let accept: string | null = null;
  let nominated: ReadonlySet<string> | null = null;
  for (let i = 0; i < raw.length; i += 2) {
    const name = (raw[i] as string).toLowerCase();
    const value = raw[i + 1] as string;
    if (name === 'accept') accept = accept === null ? value : `${accept}, ${value}`;
    else if (name === 'connection') nominated = nominatedBy(value, nominated);
    else if (READ_HERE.has(name)) single.set(name, value);
    else if (!STAYS.has(name) && !STAYS_BY_PREFIX.test(name)) append(forRpc, name, value);
  }
  if (nominated !== null) for (const name of nominated) forRpc.delete(name);
  return {
    forRpc,
    contentType: single.get('content-type') ?? null,
    contentEncoding: single.get('content-encoding') ?? null,
    accept,
    timeoutMs: timeoutFrom(single),
  };
}

const READ_HERE: ReadonlySet<string> = new Set([
  'content-type',
  'content-encoding',
  'connect-timeout-ms',
  'grpc-timeout',
]);

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;

function nominatedBy(value: string, earlier: ReadonlySet<string> | null): ReadonlySet<string> | null {
  const lower = value.toLowerCase();
  if (lower === 'keep-alive' || lower === 'close') return earlier;
  const names = lower.split(',').map((name) => name.trim());
  return new Set([...(earlier ?? []), ...names.filter((name) => TOKEN.test(name))]);
}

function append(headers: Headers, name: string, value: string): void {
  try {
    headers.append(name, value);
  } catch {
    throw invalid(`the header ${JSON.stringify(name)} can't be passed on`, name);
  }
}

const GRPC_TIMEOUT = /^([0-9]{1,8})([HMSmun])$/;
const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/** The Connect protocol's spelling wins over gRPC's. At least 1: RPC clients take 0 for none. */
function timeoutFrom(headers: ReadonlyMap<string, string>): number | null {
  const connect = headers.get('connect-timeout-ms');
  if (connect !== undefined) {
    if (/^[0-9]{1,10}$/.test(connect)) return Math.max(1, Number(connect));
    throw invalid('connect-timeout-ms must be milliseconds, 1 to 10 digits', 'connect-timeout-ms');
  }
  const grpc = headers.get('grpc-timeout');
  if (grpc === undefined) return null;
  const [, digits, unit] = GRPC_TIMEOUT.exec(grpc) ?? [];
  if (digits !== undefined && unit !== undefined)
    return Math.max(1, Math.ceil(Number(digits) * (UNIT_MS[unit] ?? 0)));
  throw invalid('grpc-timeout must be 1 to 8 digits and a unit of H, M, S, m, u or n', 'grpc-timeout');
}

/** Framing is the HTTP server's, and the body's type the bridge's. */
const NOT_ANSWERED =
  /^(?:content-|connect-|grpc-|proxy-|trailer-|(?:connection|date|keep-alive|te|trailer|transfer-encoding|upgrade|accept-encoding)$)/;

/** Headers or trailers of an RPC as raw name-value pairs of the HTTP response. */
export function addRpcHeaders(out: string[], headers: Headers): void {
  headers.forEach((value, name) => {
    if (!NOT_ANSWERED.test(name)) out.push(name, value);
  });
}

/** True when the header lists the media type by name and doesn't rule it out with `q=0`. */
export function accepts(accept: string | null, mediaType: string): boolean {
  if (accept === null) return false;
  return accept
    .toLowerCase()
    .split(',')
    .some((range) => {
      const [type = '', ...parameters] = range.split(';').map((part) => part.trim());
      return type === mediaType && !parameters.some((parameter) => /^q\s*=\s*0(?:\.0*)?$/.test(parameter));
    });
}

/** `application/json` with any parameters but another charset than UTF-8, the only one JSON has (RFC 8259 §8.1). */
export function isJson(contentType: string): boolean {
  const [type = '', ...parameters] = contentType.toLowerCase().split(';');
  if (type.trim() !== 'application/json') return false;
  return parameters.every((parameter) => {
    const [name = '', value = ''] = parameter.split('=');
    return name.trim() !== 'charset' || value.trim().replaceAll('"', '') === 'utf-8';
  });
}
