import {
  constants,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import { lingerStream } from '../base/linger.ts';
import type { BodySink, Downstream, DownstreamListener, RequestBody } from './downstream.ts';
import { http2Headers, http2Status, withoutPseudoHeaders } from './raw-headers.ts';

/** An exchange on one HTTP/2 stream. Names are lower case and have no order of their own there (RFC 9113 §8.2). */
export class Http2Downstream implements Downstream {
  listener: DownstreamListener | null = null;
  bytesOut = 0;
  /** A stream costs nothing to give up, and one that waits for its client would hold its connection for good. */
  readonly discardableBytes = 0;
  readonly expectsContinue: boolean;
  readonly headers: readonly string[];
  readonly body: RequestBody;
  readonly #request: Http2ServerRequest;
  readonly #response: Http2ServerResponse;
  readonly #stream: ServerHttp2Stream;
  readonly #stallTimeoutMs: number;
  #ended = false;
  #closing = false;

  /** `stallTimeoutMs`: how long a client may take nothing of what waits for it. */
  constructor(request: Http2ServerRequest, response: Http2ServerResponse, stallTimeoutMs: number) {
    this.#stallTimeoutMs = stallTimeoutMs;
    this.#request = request;
    this.#response = response;
    this.#stream = response.stream;
    this.headers = withoutPseudoHeaders(request.rawHeaders, request.authority);
    this.expectsContinue = request.headers.expect?.toLowerCase() === '100-continue';
    this.body = bodyOf(request);
    this.#stream.on('close', () => {
      if (!this.#ended || this.#stream.rstCode !== constants.NGHTTP2_NO_ERROR) this.listener?.onClientGone();
    });
    this.#stream.on('drain', () => {
      this.#stream.setTimeout(0);
      this.listener?.onClientDrain();
    });
    this.#stream.on('timeout', () => this.#stream.close(constants.NGHTTP2_CANCEL));
    // A stream's error is followed by its close, which is what counts here.
    this.#stream.on('error', () => {});
  }

  get method(): string {
    return this.#request.method;
  }

  get headSent(): boolean {
    return this.#stream.headersSent;
  }

  readBody(sink: BodySink): void {
    this.#request.on('data', (chunk: Buffer) => sink.onBodyData(chunk));
    this.#request.on('end', () => sink.onBodyEnd(this.#request.rawTrailers));
  }

  pauseBody(): void {
    this.#request.pause();
  }

  resumeBody(): void {
    this.#request.resume();
  }

  sendContinue(): void {
    this.#stream.additionalHeaders({ ':status': 100 });
  }

  writeInterim(status: number, _reason: string, headers: readonly string[]): void {
    if (this.#stream.destroyed || this.#stream.closed || this.#stream.headersSent) return;
    this.#stream.additionalHeaders({ ':status': status, ...http2Headers(headers) });
  }

  writeHead(status: number, _reason: string, headers: readonly string[]): void {
    if (this.#stream.destroyed || this.#stream.closed) return;
    this.#stream.respond(headOf(status, headers), { waitForTrailers: true });
  }

  write(chunk: Buffer): boolean {
    this.bytesOut += chunk.length;
    if (this.#stream.write(Buffer.from(chunk))) return true;
    this.#watchStall();
    return false;
  }

  end(trailers: readonly string[]): void {
    this.#ended = true;
    // node:http2's own response object answers `wantTrailers` with these.
    this.#response.addTrailers(http2Headers(trailers));
    if (this.#closing) lingerStream(this.#request, this.#stallTimeoutMs);
    this.#stream.end();
    if (this.#stream.writableLength > 0) this.#watchStall();
  }

  #watchStall(): void {
    this.#stream.setTimeout(this.#stallTimeoutMs);
  }

  /** In frames that leave together: some clients end their request wrongly as soon as they have a head. */
  respond(status: number, _reason: string, headers: readonly string[], body: Buffer): void {
    this.#ended = true;
    if (this.#stream.destroyed || this.#stream.closed) return;
    if (this.#closing) lingerStream(this.#request, this.#stallTimeoutMs);
    this.#stream.respond(headOf(status, headers), { endStream: body.length === 0 });
    if (body.length === 0) return;
    this.bytesOut += body.length;
    this.#stream.end(Buffer.from(body));
    if (this.#stream.writableLength > 0) this.#watchStall();
  }

  break(): void {
    this.listener = null;
    this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  }

  /** A stream is the unit here; the connection's other streams are none of its business. */
  closeAfterResponse(): void {
    this.#closing = true;
  }
}

function headOf(status: number, headers: readonly string[]): OutgoingHttpHeaders {
  const sent = http2Headers(headers);
  // nghttp2 takes an announced length that doesn't come for a broken stream.
  if (status === 204) delete sent['content-length'];
  return { ':status': http2Status(status), ...sent };
}

function bodyOf(request: Http2ServerRequest): RequestBody {
  const length = request.headers['content-length'];
  if (length !== undefined) return { kind: 'length', length: Number(length) };
  return request.stream.endAfterHeaders ? { kind: 'none' } : { kind: 'unknown_length' };
}
