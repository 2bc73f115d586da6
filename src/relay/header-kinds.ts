/** What a header's name means to a relay. */
export type HeaderKind =
  | 'plain'
  /** Belongs to one connection and never passes a proxy (RFC 9110 §7.6.1). */
  | 'hop_by_hop'
  | 'connection'
  | 'te'
  | 'host'
  | 'content_length'
  | 'transfer_encoding'
  /** Describes the body or the wished-for one: passes on every route. */
  | 'entity'
  /** Where keys travel: `authorization`, `x-api-key`, …; access/credentials.ts has the list. */
  | 'credential'
  | 'cookie'
  /** Answered here (`expect`) or addressed to us (`x-sluice-model`, `x-litellm-api-key`). */
  | 'ours'
  | 'websocket'
  | 'websocket_protocol'
  /** `x-pass-…`. */
  | 'passed';

export interface HeaderName {
  readonly lower: string;
  readonly kind: HeaderKind;
}

const KINDS: Readonly<Record<string, HeaderKind>> = {
  __proto__: null as never,
  connection: 'connection',
  'keep-alive': 'hop_by_hop',
  trailer: 'hop_by_hop',
  upgrade: 'hop_by_hop',
  'http2-settings': 'hop_by_hop',
  te: 'te',
  // What every CGI-like environment behind us would take for the framing headers (CWE-444).
  content_length: 'hop_by_hop',
  transfer_encoding: 'hop_by_hop',
  host: 'host',
  'content-length': 'content_length',
  'transfer-encoding': 'transfer_encoding',
  'content-type': 'entity',
  'content-encoding': 'entity',
  accept: 'entity',
  'accept-encoding': 'entity',
  authorization: 'credential',
  'x-api-key': 'credential',
  'api-key': 'credential',
  'x-goog-api-key': 'credential',
  cookie: 'cookie',
  expect: 'ours',
  'x-sluice-model': 'ours',
  'x-litellm-api-key': 'ours',
  'sec-websocket-protocol': 'websocket_protocol',
};

/** Names seen before, as they were spelled: a client says the same few with every request. */
const seen = new Map<string, HeaderName>();
const SEEN_LIMIT = 1024;
const SEEN_LENGTH = 64;

/** Looks a raw header name up, whatever its case. */
export function headerName(raw: string): HeaderName {
  const known = seen.get(raw);
  if (known !== undefined) return known;
  const lower = raw.toLowerCase();
  const name: HeaderName = { lower, kind: KINDS[lower] ?? kindByPrefix(lower) };
  if (raw.length > SEEN_LENGTH) return name;
  if (seen.size >= SEEN_LIMIT) seen.clear();
  seen.set(raw, name);
  return name;
}

function kindByPrefix(lower: string): HeaderKind {
  if (lower.startsWith('proxy-')) return 'hop_by_hop';
  if (lower.startsWith('x-pass-')) return 'passed';
  if (lower.startsWith('sec-websocket-')) return 'websocket';
  return 'plain';
}

/** True for a header that stays on its own connection whatever Connection says. */
export function isHopByHop(raw: string): boolean {
  const { kind } = headerName(raw);
  return kind === 'hop_by_hop' || kind === 'connection' || kind === 'te' || kind === 'transfer_encoding';
}

/** Never nominated away: they frame the message or say whom it is for. */
const NOT_NOMINABLE: ReadonlySet<string> = new Set(['host', 'content-length', 'te', 'content-type']);

const NONE: ReadonlySet<string> = new Set();
const CONNECTION = 'connection';

/** The lower-case names that the Connection headers among these raw pairs nominate. */
export function nominatedHeaders(headers: readonly string[]): ReadonlySet<string> {
  let nominated: Set<string> | null = null;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (name.length !== CONNECTION.length || name.toLowerCase() !== CONNECTION) continue;
    const value = (headers[i + 1] as string).toLowerCase();
    if (value === 'keep-alive' || value === 'close') continue;
    for (const token of value.split(',')) {
      const nominee = token.trim();
      if (nominee !== '' && !NOT_NOMINABLE.has(nominee)) {
        nominated ??= new Set();
        nominated.add(nominee);
      }
    }
  }
  return nominated ?? NONE;
}
