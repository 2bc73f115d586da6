import type { AddressInfo } from 'node:net';
import type { Limits } from '../base/config/config.ts';
import { sluiceErrorFrom } from '../base/errors.ts';
import { createCleartextListener } from './port-cleartext.ts';
import { Connections } from './port-connections.ts';
import { Drain, type Drained } from './port-drain.ts';
import type { PortHandlers } from './port-handlers.ts';
import { Http1Gate } from './port-http1.ts';
import { Http2Gate } from './port-http2.ts';
import type { Listener, TlsPair } from './port-listener.ts';
import { createTlsListener } from './port-tls.ts';

export interface PortOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Null: cleartext, HTTP/1.1 and HTTP/2 with prior knowledge. Else both by ALPN. */
  readonly tls: TlsPair | null;
  readonly limits: Limits;
  /** Concurrent streams of one HTTP/2 connection, default 256. */
  readonly maxStreams?: number;
  /** How long a connection without a request is kept, default 75,000. */
  readonly idleTimeoutMs?: number;
  readonly handlers: PortHandlers;
}

/** A port that listens. */
export interface Port {
  readonly address: { readonly host: string; readonly port: number };
  /** TCP connections open now, whatever they speak. */
  readonly connections: number;
  /** Requests, streams and websockets under way now. */
  readonly inFlight: number;
  /**
   * Stops listening at once, closes what is idle and lets the rest finish: `Connection: close` on HTTP/1.1, GOAWAY on
   * HTTP/2. After `deadlineMs` what is left is broken, never cleanly ended. Resolves when no connection is left. Called
   * again, the earlier deadline holds.
   */
  drain(deadlineMs: number): Promise<Drained>;
  /** `drain(0)`. */
  close(): Promise<Drained>;
  /**
   * Another certificate for connections to come.
   * @throws Error if the pair is unusable (the old one then stays) or the port is cleartext.
   */
  setTls(tls: TlsPair): void;
}

/**
 * Opens the one port.
 * @throws Error of one line that says what to do when the address can't be had or the certificate is unusable; the
 * original is its `cause`.
 */
export async function openPort(options: PortOptions): Promise<Port> {
  const { handlers, limits, maxStreams = 256, idleTimeoutMs = 75_000 } = options;
  const connections = new Connections();
  const http1 = new Http1Gate(handlers, connections, limits);
  const http2 = new Http2Gate(handlers, connections, limits, idleTimeoutMs);
  const listenerOptions = { limits, maxStreams, idleTimeoutMs, handlers, connections, http1, http2 };
  const listener =
    options.tls === null
      ? createCleartextListener(listenerOptions)
      : withTlsErrors(options.tls, (tls) => createTlsListener(listenerOptions, tls));
  const { server } = listener;
  // Beyond it Node closes a connection as soon as it has accepted it.
  server.maxConnections = limits.maxConnections;
  await listen(listener, options);
  // Accepting can fail later (EMFILE); the next attempt may not.
  server.on('error', (error: Error) => handlers.report?.(sluiceErrorFrom(error), null));

  const { address: host, port } = server.address() as AddressInfo;
  let started: Drain | null = null;
  function drain(deadlineMs: number): Promise<Drained> {
    http1.draining = true;
    http2.draining = true;
    started ??= new Drain({ server, connections });
    started.within(deadlineMs);
    return started.done;
  }
  return {
    address: { host, port },
    get connections() {
      return connections.accepted.size;
    },
    get inFlight() {
      return connections.inFlight;
    },
    drain,
    close: () => drain(0),
    setTls(tls) {
      const { setTls } = listener;
      if (setTls === null) throw new Error('the port is cleartext: restart to serve TLS');
      withTlsErrors(tls, setTls);
    },
  };
}

function withTlsErrors<T>(tls: TlsPair, use: (tls: TlsPair) => T): T {
  try {
    return use(tls);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`the TLS certificate and key can't be used: ${reason}`, { cause: error });
  }
}

function listen({ server }: Listener, { host, port }: PortOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException): void => {
      reject(new Error(listenMessage(error, host, port), { cause: error }));
    };
    server.once('error', fail);
    server.listen({ host, port }, () => {
      server.off('error', fail);
      resolve();
    });
  });
}

function listenMessage(error: NodeJS.ErrnoException, host: string, port: number): string {
  switch (error.code) {
    case 'EADDRINUSE':
      return `port ${port} on ${host} is taken: stop the other process or choose one with --port`;
    case 'EACCES':
      return `port ${port} on ${host} is not allowed to this user: choose one above 1023 with --port`;
    case 'EADDRNOTAVAIL':
      return `${host} is not an address of this machine: choose one with --host`;
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `the host name ${host} can't be resolved: choose an address with --host`;
    default:
      return `can't listen on port ${port} of ${host}: ${error.message}`;
  }
}
