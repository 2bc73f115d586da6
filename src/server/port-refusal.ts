import { randomUUID } from 'node:crypto';
import { ServerResponse, STATUS_CODES } from 'node:http';
import { constants, type Http2ServerResponse } from 'node:http2';
import type { Socket } from 'node:net';
import type { SluiceError } from '../base/errors.ts';
import { linger } from '../base/linger.ts';

/**
 * Answers with the error envelope and ends the connection (HTTP/1) or the stream (HTTP/2, whose other streams go
 * on). Where a head is out already the response is broken instead, so that nobody takes it for a whole one.
 *
 * @returns the request id that the client was given.
 */
export function refuse(res: ServerResponse | Http2ServerResponse, error: SluiceError): string {
  const requestId = randomUUID();
  if (res instanceof ServerResponse) {
    const { socket } = res.req;
    if (res.headersSent) socket.resetAndDestroy();
    else {
      // The response waits its turn behind pipelined ones; Node then ends the connection through this method.
      socket.destroySoon = () => linger(socket);
      res.writeHead(error.status, [...envelopeHeaders(error, requestId), 'Connection', 'close']);
      res.end(error.envelope);
    }
  } else if (res.headersSent) res.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  else if (!res.stream.destroyed) {
    res.writeHead(error.status, envelopeHeaders(error, requestId));
    res.end(error.envelope);
  }
  return requestId;
}

/**
 * The same on a bare HTTP/1 socket, for requests that never became one. The caller knows that the socket is at a
 * point where an answer is expected.
 */
export function refuseSocket(socket: Socket, error: SluiceError): string {
  const requestId = randomUUID();
  const headers = [
    ...envelopeHeaders(error, requestId),
    'Date',
    new Date().toUTCString(),
    'Connection',
    'close',
  ];
  let head = `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status] ?? ''}\r\n`;
  for (let i = 0; i < headers.length; i += 2) head += `${headers[i]}: ${headers[i + 1]}\r\n`;
  if (socket.writable) socket.write(`${head}\r\n${error.envelope}`);
  // Takes the bytes away from a parser that may have stopped in the middle of a message.
  socket.removeAllListeners('data');
  socket.on('data', () => {});
  linger(socket);
  return requestId;
}

function envelopeHeaders(error: SluiceError, requestId: string): string[] {
  return [
    'Content-Type',
    'application/json',
    'Content-Length',
    String(Buffer.byteLength(error.envelope)),
    'X-Sluice-Request-Id',
    requestId,
    ...error.headers,
  ];
}
