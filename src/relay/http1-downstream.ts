import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { headerLines } from '../base/header-lines.ts';
import { linger } from '../base/linger.ts';
import { reset } from '../base/reset.ts';
import { encodeLastChunk } from '../upstream/http1/request-head.ts';
import type { BodySink, Downstream, DownstreamListener, RequestBody } from './downstream.ts';

/** Bodies up to this size travel with the head in one write. */
const ONE_WRITE_BYTES = 16 * 1024;

/**
 * The exchanges under way on one client connection: one, or several when the client pipelines. One `close`
 * listener a connection instead of one a response.
 */
class ClientConnection {
  /** An array, not a Set: base/deadlines.ts says why. */
  readonly open: Http1Downstream[] = [];

  constructor(socket: Socket) {
    socket.on('close', () => {
      for (const downstream of this.open.splice(0)) downstream.gone();
    });
  }

  remove(downstream: Http1Downstream): void {
    const index = this.open.indexOf(downstream);
    if (index !== -1) this.open.splice(index, 1);
  }
}

const connections = new WeakMap<Socket, ClientConnection>();

export interface Http1DownstreamOptions {
  readonly expectsContinue: boolean;
  /** How long a client may take nothing of what waits for it. */
  readonly stallTimeoutMs: number;
}

/** An exchange on `node:http`'s server. */
export class Http1Downstream implements Downstream {
  listener: DownstreamListener | null = null;
  bytesOut = 0;
  /** So that the connection can be kept; the idle timeout watches over it. */
  readonly discardableBytes = 64 * 1024;
  readonly expectsContinue: boolean;
  readonly body: RequestBody;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #connection: ClientConnection;
  readonly #stallTimeoutMs: number;
  /** The body is chunked, and the framing is written here. */
  #framing = false;
  #drainWatched = false;
  #closing = false;

  constructor(request: IncomingMessage, response: ServerResponse, options: Http1DownstreamOptions) {
    this.#request = request;
    this.#response = response;
    this.expectsContinue = options.expectsContinue;
    this.#stallTimeoutMs = options.stallTimeoutMs;
    this.body = bodyOf(request);
    const { socket } = request;
    let connection = connections.get(socket);
    if (connection === undefined) {
      connection = new ClientConnection(socket);
      connections.set(socket, connection);
    }
    this.#connection = connection;
    connection.open.push(this);
  }

  get method(): string {
    return this.#request.method ?? 'GET';
  }

  get headers(): readonly string[] {
    return this.#request.rawHeaders;
  }

  get headSent(): boolean {
    return this.#response.headersSent;
  }

