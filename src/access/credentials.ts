/** A place in a request where a key was found. */
export interface Credential {
  readonly carrier: Carrier;
  /** The key itself, scheme removed; null when the carrier is there but holds no well-formed key. */
  readonly key: string | null;
  /** What an Authorization without `Bearer` holds, its scheme removed: never believed, but it may be a key to hide. */
  readonly stray?: string;
}

export type Carrier =
  | { readonly kind: 'header'; readonly name: string }
  | { readonly kind: 'query' }
  | { readonly kind: 'subprotocol' };

/** Headers that address a key to Sluice; among several the lowest rank is believed first. */
const KEY_HEADERS: Readonly<Record<string, number>> = {
  __proto__: null as never,
  'x-litellm-api-key': 1,
  authorization: 2,
  'x-api-key': 3,
  'api-key': 4,
  'x-goog-api-key': 5,
};
const ROUTE_HEADER_RANK = 0;
const SUBPROTOCOL_RANK = 6;
const QUERY_RANK = 7;

/** A bit for each length that one of them has: most names are passed over without being lowered. */
const KEY_HEADER_LENGTHS = Object.keys(KEY_HEADERS).reduce((bits, { length }) => bits | (1 << length), 0);

/** How a browser sends a key with a websocket, which can't set headers (OpenAI Realtime). */
export const SUBPROTOCOL_PREFIX = 'openai-insecure-api-key.';
const SUBPROTOCOL_HEADER = 'sec-websocket-protocol';

/**
 * Every credential in a request, the most specific carrier first: the route's own header, then the usual ones,
 * the websocket subprotocol, and the query parameter `key` when its value begins with `sk-` (Google's own keys
 * travel there too).
 */
export function findCredentials(
  headers: readonly string[],
  query: string,
  keyHeader: string | null,
): readonly Credential[] {
  const found: Ranked[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const raw = headers[i] as string;
    const { length } = raw;
    if (length === keyHeader?.length && raw.toLowerCase() === keyHeader) {
      found.push({
        rank: ROUTE_HEADER_RANK,
        credential: headerCredential(keyHeader, headers[i + 1] as string),
      });
    } else if (((KEY_HEADER_LENGTHS >> length) & 1) !== 0 && length < 32) {
      const name = raw.toLowerCase();
      const rank = KEY_HEADERS[name];
      if (rank !== undefined)
        found.push({ rank, credential: headerCredential(name, headers[i + 1] as string) });
    } else if (length === SUBPROTOCOL_HEADER.length && raw.toLowerCase() === SUBPROTOCOL_HEADER) {
      const key = subprotocolKey(headers[i + 1] as string);
      if (key !== null)
        found.push({ rank: SUBPROTOCOL_RANK, credential: { carrier: { kind: 'subprotocol' }, key } });
    }
  }
  if (query.includes('key=')) {
    const key = new URLSearchParams(query).getAll('key').find((value) => value.startsWith('sk-'));
    if (key !== undefined) found.push({ rank: QUERY_RANK, credential: { carrier: { kind: 'query' }, key } });
  }
  const [only] = found;
  if (found.length === 1 && only !== undefined) return [only.credential];
  found.sort((a, b) => a.rank - b.rank);
  return found.map(({ credential }) => credential);
}

interface Ranked {
  readonly rank: number;
  readonly credential: Credential;
}

function subprotocolKey(value: string): string | null {
  const item = value.split(',').find((part) => part.trim().startsWith(SUBPROTOCOL_PREFIX));
  return item === undefined ? null : item.trim().slice(SUBPROTOCOL_PREFIX.length);
}

function headerCredential(name: string, value: string): Credential {
  const carrier = { kind: 'header', name } as const;
  const key = keyFrom(name, value);
  return key === null ? { carrier, key, stray: value.replace(/^[^ ]+ +/, '') } : { carrier, key };
}

/** `Bearer sk-…` (any case) in every carrier; a bare key in all but Authorization, as their vendors send them. */
function keyFrom(name: string, value: string): string | null {
  if (value.length > 7 && value.slice(0, 7).toLowerCase() === 'bearer ') {
    const key = value.slice(7).trim();
    return key === '' ? null : key;
  }
  return name === 'authorization' || value === '' ? null : value;
}
