import { IncomingMessage, ServerResponse } from 'node:http';
import {
  createSecureServer,
  Http2ServerRequest,
  Http2ServerResponse,
  type ServerHttp2Session,
} from 'node:http2';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import {
  http1Settings,
  http2Settings,
  type Listener,
  type ListenerOptions,
  type TlsPair,
  tcpOptions,
} from './port-listener.ts';

/** Both protocols by ALPN; a client without ALPN gets HTTP/1.1. */
export function createTlsListener(options: ListenerOptions, tls: TlsPair): Listener {
  const { connections, http1: gate1, http2: gate2, limits } = options;
  const server = createSecureServer({
    ...tcpOptions(),
    ...http2Settings(options),
    cert: tls.cert,
    key: tls.key,
    allowHTTP1: true,
    handshakeTimeout: limits.headerTimeoutMs,
  });
  // After the constructor, which sets a `shouldUpgradeCallback` of its own.
  Object.assign(server, http1Settings(options));

  let opening: TLSSocket | null = null;
  const handshaking = new Map<string, Socket>();
  server.on('connection', (socket: Socket) => {
    connections.accept(socket);
    const ends = endsOf(socket);
    handshaking.set(ends, socket);
    socket.once('close', () => {
      if (handshaking.get(ends) === socket) handshaking.delete(ends);
    });
  });
  // Before Node's own listener, which emits `session` from within where ALPN chose h2.
  server.prependListener('secureConnection', (socket) => {
    opening = socket;
    const ends = endsOf(socket);
    makeResettable(socket, handshaking.get(ends));
    handshaking.delete(ends);
    gate1.connection(socket);
  });
  server.on('secureConnection', (socket) => {
    opening = null;
    if (connections.get(socket)?.kind !== 'http1') return;
    keepRecordsWhilePaused(socket);
    // The handshake began before the drain, the first request didn't.
    if (gate1.draining) socket.destroy();
  });
  server.on('session', (session: ServerHttp2Session) => {
    if (opening !== null) gate2.connection(session, opening);
  });

  server.on('request', (req, res) => {
    if (req instanceof IncomingMessage && res instanceof ServerResponse) gate1.request(req, res);
    else if (req instanceof Http2ServerRequest && res instanceof Http2ServerResponse) gate2.request(req, res);
  });
  // Passed over, as in port-cleartext.ts.
  server.on('checkExpectation', (req, res) => server.emit('request', req, res));
  server.on('checkContinue', (req, res) => {
    if (req instanceof IncomingMessage && res instanceof ServerResponse) gate1.checkContinue(req, res);
    else if (req instanceof Http2ServerRequest && res instanceof Http2ServerResponse)
      gate2.checkContinue(req, res);
  });
  server.on('connect', (req: unknown, res: unknown) => {
    if (req instanceof IncomingMessage) gate1.connect(req, req.socket);
    else if (req instanceof Http2ServerRequest && res instanceof Http2ServerResponse) gate2.connect(req, res);
  });
  server.on('upgrade', (req, socket, head) => gate1.upgrade(req, socket, head));
  // A failed handshake comes here too, with a socket that no connection was made of.
  server.on('clientError', (error: Error, socket: Socket) => gate1.clientError(error, socket));
  return {
    server: server as typeof server & { closeIdleConnections(): void },
    setTls: (pair) => server.setSecureContext({ cert: pair.cert, key: pair.key }),
  };
}

/**
 * Lets a TLS socket be reset like a TCP one. Node's throws, and to its own client, for one, a connection that ends
 * without close_notify is a clean end: a response that lasts until the close would look complete.
 */
function makeResettable(socket: TLSSocket, tcp: Socket | undefined): void {
  socket.resetAndDestroy = () => {
    if (tcp === undefined) return socket.destroy();
    tcp.resetAndDestroy();
    return socket;
  };
}

/**
 * While a client has yet to take an answer, Node (26.10) stops the socket and its HTTP parser at the next request's
 * first record. The TLS below goes on to give the parser what else has come, which failed that request with HPE_PAUSED,
 * and the connection with it. A listener for data makes Node read through the stream from then on (a quarter dearer, so
 * not before), and the stream keeps those records until the parser goes on.
 */
function keepRecordsWhilePaused(socket: TLSSocket): void {
  socket.once('pause', () => {
    socket.on('data', ignore);
    socket.off('data', ignore);
  });
}

function ignore(): void {}

/** Tells a connection from all others that are open; how a TLS socket is found the TCP socket below it. */
function endsOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort} ${socket.localAddress}`;
}
