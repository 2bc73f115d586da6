import { createServer as createHttp1Server } from 'node:http';
import {
  createServer as createHttp2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from 'node:http2';
import type { Socket } from 'node:net';
import {
  http1Settings,
  http2Settings,
  type Listener,
  type ListenerOptions,
  tcpOptions,
} from './port-listener.ts';
import { SniffedConnection } from './port-sniff.ts';

/** HTTP/1.1 and HTTP/2 with prior knowledge on one cleartext server. */
export function createCleartextListener(options: ListenerOptions): Listener {
  const { connections, http1: gate1, http2: gate2, limits } = options;
  // This server listens itself: Node watches headersTimeout for a server that does, and for no other.
  const http1 = createHttp1Server(tcpOptions());
  Object.assign(http1, http1Settings(options));
  const http2 = createHttp2Server(http2Settings(options));

  const [serveHttp1] = http1.listeners('connection');
  http1.removeAllListeners('connection');
  let opening: Socket | null = null;
  http2.on('session', (session) => {
    if (opening !== null) gate2.connection(session, opening);
  });
  const targets = {
    http1(socket: Socket): void {
      gate1.connection(socket);
      serveHttp1?.call(http1, socket);
    },
    http2(socket: Socket): void {
      // An HTTP/1 client may close its sending side and wait for the answer; an HTTP/2 client that does has gone.
      socket.allowHalfOpen = false;
      opening = socket;
      http2.emit('connection', socket);
      opening = null;
    },
    refused: (error, requestId) => options.handlers.report?.(error, requestId),
  } satisfies ConstructorParameters<typeof SniffedConnection>[2];
  http1.on('connection', (socket) => {
    connections.accept(socket);
    connections.set(socket, new SniffedConnection(socket, limits.headerTimeoutMs, targets));
  });

  http1.on('request', (req, res) => gate1.request(req, res));
  http1.on('checkContinue', (req, res) => gate1.checkContinue(req, res));
  // An expectation that nobody knows may be passed over (RFC 9110 §10.1.1); Node would answer 417 behind our back.
  http1.on('checkExpectation', (req, res) => gate1.request(req, res));
  http1.on('upgrade', (req, socket, head) => gate1.upgrade(req, socket, head));
  http1.on('connect', (req) => gate1.connect(req, req.socket));
  http1.on('clientError', (error, socket) => gate1.clientError(error, socket as Socket));
  http2.on('request', (req, res) => gate2.request(req, res));
  http2.on('checkContinue', (req, res) => gate2.checkContinue(req, res));
  http2.on('checkExpectation', (req, res) => gate2.request(req, res));
  http2.on('connect', (req: Http2ServerRequest, res: Http2ServerResponse) => gate2.connect(req, res));
  return { server: http1, setTls: null };
}
