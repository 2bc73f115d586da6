import { ServerResponse } from 'node:http';
import { constants, type Http2ServerResponse } from 'node:http2';
import type { Socket } from 'node:net';
import { errorAnswer } from '../base/error-answer.ts';
import type { SluiceError } from '../base/errors.ts';
import { headerLines } from '../base/header-lines.ts';
import { linger, lingerStream } from '../base/linger.ts';
import { nextRequestId } from '../base/request-id.ts';
import { reset } from '../base/reset.ts';
import { http2Headers } from '../relay/raw-headers.ts';

/** How long an HTTP/2 client may leave the end of a refusal untaken. */
const END_TIMEOUT_MS = 10_000;

/**
 * Answers with the error envelope and ends the connection (HTTP/1) or the stream (HTTP/2, whose other streams go
 * on). Where a head is out already the response is broken instead, so that nobody takes it for a whole one.
 *
 * @returns the request id that the client was given.
 */
export function refuse(res: ServerResponse | Http2ServerResponse, error: SluiceError): string {
  const requestId = nextRequestId();
  const answer = errorAnswer(error, requestId);
  if (res instanceof ServerResponse) {
    const { socket } = res.req;
    if (res.headersSent) reset(socket);
    else {
      // The response waits its turn behind pipelined ones; Node then ends the connection through this method.
      socket.destroySoon = () => linger(socket);
      res.writeHead(answer.status, answer.reason, [...answer.headers, 'Connection', 'close']);
      res.end(answer.body);
    }
  } else if (res.headersSent) res.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  else if (!res.stream.destroyed && !res.stream.closed) {
    lingerStream(res.req, END_TIMEOUT_MS);
    res.stream.respond({ ':status': answer.status, ...http2Headers(answer.headers) });
    res.stream.end(res.req.method === 'HEAD' ? '' : answer.body);
  }
  return requestId;
}

/**
 * The same on a bare HTTP/1 socket, for requests that never became one. The caller knows that the socket is at a
 * point where an answer is expected.
 */
export function refuseSocket(socket: Socket, error: SluiceError): string {
  const requestId = nextRequestId();
  const answer = errorAnswer(error, requestId);
  const headers = [...answer.headers, 'Date', new Date().toUTCString(), 'Connection', 'close'];
  const head = `HTTP/1.1 ${answer.status} ${answer.reason}\r\n${headerLines(headers)}\r\n`;
  if (socket.writable) socket.write(`${head}${answer.body}`);
  // Takes the bytes away from a parser that may have stopped in the middle of a message.
  socket.removeAllListeners('data');
  socket.on('data', () => {});
  linger(socket);
  return requestId;
}
