import { ServerResponse } from 'node:http';
import {
  constants,
  Http2ServerRequest,
  type Http2ServerResponse,
  type ServerStreamResponseOptions,
} from 'node:http2';
import { type ConnectError, createContextValues } from '@connectrpc/connect';
import type { UniversalServerRequest, UniversalServerResponse } from '@connectrpc/connect/protocol';
import { linger, lingerStream } from '../base/linger.ts';
import type { RequestPath } from '../base/request-path.ts';
import { reset } from '../base/reset.ts';
import { type Call, callKey, REQUEST_ID_HEADER } from '../service/call.ts';
import { clientLeft, connectErrorFrom } from '../service/errors.ts';
import type { RequestLog } from '../telemetry/request-log.ts';
import type { RpcBody, RpcRequest, RpcResponse } from './rpc-body.ts';
import { endsStream, failureOnWire } from './rpc-failure.ts';
import { readableGrpcMessage, trailersOnly } from './rpc-grpc-message.ts';
import { recordFrom } from './rpc-record.ts';

export interface RpcExchangeOptions {
  readonly call: Call;
  readonly path: RequestPath;
  readonly request: RpcRequest;
  readonly response: RpcResponse;
  readonly header: Headers;
  readonly body: RpcBody;
  readonly handle: (request: UniversalServerRequest) => Promise<UniversalServerResponse>;
  /** `sluice.v1.ModelService/LoadModel`, or null where the path names no method. */
  readonly procedure: string | null;
  /** A call that went well leaves no record. */
  readonly quiet: boolean;
  /** How long a client may take nothing of what waits for it. */
  readonly stallTimeoutMs: number;
  readonly log: RequestLog;
}

/** Answers up to this size travel with an HTTP/1 head in one write. */
const ONE_WRITE_BYTES = 16 * 1024;

/** One call between Node's request and response and a handler of Connect's router. */
export class RpcExchange {
  readonly #options: RpcExchangeOptions;
  readonly #startedAt = performance.now();
  readonly #abort = new AbortController();
  #status = 200;
  #bytesOut = 0;
  /** The answer's end has been handed over. */
  #answered = false;
  #closed = false;
  #stallWatched = false;
  #onDrain: (() => void) | null = null;

  constructor(options: RpcExchangeOptions) {
    this.#options = options;
    options.response.once('close', () => this.#close());
  }

  async run(): Promise<void> {
    try {
      await this.#respond(await this.#options.handle(this.#universalRequest()));
    } catch (thrown) {
      this.#break(connectErrorFrom(thrown));
    }
  }

  /** The URL is made of the parsed path: `Host` decides nothing, and can't be what makes it invalid. */
  #universalRequest(): UniversalServerRequest {
    const { body, call, header, path, request } = this.#options;
    return {
      httpVersion: request.httpVersion,
      method: request.method ?? 'POST',
      url: `http://localhost${path.raw}${path.query === '' ? '' : `?${path.query}`}`,
      header,
      body,
      signal: this.#abort.signal,
      contextValues: createContextValues().set(callKey, call),
    };
  }

  async #respond(answer: UniversalServerResponse): Promise<void> {
    const pieces = answer.body?.[Symbol.asyncIterator]();
    // The head goes out with the first piece, not before: until then the implementation may set headers.
    let piece = await pieces?.next();
    if (!this.#closed) {
      this.#status = answer.status;
      const alone = piece?.done === false ? null : this.#headAlone(answer);
      if (alone !== null) {
        this.#sendHeadAlone(alone);
        return;
      }
      this.#sendHead(answer);
    }
    let last: Uint8Array | undefined;
    while (!this.#closed && piece?.done === false) {
      last = piece.value;
      if (isLastPiece(answer, last)) {
        this.#end(answer, last, last);
        // Lets the implementation's `finally` run.
        await pieces?.return?.();
        return;
      }
      if (!this.#write(last)) await this.#drained();
      if (!this.#closed) piece = await pieces?.next();
    }
    if (this.#closed) {
      await pieces?.return?.();
      return;
    }
    if (answer.trailer !== undefined) {
      readableGrpcMessage(answer.trailer);
      this.#options.response.addTrailers(Object.fromEntries(answer.trailer));
    }
    this.#end(answer, last, null);
  }

  /** What is sent where no body comes, or null: a head and an end by itself then. */
  #headAlone(answer: UniversalServerResponse): UniversalServerResponse | null {
    if (answer.trailer === undefined) return answer.body === undefined ? answer : null;
    const { body, response } = this.#options;
    return response instanceof ServerResponse || body.arrived ? null : trailersOnly(answer);
  }

