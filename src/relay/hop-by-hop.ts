/**
 * Headers that belong to one connection and never pass a proxy (RFC 9110 §7.6.1), by lower-case name.
 * `Proxy-*` goes by its prefix.
 */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
]);

/** Never nominated away: they frame the message or say whom it is for. */
const NOT_NOMINABLE: ReadonlySet<string> = new Set(['host', 'content-length', 'te', 'content-type']);

/** True for a header (lower case) that stays on its own connection whatever Connection says. */
export function isHopByHop(name: string): boolean {
  return HOP_BY_HOP.has(name) || name.startsWith('proxy-');
}

const NONE: ReadonlySet<string> = new Set();

/** The lower-case names that the Connection headers among these raw pairs nominate. */
export function nominatedHeaders(headers: readonly string[]): ReadonlySet<string> {
  let nominated: Set<string> | null = null;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (name.length !== 10 || name.toLowerCase() !== 'connection') continue;
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
