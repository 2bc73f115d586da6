import type { Admission } from '../access/admit.ts';
import { CREDENTIAL_HEADERS, SUBPROTOCOL_PREFIX } from '../access/credentials.ts';
import { isHopByHop, nominatedHeaders } from './hop-by-hop.ts';

export interface UpstreamHeadersOptions {
  /** The client's raw name-value pairs. */
  readonly client: readonly string[];
  readonly admission: Admission;
  /** Value of the Host header: the target's. */
  readonly host: string;
  /** Credential and configured headers: they win over the client's of the same name. */
  readonly inject: readonly string[];
  /**
   * `all`: everything but hop-by-hop and credentials addressed to Sluice (provider routes, /v1).
   * `forward`: an operator's route with `forward_headers: true`; its client's own credentials are its own.
   * `entity`: an operator's route without: entity headers and `x-pass-*` alone.
   */
  readonly policy: 'all' | 'forward' | 'entity';
  /** Lower-case name of the route's key header, or null. */
  readonly keyHeader: string | null;
  readonly framing: Framing;
  /** The request is a websocket upgrade: Connection and Upgrade go on. */
  readonly upgrade: boolean;
}

/** How the upstream body will be framed; takes the place of the client's own framing header. */
export type Framing =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly length: number }
  | { readonly kind: 'chunked' };

const ENTITY_HEADERS: ReadonlySet<string> = new Set([
  'content-type',
  'content-encoding',
  'accept',
  'accept-encoding',
]);

/** What `x-pass-…` must not become (PASSTHROUGH §2); hop-by-hop names come on top. */
const NOT_PASSABLE: ReadonlySet<string> = new Set([
  'authorization',
  'api-key',
  'x-api-key',
  'x-goog-api-key',
  'x-litellm-api-key',
  'host',
  'content-length',
  'cookie',
]);

const PASS_PREFIX = 'x-pass-';

/**
 * The headers that go to the upstream, raw, in the client's order, case and multiplicity. Host and the framing
 * header stay where the client had them.
 */
export function upstreamHeaders(options: UpstreamHeadersOptions): string[] {
  const { client, inject, framing } = options;
  const nominated = nominatedHeaders(client);
  const injected = lowerNames(inject);
  const out: string[] = [];
  let hostDone = false;
  let framed = framing.kind === 'none';
  for (let i = 0; i < client.length; i += 2) {
    const name = client[i] as string;
    const value = client[i + 1] as string;
    const lower = name.toLowerCase();
    if (lower === 'host') {
      if (!hostDone) out.push(name, options.host);
      hostDone = true;
    } else if (lower === 'content-length' || lower === 'transfer-encoding') {
      if (framed) continue;
      framed = true;
      pushFraming(
        out,
        framing,
        lower === (framing.kind === 'length' ? 'content-length' : 'transfer-encoding') ? name : null,
      );
    } else if (injected.includes(lower)) {
      // The configured one wins.
    } else if (isHopByHop(lower) || nominated.has(lower)) {
      if (lower === 'te' && /(?:^|,)\s*trailers\s*(?:,|$)/i.test(value)) out.push(name, 'trailers');
    } else {
      pushClientHeader(out, name, lower, value, options);
    }
  }
  if (!hostDone) out.unshift('Host', options.host);
  if (options.upgrade) out.push('Connection', 'Upgrade', 'Upgrade', 'websocket');
  for (const item of inject) out.push(item);
  if (!framed) pushFraming(out, framing, null);
  return out;
}

function pushFraming(out: string[], framing: Framing, name: string | null): void {
  if (framing.kind === 'length') out.push(name ?? 'Content-Length', String(framing.length));
  else if (framing.kind === 'chunked') out.push(name ?? 'Transfer-Encoding', 'chunked');
}

function pushClientHeader(
  out: string[],
  name: string,
  lower: string,
  value: string,
  options: UpstreamHeadersOptions,
): void {
  const { admission, policy } = options;
  // `Expect` has been answered here; `x-sluice-model` was meant for us.
  if (lower === 'expect' || lower === 'x-sluice-model') return;
  if (lower === 'sec-websocket-protocol') {
    const kept = withoutKeyProtocol(value);
    if (kept !== '') out.push(name, kept);
    return;
  }
  if (lower === options.keyHeader || lower === 'x-litellm-api-key') return;
  if (CREDENTIAL_HEADERS.has(lower) && (policy === 'all' || isSpent(lower, admission))) return;
  if (lower === 'cookie') {
    const kept = admission.key === null ? value : withoutKeyCookie(value, admission.key);
    if (kept !== '' && policy !== 'entity') out.push(name, kept);
    return;
  }
  if (admission.key !== null && value.includes(admission.key)) return;
  if (policy !== 'all' && lower.startsWith(PASS_PREFIX)) {
    const passed = lower.slice(PASS_PREFIX.length);
    if (passed !== '' && !NOT_PASSABLE.has(passed) && !isHopByHop(passed)) {
      out.push(name.slice(PASS_PREFIX.length), value);
    }
  }
  if (policy !== 'entity' || ENTITY_HEADERS.has(lower) || lower.startsWith('sec-websocket-'))
    out.push(name, value);
}

function isSpent(lower: string, admission: Admission): boolean {
  return admission.spent.some(({ carrier }) => carrier.kind === 'header' && carrier.name === lower);
}

function lowerNames(pairs: readonly string[]): string[] {
  const names: string[] = [];
  for (let i = 0; i < pairs.length; i += 2) names.push((pairs[i] as string).toLowerCase());
  return names;
}

/** The offered subprotocols without the one that carries a key. */
function withoutKeyProtocol(value: string): string {
  if (!value.includes(SUBPROTOCOL_PREFIX)) return value;
  return value
    .split(',')
    .filter((item) => !item.trim().startsWith(SUBPROTOCOL_PREFIX))
    .join(',')
    .trim();
}

/** A cookie header without the pairs that hold the caller's key; `` when nothing is left. */
function withoutKeyCookie(value: string, key: string): string {
  if (!decodes(value).includes(key)) return value;
  return value
    .split(';')
    .filter((pair) => !decodes(pair).includes(key))
    .join(';')
    .trim();
}

/**
 * The client's query without the parameters that hold the caller's key or were the carrier of a credential;
 * everything else byte for byte as it was.
 */
export function withoutKeyQuery(query: string, admission: Admission): string {
  if (query === '') return query;
  const carried = admission.spent.find(({ carrier }) => carrier.kind === 'query');
  const key = admission.key ?? carried?.key ?? null;
  if (key === null) return query;
  const pairs = query.split('&');
  const kept = pairs.filter((pair) => !decodes(pair).includes(key));
  return kept.length === pairs.length ? query : kept.join('&');
}

/** Percent-decoded as far as it can be; what can't be decoded is compared as it stands. */
function decodes(text: string): string {
  if (!text.includes('%')) return text;
  return text.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}
