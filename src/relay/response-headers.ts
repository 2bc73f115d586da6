import { headerName, isHopByHop, nominatedHeaders } from './header-kinds.ts';

/** Only we may set it on a response; an upstream's own would pass for ours. */
const OURS = 'x-sluice-request-id';

/** The upstream's response headers as the client gets them: raw, in order, duplicates kept, hop-by-hop removed. */
export function downstreamHeaders(upstream: readonly string[], requestId: string): string[] {
  const nominated = nominatedHeaders(upstream);
  const out: string[] = [];
  for (let i = 0; i < upstream.length; i += 2) {
    const name = upstream[i] as string;
    if (isHopByHop(name)) continue;
    const { lower } = headerName(name);
    if (lower === OURS || (nominated.size > 0 && nominated.has(lower))) continue;
    out.push(name, upstream[i + 1] as string);
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
