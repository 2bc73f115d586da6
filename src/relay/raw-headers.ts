/**
 * Headers as they are on the wire: a flat list of name, value, name, value, in order, duplicates kept, names in
 * the sender's case. That is what node:http calls raw headers.
 */

/** The first value of a header by its lower-case name; null if there is none. */
export function headerValue(headers: readonly string[], name: string): string | null {
  for (let i = 0; i < headers.length; i += 2) {
    const candidate = headers[i] as string;
    if (candidate.length === name.length && candidate.toLowerCase() === name) return headers[i + 1] as string;
  }
  return null;
}

/** The object that node:http2 takes: lower-case names, several values of one name as an array. */
export function http2Headers(raw: readonly string[]): Record<string, string | string[]> {
  const out: Record<string, string | string[]> = Object.create(null);
  for (let i = 0; i < raw.length; i += 2) {
    const name = (raw[i] as string).toLowerCase();
    const value = raw[i + 1] as string;
    const known = out[name];
    if (known === undefined) out[name] = value;
    else if (typeof known === 'string') out[name] = [known, value];
    else known.push(value);
  }
  return out;
}

/**
 * Raw headers of an HTTP/2 request as HTTP/1.1 would have them: no pseudo-headers, `:authority` as Host, and the
 * crumbs that clients cut their cookies into put together again (RFC 9113 §8.2.3).
 */
export function withoutPseudoHeaders(raw: readonly string[], authority: string): string[] {
  const out: string[] = [];
  let hosted = false;
  let cookieAt = -1;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    const value = raw[i + 1] as string;
    if (name.startsWith(':')) continue;
    if (name === 'host') hosted = true;
    if (name === 'cookie') {
      if (cookieAt !== -1) {
        out[cookieAt] += `; ${value}`;
        continue;
      }
      cookieAt = out.length + 1;
    }
    out.push(name, value);
  }
  if (!hosted) out.unshift('host', authority);
  return out;
}

/**
 * A status as HTTP/2 can say it: Node has none beyond 599, and RFC 9110 §15 has clients take those for a 5xx anyway.
 */
export function http2Status(status: number): number {
  return status > 599 ? 502 : status;
}
