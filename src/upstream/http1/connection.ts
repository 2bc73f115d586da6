import { isIP, type LookupFunction, connect as netConnect, type Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import { type Deadlined, unwatch, watch } from '../../base/deadlines.ts';
import {
  type FailureKind,
  type Origin,
  STALE_WINDOW_MS,
  UpstreamFailure,
  type UpstreamHead,
} from '../client.ts';
import { ForbiddenAddress, refusedSocket } from '../guarded-lookup.ts';
import type { Carrier, Exchange } from './exchange.ts';
import { ProtocolError } from './grammar.ts';
import { encodeHead, encodeLastChunk } from './request-head.ts';
import { ResponseParser, type ResponseSink } from './response-parser.ts';

/**
 * Two read buffers for all cleartext connections: reads are handed on synchronously and copied by whoever keeps
 * them, so an idle stream costs no buffer of its own. A reader that keeps up is served in large pieces (10 MB in 40
 * reads: 960 MB/s, where small ones make 560); for a slow one no more than a small piece waits here.
 */
const SMALL_READS = Buffer.allocUnsafeSlow(64 * 1024);
const LARGE_READS = Buffer.allocUnsafeSlow(256 * 1024);

/** A pause beyond this is not a large write that went through at once, but a reader who is behind. */
const SLOW_READER_MS = 5;

/** An idle connection is given up before the shortest common server timeout (uvicorn: 5 s) can hit a request. */
const IDLE_MS = 4_000;

const NEVER = Number.POSITIVE_INFINITY;

export interface ConnectionOptions {
  readonly connectTimeoutMs: number;
  /** The connection will be handed over on 101, so it is read in the ordinary way. */
  readonly upgrade: boolean;
  /** No forbidden address is connected to; `lookup` is then a `guardedLookup`. */
  readonly guarded: boolean;
  /** Null: the system's. */
  readonly lookup: LookupFunction | null;
  readonly verifyTls: boolean;
  readonly ca: string | Buffer | null;
  readonly tlsSessions: Map<string, Buffer>;
}

/** Who holds connections that are idle. */
export interface ConnectionOwner {
  /** Takes a connection back whose exchange is complete and whose peer keeps it open. */
  release(connection: Connection): void;
  /** Forgets an idle connection that closed. */
  discard(connection: Connection): void;
}

type Phase = 'connecting' | 'idle' | 'busy' | 'closed';

/** One connection to an upstream, carrying one exchange after another. */
export class Connection implements Carrier, ResponseSink, Deadlined {
  readonly origin: Origin;
  readonly guarded: boolean;
  deadlineAt = NEVER;
  watchIndex = -1;
  readonly #owner: ConnectionOwner;
  readonly #parser: ResponseParser;
  readonly #socket: Socket;
  #phase: Phase = 'connecting';
  #reused = false;
  #paused = false;
  #pausedAt = 0;
  #reads = SMALL_READS;
  /** What a streamed request of known length still has to send. */
  #bodyLeft = 0;
  #exchange: Exchange | null = null;

  constructor(origin: Origin, owner: ConnectionOwner, options: ConnectionOptions) {
    this.origin = origin;
    this.guarded = options.guarded;
    this.#owner = owner;
    this.#parser = new ResponseParser(this);
    this.#socket = this.#open(options);
    this.#socket.setNoDelay(true);
    this.#socket.on('drain', () => this.#onDrain());
    this.#socket.on('end', () => this.#onEnd());
    this.#socket.on('error', (error) => this.#onError(error));
    this.#socket.on('close', () => this.#onClose());
    this.deadlineAt = performance.now() + options.connectTimeoutMs;
    watch(this);
  }

  /** False when the peer has closed it in the meantime. */
  get usable(): boolean {
    return this.#phase === 'idle' && !this.#socket.destroyed && this.#socket.writable;
  }

  start(exchange: Exchange): void {
    this.#exchange = exchange;
    exchange.connection = this;
    const { request } = exchange;
    this.#parser.expect(request.method, request.upgrade);
    if (this.#phase === 'idle') {
      this.#reused = true;
      this.#phase = 'busy';
      this.deadlineAt = NEVER;
    }
    const head = encodeHead(request.method, request.path, request.headers);
    const { body } = request;
    if (body.kind === 'stream') this.#bodyLeft = body.length ?? 0;
    switch (body.kind) {
      case 'none':
      case 'stream':
        this.#socket.write(head, 'latin1');
        break;
      case 'text':
        // One string, one write: a head and a body apart would be a writev, which is dearer.
        this.#socket.write(head + body.latin1, 'latin1');
        break;
      case 'whole':
        this.#socket.cork();
        this.#socket.write(head, 'latin1');
        this.#socket.write(body.bytes);
        this.#socket.uncork();
        break;
    }
    if (body.kind !== 'stream') this.#requestSent(exchange);
  }

  writeBody(exchange: Exchange, chunk: Buffer): boolean {
    if (exchange !== this.#exchange || exchange.sent || chunk.length === 0) return true;
    let more: boolean;
    if (exchange.request.body.kind === 'stream' && exchange.request.body.length === null) {
      this.#socket.cork();
      this.#socket.write(`${chunk.length.toString(16)}\r\n`, 'latin1');
      this.#socket.write(chunk);
      more = this.#socket.write('\r\n', 'latin1');
      this.#socket.uncork();
    } else {
      this.#bodyLeft -= chunk.length;
      if (this.#bodyLeft < 0) {
        this.#refuseLength('longer');
        return true;
      }
      more = this.#socket.write(chunk);
    }
    // An upstream that takes no more of the request owes a sign of life like one that has all of it.
    if (!more && this.deadlineAt === NEVER) this.#awaitFirstByte(exchange);
    return more;
  }

  endBody(exchange: Exchange, trailers: readonly string[]): void {
    if (exchange !== this.#exchange || exchange.sent) return;
    if (exchange.request.body.kind === 'stream' && exchange.request.body.length === null) {
      this.#socket.write(encodeLastChunk(trailers), 'latin1');
    } else if (this.#bodyLeft > 0) {
      this.#refuseLength('shorter');
      return;
    }
    this.#requestSent(exchange);
  }

  pause(): void {
    if (this.#paused || this.#exchange === null) return;
    this.#paused = true;
    this.#pausedAt = performance.now();
    if (this.#phase === 'busy') this.deadlineAt = NEVER; // the client is slow, not the upstream
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (performance.now() - this.#pausedAt > SLOW_READER_MS) this.#reads = SMALL_READS;
    if (this.#exchange?.sent && !this.#parser.begun) this.#awaitFirstByte(this.#exchange);
    this.#touch();
    this.#socket.resume();
  }

  destroy(): void {
    this.#exchange = null;
    this.#socket.destroy();
  }

  expire(): void {
    if (this.#phase === 'idle') {
      this.destroy();
      return;
    }
    const exchange = this.#exchange;
    if (exchange === null) return;
    const { connectTimeoutMs, firstByteTimeoutMs, idleTimeoutMs } = exchange.request.timeouts;
    if (this.#phase === 'connecting') {
      this.#fail(
        new UpstreamFailure(
          'connect_timeout',
          `no connection to ${this.origin.key} in ${connectTimeoutMs} ms`,
        ),
      );
    } else if (!this.#parser.begun) {
      this.#fail(
        new UpstreamFailure(
          'first_byte_timeout',
          `no answer from ${this.origin.key} in ${firstByteTimeoutMs} ms`,
        ),
      );
    } else {
      this.#fail(
        new UpstreamFailure('idle_timeout', `${this.origin.key} sent nothing for ${idleTimeoutMs} ms`),
      );
    }
  }

  // --- what the parser finds

  onHead(head: UpstreamHead, more: boolean): void {
    this.#exchange?.handler.onHead(head, more);
  }

  onInterim(head: UpstreamHead): void {
    this.#exchange?.handler.onInterim?.(head);
  }

  onBody(bytes: Buffer): void {
    if (this.#exchange?.handler.onData(bytes) === false) this.pause();
  }

  onComplete(trailers: readonly string[]): void {
    const exchange = this.#exchange;
    if (exchange === null) return;
    this.#exchange = null;
    exchange.connection = null;
    this.deadlineAt = NEVER;
    // An answer that came before the whole request leaves the rest of it on the wire: not to be used again.
    const whole = exchange.sent && this.#socket.writableLength === 0;
    if (this.#parser.reusable && whole && !this.#socket.destroyed) this.#becomeIdle();
    else this.#socket.destroy();
    exchange.handler.onEnd(trailers);
  }

  onSwitch(head: UpstreamHead, rest: Buffer): void {
    const exchange = this.#exchange;
    if (exchange === null) return;
    this.#exchange = null;
    exchange.connection = null;
    this.#phase = 'closed';
    unwatch(this);
    this.#socket.removeAllListeners('data'); // the others have nothing to report without an exchange
    // `rest` is a view into the reader's buffer: the new owner keeps it.
    exchange.handler.onUpgrade?.(head, this.#socket, Buffer.from(rest));
  }

  #open(options: ConnectionOptions): Socket {
    const { hostname: host, port } = this.origin;
    const refused = options.guarded ? refusedSocket(host) : null;
    if (refused !== null) return refused;
    const lookup = options.lookup === null ? {} : { lookup: options.lookup };
    if (this.origin.tls) {
      const session = options.tlsSessions.get(this.origin.key);
      const socket = tlsConnect({
        host,
        port,
        ...lookup,
        ...(isIP(host) === 0 && { servername: host }),
        ALPNProtocols: ['http/1.1'],
        rejectUnauthorized: options.verifyTls,
        ...(options.ca !== null && { ca: options.ca }),
        ...(session !== undefined && { session }),
      });
      socket.on('session', (ticket: Buffer) => options.tlsSessions.set(this.origin.key, ticket));
      socket.once('secureConnect', () => this.#onConnect());
      socket.on('data', (bytes: Buffer) => this.#onBytes(bytes));
      return socket;
    }
    if (options.upgrade) {
      const socket = netConnect({ host, port, ...lookup });
      socket.once('connect', () => this.#onConnect());
      socket.on('data', (bytes: Buffer) => this.#onBytes(bytes));
      return socket;
    }
    const socket = netConnect({
      host,
      port,
      ...lookup,
      onread: {
        // Asked again after each read.
        buffer: () => this.#reads,
        callback: (length: number, buffer: Uint8Array) => {
          const reads = buffer === LARGE_READS ? LARGE_READS : SMALL_READS;
          if (length === SMALL_READS.length) this.#reads = LARGE_READS;
          this.#onBytes(reads.subarray(0, length));
          return !this.#paused;
        },
      },
    });
    socket.once('connect', () => this.#onConnect());
    return socket;
  }

  #onConnect(): void {
    if (this.#phase !== 'connecting') return;
    this.#phase = 'busy';
    this.deadlineAt = NEVER;
    const exchange = this.#exchange;
    if (exchange !== null && (exchange.sent || this.#socket.writableNeedDrain))
      this.#awaitFirstByte(exchange);
  }

  /** What follows a body of another length than announced would be read as the next request, or as its rest. */
  #refuseLength(relation: 'longer' | 'shorter'): void {
    this.#fail(new UpstreamFailure('protocol', `the request's body is ${relation} than its Content-Length`));
  }

  #onDrain(): void {
    const exchange = this.#exchange;
    if (exchange === null) return;
    if (!exchange.sent && !this.#parser.begun) this.deadlineAt = NEVER;
    exchange.handler.onDrain();
  }

  #requestSent(exchange: Exchange): void {
    exchange.sent = true;
    if (!this.#parser.begun) this.#awaitFirstByte(exchange);
  }

  #awaitFirstByte(exchange: Exchange): void {
    if (this.#phase !== 'busy' || this.#paused) return;
    this.deadlineAt = performance.now() + exchange.request.timeouts.firstByteTimeoutMs;
  }

  /** Since a request was sent that still waits for its answer; below zero while it is being sent. */
  #msSince(exchange: Exchange): number {
    return performance.now() - (this.deadlineAt - exchange.request.timeouts.firstByteTimeoutMs);
  }

  #touch(): void {
    const exchange = this.#exchange;
    if (exchange !== null && !this.#paused && this.#parser.begun) {
      exchange.forgetRequest();
      this.deadlineAt = performance.now() + exchange.request.timeouts.idleTimeoutMs;
    }
  }

  #onBytes(bytes: Buffer): void {
    if (this.#exchange === null) {
      // Unasked-for bytes on an idle connection, or the rest of one that was given up.
      this.destroy();
      return;
    }
    try {
      this.#parser.execute(bytes);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#fail(new UpstreamFailure('protocol', `${this.origin.key}: ${error.message}`, error));
      return;
    }
    this.#touch();
  }

  #becomeIdle(): void {
    const hintMs = this.#parser.keepAliveHintMs;
    const idleMs = hintMs === null ? IDLE_MS : Math.min(IDLE_MS, hintMs - 1_000);
    if (idleMs <= 0) {
      this.#socket.destroy();
      return;
    }
    this.#phase = 'idle';
    if (this.#paused) {
      this.#paused = false;
      this.#socket.resume();
    }
    this.deadlineAt = performance.now() + idleMs;
    this.#owner.release(this);
  }

  #onEnd(): void {
    const exchange = this.#exchange;
    if (exchange === null) return;
    try {
      this.#parser.finish();
    } catch (error) {
      this.#fail(new UpstreamFailure('reset', `${this.origin.key}: ${String(error)}`, error));
    }
  }

  #onError(error: Error & { code?: string }): void {
    const reason = `${this.origin.key}: ${error.message}`;
    if (this.#phase !== 'connecting') this.#fail(new UpstreamFailure('reset', reason, error));
    else this.#fail(new UpstreamFailure(kindOfConnectError(error), reason, error));
  }

  #onClose(): void {
    if (this.#phase === 'idle') this.#owner.discard(this);
    const connecting = this.#phase === 'connecting';
    this.#fail(
      new UpstreamFailure(connecting ? 'connect' : 'reset', `${this.origin.key}: connection closed`),
    );
    this.#phase = 'closed';
    unwatch(this);
  }

  #fail(failure: UpstreamFailure): void {
    const exchange = this.#exchange;
    this.#exchange = null;
    const isSuspect = this.#reused && this.#parser.silent && failure.kind === 'reset';
    const stale = isSuspect && exchange !== null && this.#msSince(exchange) <= STALE_WINDOW_MS;
    this.#socket.destroy();
    exchange?.fail(failure, stale);
  }
}

function kindOfConnectError(error: Error & { code?: string }): FailureKind {
  if (error instanceof ForbiddenAddress) return 'forbidden_address';
  return isTlsFault(error.code) ? 'tls' : 'connect';
}

/** OpenSSL's and Node's own names for a certificate or handshake that failed. */
function isTlsFault(code: string | undefined): boolean {
  return code !== undefined && /CERT|TLS|SSL|SELF_SIGNED|VERIFY|EPROTO|ISSUER/.test(code);
}
