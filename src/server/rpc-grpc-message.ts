import type { UniversalServerResponse } from '@connectrpc/connect/protocol';

/**
 * The value of `grpc-message`: UTF-8, with everything but printable ASCII percent-encoded
 * (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, "Status-Message").
 *
 * Connect encodes as `encodeURIComponent` does, which is allowed, but some clients (grpc-js) decode as `decodeURI` and
 * leave `%3A` and its like in what people read.
 */
export function encodeGrpcMessage(text: string): string {
  return text.replace(/[^ -$&-~]+/g, encodeURIComponent);
}

/** Encodes a `grpc-message` that Connect has encoded. */
export function readableGrpcMessage(trailers: Headers): void {
  const message = trailers.get('grpc-message');
  if (message !== null) trailers.set('grpc-message', encodeGrpcMessage(decodeURIComponent(message)));
}

/** What gRPC itself has in a head; anything else comes from an implementation. */
const HEAD_NAMES: ReadonlySet<string> = new Set(['content-type', 'grpc-encoding', 'grpc-accept-encoding']);

/**
 * An error that nothing goes before, as a head with the trailers in it ("Trailers-Only"), or null: for other answers, and
 * for those whose implementation has set headers, which clients would find among the trailers.
 */
export function trailersOnly({
  header,
  status,
  trailer,
}: UniversalServerResponse): UniversalServerResponse | null {
  if (trailer === undefined || (trailer.get('grpc-status') ?? '0') === '0') return null;
  const merged = new Headers(trailer);
  readableGrpcMessage(merged);
  for (const [name, value] of header ?? []) {
    if (!HEAD_NAMES.has(name)) return null;
    if (name === 'content-type') merged.set(name, value);
  }
  return { status, header: merged };
}
