/** A place in a request where a key was found. */
export interface Credential {
  readonly carrier: Carrier;
  /** The key itself, scheme removed; null when the carrier is there but holds no well-formed key. */
  readonly key: string | null;
}

export type Carrier =
  | { readonly kind: 'header'; readonly name: string }
  | { readonly kind: 'query' }
  | { readonly kind: 'subprotocol' };

/** Headers that address a key to Sluice, in the order in which they are believed. */
const KEY_HEADERS = ['x-litellm-api-key', 'authorization', 'x-api-key', 'api-key', 'x-goog-api-key'] as const;

/** Names that carry credentials whatever stands in them. */
export const CREDENTIAL_HEADERS: ReadonlySet<string> = new Set(KEY_HEADERS);

/** How a browser sends a key with a websocket, which can't set headers (OpenAI Realtime). */
export const SUBPROTOCOL_PREFIX = 'openai-insecure-api-key.';

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
  const found: { rank: number; credential: Credential }[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = (headers[i] as string).toLowerCase();
    const value = headers[i + 1] as string;
    if (name === keyHeader) {
      found.push({ rank: -1, credential: headerCredential(name, value) });
    } else if (CREDENTIAL_HEADERS.has(name)) {
      const rank = (KEY_HEADERS as readonly string[]).indexOf(name);
      found.push({ rank, credential: headerCredential(name, value) });
    } else if (name === 'sec-websocket-protocol') {
      const item = value.split(',').find((part) => part.trim().startsWith(SUBPROTOCOL_PREFIX));
      if (item !== undefined) {
        const key = item.trim().slice(SUBPROTOCOL_PREFIX.length);
        found.push({ rank: KEY_HEADERS.length, credential: { carrier: { kind: 'subprotocol' }, key } });
      }
    }
  }
  if (query !== '' && query.includes('key=')) {
    const key = new URLSearchParams(query).get('key');
    if (key?.startsWith('sk-')) {
      found.push({ rank: KEY_HEADERS.length + 1, credential: { carrier: { kind: 'query' }, key } });
    }
  }
  if (found.length > 1) found.sort((a, b) => a.rank - b.rank);
  return found.map(({ credential }) => credential);
}

function headerCredential(name: string, value: string): Credential {
  return { carrier: { kind: 'header', name }, key: keyFrom(name, value) };
}

/** `Bearer sk-…` (any case) in every carrier; a bare key in all but Authorization, as their vendors send them. */
function keyFrom(name: string, value: string): string | null {
  if (value.length > 7 && value.slice(0, 7).toLowerCase() === 'bearer ') {
    const key = value.slice(7).trim();
    return key === '' ? null : key;
  }
  return name === 'authorization' || value === '' ? null : value;
}