  readBody(sink: BodySink): void {
    const { body } = this;
    if (body.kind !== 'length') {
      this.#request.on('data', (chunk: Buffer) => sink.onBodyData(chunk));
      this.#request.on('end', () => sink.onBodyEnd(this.#request.rawTrailers));
      return;
    }
    // The last byte is the end; Node's own event comes two turns of the event loop later.
    let missing = body.length;
    if (missing === 0) sink.onBodyEnd([]);
    else {
      this.#request.on('data', (chunk: Buffer) => {
        missing -= chunk.length;
        sink.onBodyData(chunk);
        if (missing === 0) sink.onBodyEnd([]);
      });
    }
  }

  pauseBody(): void {
    this.#request.pause();
  }

  resumeBody(): void {
    this.#request.resume();
  }

  sendContinue(): void {
    this.#response.writeContinue();
  }

  writeInterim(status: number, reason: string, headers: readonly string[]): void {
    const { socket } = this.#response;
    // A pipelined response has no socket until its turn comes, and a hint is not worth a buffer that fills.
    if (socket === null || socket.writableNeedDrain || this.#response.headersSent) return;
    if (this.#request.httpVersion !== '1.1') return;
    socket.write(`HTTP/1.1 ${status} ${reason}\r\n${headerLines(headers)}\r\n`, 'latin1');
  }

  writeHead(status: number, reason: string, headers: readonly string[]): void {
    this.#storeHead(status, reason, headers);
    // Node frames a chunk in four pieces; one string of our own costs a token of a stream a tenth less.
    this.#framing = this.#response.chunkedEncoding;
    this.#response.chunkedEncoding = false;
    // Not `flushHeaders`, which would encode bytes beyond ASCII as UTF-8.
    this.#response.write('', 'latin1');
    // Node keeps the request's head as long as the response: a kilobyte and more on every idle stream.
    this.#request.rawHeaders = [];
    this.#request.headers = {};
  }

  write(chunk: Buffer): boolean {
    this.bytesOut += chunk.length;
    if (this.#writeChunk(chunk)) return true;
    if (!this.#drainWatched) {
      this.#drainWatched = true;
      this.#response.on('drain', () => {
        this.#response.setTimeout(0);
        this.listener?.onClientDrain();
      });
    }
    this.#watchStall();
    return false;
  }

  end(trailers: readonly string[]): void {
    if (this.#framing) this.#response.end(encodeLastChunk(trailers), 'latin1');
    else this.#response.end();
    this.#watchStall();
    this.#finished();
  }

  respond(status: number, reason: string, headers: readonly string[], body: Buffer): void {
    this.#storeHead(status, reason, headers);
    this.bytesOut += body.length;
    if (body.length === 0) this.#response.end();
    else if (body.length <= ONE_WRITE_BYTES) {
      // Head and body become one string and one write.
      this.#response.end(body.toString('latin1'), 'latin1');
    } else this.#response.end(Buffer.from(body));
    this.#watchStall();
    this.#finished();
  }

  break(): void {
    this.#connection.remove(this);
    const { socket } = this.#request;
    // HTTP/1.0 has no chunks, and the end of the connection may be the end of the body: only a reset tells.
    if (this.#response.headersSent && this.#request.httpVersion === '1.0') reset(socket);
    else {
      this.#watchStall();
      socket.destroySoon();
    }
  }

  closeAfterResponse(): void {
    this.#closing = true;
    // Node closes through this method. At once, while the client still sends, would be a reset, and that can overtake
    // the response in the client's kernel.
    const { socket } = this.#request;
    socket.destroySoon = () => linger(socket);
  }

  /** The connection closed under this exchange. */
  gone(): void {
    this.listener?.onClientGone();
  }

  /** The chunk is copied: the reader's buffer is used again, and a socket may keep what it can't send at once. */
  #writeChunk(chunk: Buffer): boolean {
    if (!this.#framing) return this.#response.write(Buffer.from(chunk));
    const size = `${chunk.length.toString(16)}\r\n`;
    if (chunk.length <= ONE_WRITE_BYTES) {
      return this.#response.write(`${size}${chunk.toString('latin1')}\r\n`, 'latin1');
    }
    this.#response.write(size, 'latin1');
    this.#response.write(Buffer.from(chunk));
    return this.#response.write('\r\n', 'latin1');
  }

  #storeHead(status: number, reason: string, headers: readonly string[]): void {
    const sent = this.#closing ? [...headers, 'Connection', 'close'] : (headers as string[]);
    this.#response.writeHead(status, reason, sent);
  }

  /**
   * A client that takes nothing of what waits for it is cut: Node closes a socket whose timeout nobody listens to, and
   * counts a write that makes progress as life.
   */
  #watchStall(): void {
    const { socket, writableLength } = this.#response;
    if (socket !== null && writableLength > 0) this.#response.setTimeout(this.#stallTimeoutMs);
  }

  #finished(): void {
    this.#connection.remove(this);
  }
}

function bodyOf(request: IncomingMessage): RequestBody {
  const { headers } = request;
  if (headers['transfer-encoding'] !== undefined) return { kind: 'unknown_length' };
  const length = headers['content-length'];
  return length === undefined ? { kind: 'none' } : { kind: 'length', length: Number(length) };
}
