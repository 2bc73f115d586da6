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

/** Already answered and only waiting for its close. */
export function isLingering(socket: Socket): boolean {
  return lingering.has(socket);
}
