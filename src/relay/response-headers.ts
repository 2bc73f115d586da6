import { headerName, isHopByHop, nominatedHeaders } from './header-kinds.ts';

/** Only we may set it on a response; an upstream's own would pass for ours. */
const OURS = 'x-sluice-request-id';

/**
 * The upstream's response headers as the client gets them: raw, in order, duplicates kept, hop-by-hop removed. One
 * Content-Length remains of several equal ones, which clients refuse (RFC 9110 §8.6).
 */
export function downstreamHeaders(upstream: readonly string[], requestId: string): string[] {
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
        if (lower !== OURS && (nominated.size === 0 || !nominated.has(lower))) out.push(name, value);
    }
  }
  out.push(OURS, requestId);
  return out;
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
