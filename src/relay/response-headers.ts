import { headerName, isHopByHop, nominatedHeaders } from './header-kinds.ts';

/** Only we may set it on a response; an upstream's own would pass for ours. */
const OURS = 'x-sluice-request-id';

const NONE: readonly string[] = [];

/**
 * The upstream's response headers as the client gets them: raw, in order, duplicates kept, hop-by-hop removed. One
 * Content-Length remains of several equal ones, which clients refuse (RFC 9110 §8.6). `added` takes the place of what
 * the upstream has under the same names: its own limits aren't those that the client has reached.
 */
export function downstreamHeaders(
  upstream: readonly string[],
  requestId: string,
  added: readonly string[] = NONE,
): string[] {
  const nominated = nominatedHeaders(upstream);
  const out: string[] = [];
  let sized = false;
  for (let i = 0; i < upstream.length; i += 2) {
    const name = upstream[i] as string;
    const value = upstream[i + 1] as string;
    const { lower, kind } = headerName(name);
    switch (kind) {
      case 'hop_by_hop':
      case 'connection':
      case 'te':
      case 'transfer_encoding':
        break;
      case 'content_length':
        if (!sized) out.push(name, value.includes(',') ? value.slice(0, value.indexOf(',')).trim() : value);
        sized = true;
        break;
      default:
        if (lower === OURS || (nominated.size > 0 && nominated.has(lower))) break;
        if (added.length === 0 || !hasName(added, lower)) out.push(name, value);
    }
  }
  for (const item of added) out.push(item);
  out.push(OURS, requestId);
  return out;
}

/** `names` are lower case. */
function hasName(pairs: readonly string[], name: string): boolean {
  for (let i = 0; i < pairs.length; i += 2) if (pairs[i] === name) return true;
  return false;
}

/** Trailers as they pass on: no framing and no hop-by-hop fields among them (RFC 9110 §6.5.1). */
export function passableTrailers(trailers: readonly string[]): readonly string[] {
  if (trailers.length === 0) return trailers;
  const out: string[] = [];
  for (let i = 0; i < trailers.length; i += 2) {
    const name = trailers[i] as string;
    const { kind } = headerName(name);
    if (isHopByHop(name) || kind === 'content_length' || kind === 'host') continue;
    out.push(name, trailers[i + 1] as string);
  }
  return out;
}