  /** On HTTP/2 the head itself ends the stream: gRPC's "Trailers-Only". */
  #sendHeadAlone(answer: UniversalServerResponse): void {
    const { response } = this.#options;
    const head = this.#headOf(answer);
    this.#answered = true;
    this.#noteFailure(answer, undefined);
    this.#giveUpBody();
    if (response instanceof ServerResponse) response.writeHead(answer.status, head).end();
    else respond(response, answer.status, head, { endStream: true });
  }

  #sendHead(answer: UniversalServerResponse): void {
    const { response } = this.#options;
    const head = this.#headOf(answer);
    if (response instanceof ServerResponse) response.writeHead(answer.status, head);
    else {
      // Waiting costs frames of their own: some clients end their request wrongly as soon as they have a head, and
      // would be reset for it before they have the end of an answer that comes early.
      respond(response, answer.status, head, { waitForTrailers: answer.trailer !== undefined });
    }
  }

  #headOf({ header }: UniversalServerResponse): string[] {
    const { body, call, response } = this.#options;
    const head: string[] = [];
    header?.forEach((value, name) => {
      head.push(name, value);
    });
    head.push(REQUEST_ID_HEADER, call.id);
    if (response instanceof ServerResponse && !body.arrived) {
      const { socket } = response.req;
      socket.destroySoon = () => {
        body.discard();
        linger(socket);
      };
      head.push('connection', 'close');
    }
    return head;
  }

  /**
   * A body that nobody will read any more would be read and dropped by Node for as long as the client sends: with the
   * response the stream ends instead, and on HTTP/1 the connection (see `#headOf`).
   */
  #giveUpBody(): void {
    const { body, request, stallTimeoutMs } = this.#options;
    if (!(request instanceof Http2ServerRequest)) return;
    body.giveUp();
    lingerStream(request, stallTimeoutMs);
  }

  #write(piece: Uint8Array): boolean {
    this.#bytesOut += piece.length;
    const { response } = this.#options;
    return response instanceof ServerResponse ? response.write(piece) : response.write(piece);
  }

  /** `rest`: what is still to be written of the body. */
  #end(answer: UniversalServerResponse, last: Uint8Array | undefined, rest: Uint8Array | null): void {
    if (this.#closed) return;
    const { response } = this.#options;
    this.#noteFailure(answer, last);
    this.#answered = true;
    this.#giveUpBody();
    if (rest === null || rest.length === 0) response.end();
    else if (response instanceof ServerResponse && rest.length <= ONE_WRITE_BYTES) {
      // Head and body become one string and one write.
      response.end(Buffer.from(rest.buffer, rest.byteOffset, rest.length).toString('latin1'), 'latin1');
    } else response.end(rest);
    this.#bytesOut += rest?.length ?? 0;
    const { writableLength } = response instanceof ServerResponse ? response : response.stream;
    if (writableLength > 0) this.#watchStall(true);
  }

  /** What no interceptor saw is read off the answer; if it is the body's fault, the body knows more about it. */
  #noteFailure(answer: UniversalServerResponse, last: Uint8Array | undefined): void {
    const { body, call } = this.#options;
    if (call.failure !== null) return;
    const failure = failureOnWire(answer, last);
    call.failure = failure !== null && failure.code === body.failure?.code ? body.failure : failure;
  }

  /** Resolves when the client has taken what waited for it, or has gone. */
  #drained(): Promise<void> {
    const { response } = this.#options;
    this.#watchStall(true);
    return new Promise((resolve) => {
      const done = (): void => {
        response.off('drain', done);
        this.#onDrain = null;
        this.#watchStall(false);
        resolve();
      };
      this.#onDrain = done;
      response.on('drain', done);
    });
  }

  /** A client that takes nothing of what waits for it is cut. Node counts a write that makes progress as life. */
  #watchStall(isWaiting: boolean): void {
    const { response, stallTimeoutMs } = this.#options;
    const timeoutMs = isWaiting ? stallTimeoutMs : 0;
    if (this.#closed) return;
    // Node closes a socket whose timeout nobody listens to; a stream it leaves to us.
    if (response instanceof ServerResponse) response.setTimeout(timeoutMs);
    else {
      if (!this.#stallWatched) {
        this.#stallWatched = true;
        response.stream.on('timeout', () => this.#break(connectErrorFrom(clientLeft())));
      }
      response.stream.setTimeout(timeoutMs);
    }
  }

  /** The response can't go on as it began: the client sees it broken, never cleanly ended. */
  #break(error: ConnectError): void {
    const { call, response } = this.#options;
    if (this.#closed) return;
    call.failure ??= error;
    this.#abort.abort(error);
    if (response instanceof ServerResponse) reset(response.req.socket);
    else response.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  }

  #close(): void {
    const { body, call, log, path, procedure, quiet, request, response } = this.#options;
    this.#closed = true;
    // A stream whose two sides have ended is closed before its last write is said to be done.
    const finished =
      response instanceof ServerResponse
        ? response.writableFinished
        : response.stream.rstCode === constants.NGHTTP2_NO_ERROR;
    if (!this.#answered || !finished) {
      const left = connectErrorFrom(clientLeft());
      call.failure ??= left;
      body.fail(left);
      this.#abort.abort(left);
    }
    this.#onDrain?.();
    if (quiet && call.failure === null) return;
    log(
      recordFrom({
        id: call.id,
        httpMethod: request.method ?? 'POST',
        path: path.raw,
        procedure,
        status: this.#status,
        failure: call.failure,
        bytesIn: body.bytes,
        bytesOut: this.#bytesOut,
        durationMs: performance.now() - this.#startedAt,
      }),
    );
  }
}

function respond(
  { stream }: Http2ServerResponse,
  status: number,
  head: readonly string[],
  options: ServerStreamResponseOptions,
): void {
  if (stream.destroyed || stream.closed) return;
  stream.respond([':status', String(status), ...head], options);
}

/** So that the answer's end leaves with it: a unary answer of Connect is one piece, and streams say so in an envelope. */
function isLastPiece({ header }: UniversalServerResponse, piece: Uint8Array): boolean {
  if (header === undefined) return false;
  return header.has('content-length') || endsStream(header.get('content-type') ?? '', piece);
}
