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

const ROUTE_HEADER_RANK = 0;
const SUBPROTOCOL_RANK = 6;
const QUERY_RANK = 7;

/**
 * Headers that address a key to Sluice: among several the lowest rank is believed first. By length first, so that most
 * names are passed over without being lowered; null for any other name.
 */
function keyHeaderFrom(raw: string): { readonly name: string; readonly rank: number } | null {
  switch (raw.length) {
    case 7:
      return raw.toLowerCase() === 'api-key' ? { name: 'api-key', rank: 4 } : null;
    case 9:
      return raw.toLowerCase() === 'x-api-key' ? { name: 'x-api-key', rank: 3 } : null;
    case 13:
      return raw.toLowerCase() === 'authorization' ? { name: 'authorization', rank: 2 } : null;
    case 14:
      return raw.toLowerCase() === 'x-goog-api-key' ? { name: 'x-goog-api-key', rank: 5 } : null;
    case 17:
      return raw.toLowerCase() === 'x-litellm-api-key' ? { name: 'x-litellm-api-key', rank: 1 } : null;
    default:
      return null;
  }
}

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
    const value = headers[i + 1] as string;
    const known = keyHeaderFrom(raw);
    if (raw.length === keyHeader?.length && raw.toLowerCase() === keyHeader) {
      found.push({ rank: ROUTE_HEADER_RANK, credential: headerCredential(keyHeader, value) });
    } else if (known !== null) {
      found.push({ rank: known.rank, credential: headerCredential(known.name, value) });
    } else if (raw.length === SUBPROTOCOL_HEADER.length && raw.toLowerCase() === SUBPROTOCOL_HEADER) {
      const key = subprotocolKey(value);
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
