import { isIP, type LookupFunction, connect as netConnect, type Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import { type buildConnector, Client } from 'undici';
import type { Origin } from '../client.ts';
import { refusedSocket } from '../guarded-lookup.ts';

/** An idle connection is given up before the shortest common server timeout (uvicorn: 5 s) can hit a request. */
const IDLE_MS = 4_000;
const MAX_HEAD_BYTES = 256 * 1024;

export interface ConnectOptions {
  /** No forbidden address is connected to; `lookup` is then a `guardedLookup`. */
  readonly guarded: boolean;
  /** Null: the system's. */
  readonly lookup: LookupFunction | null;
  readonly verifyTls: boolean;
  readonly ca: string | Buffer | null;
  /** TLS sessions to resume, by origin. */
  readonly tlsSessions: Map<string, Buffer>;
}

/**
 * One undici `Client`, used as one connection. A `Pool` would choose the connection itself: then nobody could say
 * whether a failed request had met a stale one, nor close just the one that a client gave up.
 */
export class UndiciConnection {
  readonly origin: Origin;
  readonly guarded: boolean;
  readonly client: Client;
  /** An exchange has been completed on the present socket. */
  used = false;
  #socket: Socket | null = null;
  #broken = false;

  /** `onClosed` is told when the socket is gone; undici would open another for the next request. */
  constructor(origin: Origin, options: ConnectOptions, onClosed: (connection: UndiciConnection) => void) {
    this.origin = origin;
    this.guarded = options.guarded;
    this.client = new Client(origin.key, {
      connect: (_options, callback) => this.#connect(options, callback),
      pipelining: 1,
      allowH2: false,
      maxHeaderSize: MAX_HEAD_BYTES,
      // Time limits are the exchange's business.
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: IDLE_MS,
      keepAliveMaxTimeout: IDLE_MS,
      keepAliveTimeoutThreshold: 1_000,
    });
    this.client.on('disconnect', () => onClosed(this));
  }

  /** All that was written is with the kernel. */
  get flushed(): boolean {
    return this.#socket?.writableLength === 0;
  }

  /** The socket ended with an error: a reset, where undici may see the end of a body. */
  get broken(): boolean {
    return this.#broken;
  }

  /** Lets go of a socket that has been handed over. */
  release(): void {
    this.#socket = null;
  }

  /** Closes at once, in whatever state. */
  destroy(): void {
    // undici knows nothing of a socket that is still connecting.
    this.#socket?.destroy();
    this.client.destroy().catch(() => {});
  }

  #connect(options: ConnectOptions, callback: buildConnector.Callback): void {
    this.used = false;
    this.#broken = false;
    const socket =
      (options.guarded ? refusedSocket(this.origin.hostname) : null) ??
      (this.origin.tls ? this.#openTls(options) : this.#openPlain(options));
    this.#socket = socket;
    socket.setNoDelay(true);
    let connected = false;
    socket.on('error', (error) => {
      this.#broken = true;
      if (!connected) callback(error, null);
    });
    socket.once(this.origin.tls ? 'secureConnect' : 'connect', () => {
      connected = true;
      callback(null, socket);
    });
  }

  #openPlain({ lookup }: ConnectOptions): Socket {
    const { hostname: host, port } = this.origin;
    return netConnect({ host, port, ...(lookup !== null && { lookup }) });
  }

  #openTls({ lookup, verifyTls, ca, tlsSessions }: ConnectOptions): Socket {
    const { hostname: host, port, key } = this.origin;
    const session = tlsSessions.get(key);
    const socket = tlsConnect({
      host,
      port,
      ...(lookup !== null && { lookup }),
      ...(isIP(host) === 0 && { servername: host }),
      ALPNProtocols: ['http/1.1'],
      rejectUnauthorized: verifyTls,
      ...(ca !== null && { ca }),
      ...(session !== undefined && { session }),
    });
    socket.on('session', (ticket: Buffer) => tlsSessions.set(key, ticket));
    return socket;
  }
}
