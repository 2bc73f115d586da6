import type { Socket } from 'node:net';

/**
 * Ends a connection so that nobody takes it for a clean end. While the end of the sending side is on its way out libuv
 * refuses to (`uv_tcp_close_reset` with EINVAL), and Node (26.10) then neither closes the socket nor tells of its close:
 * such a connection is closed the plain way.
 */
export function reset(socket: Socket): void {
  const isEnding = socket.writableEnded && !socket.writableFinished && socket.writableLength === 0;
  if (isEnding) socket.destroy();
  else socket.resetAndDestroy();
}
