import type { IncomingMessage } from 'node:http';
import type { ServerOptions } from 'node:http2';
import type { Server } from 'node:net';
import type { Limits } from '../base/config/config.ts';
import type { Connections } from './port-connections.ts';
import type { PortHandlers } from './port-handlers.ts';
import type { Http1Gate } from './port-http1.ts';
import type { Http2Gate } from './port-http2.ts';

export interface TlsPair {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** The socket that accepts, with the protocols behind it, before it listens; see port-cleartext.ts and port-tls.ts. */
export interface Listener {
  readonly server: Server & { closeIdleConnections(): void };
  /** Null on a cleartext port. */
  readonly setTls: ((tls: TlsPair) => void) | null;
}

export interface ListenerOptions {
  readonly limits: Limits;
  readonly maxStreams: number;
  readonly idleTimeoutMs: number;
  readonly handlers: PortHandlers;
  readonly connections: Connections;
  readonly http1: Http1Gate;
  readonly http2: Http2Gate;
}

/** What one stream may have on the way to us before we have read it. */
const STREAM_WINDOW_BYTES = 1024 * 1024;
/** `:method`, `:scheme`, `:authority`, `:path` and `:protocol`. */
const PSEUDO_HEADERS = 5;

export function tcpOptions(): { keepAlive: boolean; keepAliveInitialDelay: number; noDelay: boolean } {
  // Probes find a peer that vanished without a word while a long stream is quiet.
  return { keepAlive: true, keepAliveInitialDelay: 60_000, noDelay: true };
}

/**
 * HTTP/1 settings as properties: the one way that works for `http.Server` and for the secure server's HTTP/1 side,
 * whose constructor takes only some of them as options.
 */
export function http1Settings(options: ListenerOptions): Record<string, unknown> {
  const { limits, http1 } = options;
  return {
    headersTimeout: limits.headerTimeoutMs,
    // An upload may take as long as it flows; the relay watches each exchange for standstill.
    requestTimeout: 0,
    // How late headersTimeout may be noticed.
    connectionsCheckingInterval: Math.min(1_000, Math.max(25, Math.ceil(limits.headerTimeoutMs / 4))),
    keepAliveTimeout: options.idleTimeoutMs,
    maxHeaderSize: limits.maxHeaderBytes,
    // Node cuts off what exceeds this without a word: one more than allowed tells the screening.
    maxHeadersCount: limits.maxHeaders + 1,
    // `screenRequest` refuses it, with the envelope.
    requireHostHeader: false,
    // Whatever NODE_OPTIONS says.
    insecureHTTPParser: false,
    shouldUpgradeCallback: (req: IncomingMessage) => http1.shouldUpgrade(req),
  };
}

export function http2Settings(options: ListenerOptions): ServerOptions {
  const { limits, maxStreams } = options;
  return {
    settings: {
      maxConcurrentStreams: maxStreams,
      initialWindowSize: STREAM_WINDOW_BYTES,
      // Told to the client; nghttp2 resets a stream beyond it, before there is a request to answer with 431.
      maxHeaderListSize: limits.maxHeaderBytes,
      enableConnectProtocol: true,
      enablePush: false,
    },
    // One more than allowed, so that the screening can answer 431.
    maxHeaderListPairs: limits.maxHeaders + PSEUDO_HEADERS + 1,
    // MiB of queued frames, beyond which new streams are refused: `maxStreams` slow readers with full buffers.
    maxSessionMemory: 32,
    maxSessionInvalidFrames: 100,
    maxSessionRejectedStreams: 100,
    // Rapid reset (CVE-2023-44487): a client may cancel all its streams a few times over, but not go on doing so.
    streamResetBurst: 1_000,
    streamResetRate: 33,
    // A response with two Content-Types or ETags passes as the upstream sent it; Node would throw.
    strictSingleValueFields: false,
  };
}
