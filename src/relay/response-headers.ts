import { isHopByHop, nominatedHeaders } from './hop-by-hop.ts';

/** Names that only we may set on a response; an upstream's own would pass for ours. */
const OURS: ReadonlySet<string> = new Set(['x-sluice-request-id']);

/** The upstream's response headers as the client gets them: raw, in order, duplicates kept, hop-by-hop removed. */
export function downstreamHeaders(upstream: readonly string[], requestId: string): string[] {
  const nominated = nominatedHeaders(upstream);
  const out: string[] = [];
  for (let i = 0; i < upstream.length; i += 2) {
    const name = upstream[i] as string;
    const lower = name.toLowerCase();
    if (isHopByHop(lower) || nominated.has(lower) || OURS.has(lower)) continue;
    out.push(name, upstream[i + 1] as string);
  }
  out.push('x-sluice-request-id', requestId);
  return out;
}

/** Trailers as they pass on: no framing and no hop-by-hop fields among them (RFC 9110 §6.5.1). */
export function passableTrailers(trailers: readonly string[]): readonly string[] {
  if (trailers.length === 0) return trailers;
  const out: string[] = [];
  for (let i = 0; i < trailers.length; i += 2) {
    const name = trailers[i] as string;
    const lower = name.toLowerCase();
    if (isHopByHop(lower) || lower === 'content-length' || lower === 'host') continue;
    out.push(name, trailers[i + 1] as string);
  }
  return out;
}
