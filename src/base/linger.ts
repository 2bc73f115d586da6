import { constants, type Http2ServerRequest } from 'node:http2';
import type { Socket } from 'node:net';

/** How long an answered connection is still read, so that the answer arrives. */
const LINGER_MS = 1_000;

const lingering = new WeakSet<Socket>();

/**
 * Closes in stages (RFC 9112 §9.6): half-close, then read on for a moment. Closing at once while the client still
 * sends would answer its bytes with a reset, which can overtake the response in the client's kernel.
 */
export function linger(socket: Socket): void {
  if (lingering.has(socket)) return;
  lingering.add(socket);
  socket.end();
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), LINGER_MS).unref();
  socket.once('end', () => socket.destroy());
  socket.once('close', () => clearTimeout(timer));
}

/** How often it is looked whether the end of an answer has left. */
const LOOK_EVERY_MS = 20;

/**
 * The same for a stream of HTTP/2, called before its response is ended: a client that still sends is told to stop
 * (RST_STREAM with NO_ERROR, RFC 9113 §8.1), and what it sends until then is dropped.
 *
 * Not before the end has left: while the connection is writing, nghttp2 holds frames back, and drops those of a stream
 * that is to be reset. Node tells nobody when they have gone, and itself resets too early.
 *
 * @param timeoutMs how long the client may leave the end untaken
 */
export function lingerStream(request: Http2ServerRequest, timeoutMs: number): void {
  const { stream } = request;
  if (stream.readableEnded || stream.destroyed) return;
  // A stream that nobody has ever read or paused is one that Node resets.
  stream.pause();
  let giveUpAt = Number.POSITIVE_INFINITY;
  const look = (): void => {
    if (stream.destroyed) return;
    if (!stream.closed) {
      if (stream.state.localClose !== 1 && performance.now() < giveUpAt) {
        setTimeout(look, LOOK_EVERY_MS);
        return;
      }
      stream.close(constants.NGHTTP2_NO_ERROR);
    }
    // Node keeps it until its body has been read to the end.
    request.resume();
    stream.resume();
  };
  const ended = (): void => {
    giveUpAt = performance.now() + timeoutMs;
    // Trailers are sent in an immediate, which comes before this one.
    setImmediate(look);
  };
  // Where no body may follow, the head was the end.
  if (stream.writableFinished) ended();
  else stream.once('finish', ended);
}

/** Already answered and only waiting for its close. */
export function isLingering(socket: Socket): boolean {
  return lingering.has(socket);
}
