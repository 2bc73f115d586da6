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
