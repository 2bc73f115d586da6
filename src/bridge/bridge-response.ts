export interface BridgeResponse {
  readonly status: number;
  /** Raw name-value pairs, names in lower case; no Content-Length. */
  readonly headers: readonly string[];
  /** Whole, or as it comes: returning the iterator early cancels the RPC. Nothing of it is sent for HEAD. */
  readonly body: Uint8Array | AsyncIterator<Uint8Array, void>;
  /** Trailers of a stream that has ended, raw name-value pairs. */
  trailers(): readonly string[];
  /** What was thrown, if the answer is an error or, once a stream has ended, if it ended with one. */
  failure(): unknown;
}
