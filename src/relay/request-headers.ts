import type { Admission } from '../access/admit.ts';
import { SUBPROTOCOL_PREFIX } from '../access/credentials.ts';
import { type HeaderName, headerName, nominatedHeaders } from './header-kinds.ts';
import { passableTrailers } from './response-headers.ts';

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

const PASS_PREFIX = 'x-pass-';

/**
 * The headers that go to the upstream, raw, in the client's order, case and multiplicity. Host and the framing
 * header stay where the client had them.
 */
export function upstreamHeaders(options: UpstreamHeadersOptions): string[] {
  const { client, inject, framing } = options;
  const nominated = nominatedHeaders(client);
  const out: string[] = [];
  let hostDone = false;
  let framed = framing.kind === 'none';
  for (let i = 0; i < client.length; i += 2) {
    const name = client[i] as string;
    const value = client[i + 1] as string;
    const { lower, kind } = headerName(name);
    switch (kind) {
      case 'host':
        if (!hostDone) out.push(name, options.host);
        hostDone = true;
        break;
      case 'content_length':
      case 'transfer_encoding':
        if (!framed) pushFraming(out, framing, kind === FRAMED_BY[framing.kind] ? name : null);
        framed = true;
        break;
      case 'te':
        if (/(?:^|,)\s*trailers\s*(?:,|$)/i.test(value)) out.push(name, 'trailers');
        break;
      case 'connection':
      case 'hop_by_hop':
      case 'ours':
        break;
      default:
        if (nominated.size > 0 && nominated.has(lower)) break;
        if (hasName(inject, lower)) break; // the configured one wins
        pushClientHeader(out, { name, lower, kind, value }, options);
    }
  }
  if (!hostDone) out.unshift('Host', options.host);
  if (options.upgrade) out.push('Connection', 'Upgrade', 'Upgrade', 'websocket');
  for (const item of inject) out.push(item);
  if (!framed) pushFraming(out, framing, null);
  return out;
}

const FRAMED_BY = { none: null, length: 'content_length', chunked: 'transfer_encoding' } as const;

function pushFraming(out: string[], framing: Framing, name: string | null): void {
  if (framing.kind === 'length') out.push(name ?? 'Content-Length', String(framing.length));
  else if (framing.kind === 'chunked') out.push(name ?? 'Transfer-Encoding', 'chunked');
}

interface Field extends HeaderName {
  /** As it was spelled. */
  readonly name: string;
  readonly value: string;
}

function holds(value: string, key: string): boolean {
  return value.length >= key.length && decodes(value).includes(key);
}

/** Pushes what may pass of a header that is the client's own. */
function pushClientHeader(out: string[], field: Field, options: UpstreamHeadersOptions): void {
  const { admission, policy } = options;
  const { name, lower, kind, value } = field;
  if (lower === options.keyHeader) return;
  switch (kind) {
    case 'cookie': {
      const kept = admission.key === null ? value : withoutKeyCookie(value, admission.key);
      if (policy !== 'entity' && (kept !== '' || value === '')) out.push(name, kept);
      return;
    }
    case 'websocket_protocol': {
      const kept = withoutKeyProtocol(value, options);
      if (kept !== '' && (policy !== 'entity' || options.upgrade)) out.push(name, kept);
      return;
    }
  }
  if (admission.key !== null && holds(value, admission.key)) return;
  switch (kind) {
    case 'credential':
      if (policy === 'forward' && !isSpent(lower, admission)) out.push(name, value);
      return;
    case 'passed': {
      const passed = name.slice(PASS_PREFIX.length);
      if (policy !== 'all' && isPassable(passed, options.inject)) out.push(passed, value);
      break;
    }
  }
  const always = kind === 'entity' || (kind === 'websocket' && options.upgrade);
  if (always || policy !== 'entity') out.push(name, value);
}

/**
 * `x-pass-…` may become any header but one that frames the message, carries a credential (PASSTHROUGH §2) or is
 * configured.
 */
function isPassable(name: string, inject: readonly string[]): boolean {
  if (name === '') return false;
  const { lower, kind } = headerName(name);
  const harmless =
    kind === 'plain' || kind === 'entity' || kind === 'cookie' || kind === 'passed' || kind === 'websocket';
  return harmless && !hasName(inject, lower);
}

function hasName(pairs: readonly string[], lower: string): boolean {
  for (let i = 0; i < pairs.length; i += 2) {
    const name = pairs[i] as string;
    if (name.length === lower.length && name.toLowerCase() === lower) return true;
  }
  return false;
}

function isSpent(lower: string, admission: Admission): boolean {
  return admission.spent.some(({ carrier }) => carrier.kind === 'header' && carrier.name === lower);
}

/** The client's trailers as they go on: what may not stand among them, keys above all, is left out. */
export function upstreamTrailers(trailers: readonly string[], admission: Admission): readonly string[] {
  if (trailers.length === 0) return trailers;
  const passable = passableTrailers(trailers);
  const out: string[] = [];
  for (let i = 0; i < passable.length; i += 2) {
    const name = passable[i] as string;
    const value = passable[i + 1] as string;
    const { kind } = headerName(name);
    if (kind === 'credential' || kind === 'cookie' || kind === 'ours') continue;
    if (admission.key === null || !value.includes(admission.key)) out.push(name, value);
  }
  return out;
}

/** The offered subprotocols without those that carry a key; one that isn't ours may be meant for the target. */
function withoutKeyProtocol(value: string, { admission, policy }: UpstreamHeadersOptions): string {
  const { key } = admission;
  const addressed =
    policy !== 'forward' || admission.spent.some(({ carrier }) => carrier.kind === 'subprotocol');
  const isKey = (item: string): boolean =>
    (addressed && item.trim().startsWith(SUBPROTOCOL_PREFIX)) || (key !== null && item.includes(key));
  const items = value.split(',');
  const kept = items.filter((item) => !isKey(item));
  return kept.length === items.length ? value : kept.join(',').trim();
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
  const { key } = admission;
  const carried = admission.spent.find(({ carrier }) => carrier.kind === 'query')?.key ?? null;
  if (key === null && carried === null) return query;
  const pairs = query.split('&');
  const kept = pairs.filter((pair) => {
    if (key !== null && decodes(pair).includes(key)) return false;
    return carried === null || new URLSearchParams(pair).get('key') !== carried;
  });
  return kept.length === pairs.length ? query : kept.join('&');
}

/** Percent-decoded as far as it can be; what can't be decoded is compared as it stands. */
function decodes(text: string): string {
  if (!text.includes('%')) return text;
  return text.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}
