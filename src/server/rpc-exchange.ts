import { ServerResponse } from 'node:http';
import { constants, type ServerHttp2Stream } from 'node:http2';
import { type ConnectError, createContextValues } from '@connectrpc/connect';
import type { UniversalServerRequest, UniversalServerResponse } from '@connectrpc/connect/protocol';
import { linger } from '../base/linger.ts';
import type { RequestPath } from '../base/request-path.ts';
import { type Call, callKey, REQUEST_ID_HEADER } from '../service/call.ts';
import { clientLeft, connectErrorFrom } from '../service/errors.ts';
import type { RequestLog } from '../telemetry/request-log.ts';
import type { RpcBody, RpcRequest, RpcResponse } from './rpc-body.ts';
import { failureOnWire } from './rpc-failure.ts';
import { readableGrpcMessage } from './rpc-grpc-message.ts';
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
      if (piece === undefined && answer.trailer === undefined) {
        this.#sendHeadAlone(answer);
        return;
      }
      this.#sendHead(answer);
    }
    if (answer.header?.has('content-length') && piece?.done === false) {
      // A unary answer of Connect: one piece, and no trailers.
      this.#end(answer, piece.value, piece.value);
      return;
    }
    let last: Uint8Array | undefined;
    while (!this.#closed && piece?.done === false) {
      last = piece.value;
      if (!this.#write(last)) await this.#drained();
      if (!this.#closed) piece = await pieces?.next();
    }
    if (this.#closed) {
      // Lets the implementation's `finally` run.
      await pieces?.return?.();
      return;
    }
    if (answer.trailer !== undefined) {
      readableGrpcMessage(answer.trailer);
      this.#options.response.addTrailers(Object.fromEntries(answer.trailer));
    }
    this.#end(answer, last, null);
  }

  /** On HTTP/2 the head itself ends the stream: gRPC's "Trailers-Only". */
  #sendHeadAlone(answer: UniversalServerResponse): void {
    const { response } = this.#options;
    const head = this.#headOf(answer);
    this.#answered = true;
    this.#noteFailure(answer, undefined);
    if (response instanceof ServerResponse) response.writeHead(answer.status, head).end();
    else response.stream.respond([':status', String(answer.status), ...head], { endStream: true });
  }

  #sendHead(answer: UniversalServerResponse): void {
    const { response } = this.#options;
    const head = this.#headOf(answer);
    if (response instanceof ServerResponse) response.writeHead(answer.status, head);
    else response.writeHead(answer.status, head);
  }

  #headOf({ header }: UniversalServerResponse): string[] {
    const { body, call, response } = this.#options;
    const head: string[] = [];
    header?.forEach((value, name) => {
      head.push(name, value);
    });
    head.push(REQUEST_ID_HEADER, call.id);
    // A body that nobody will read any more would be read and dropped by Node for as long as the client sends: with
    // the response the connection (HTTP/1) or the stream (HTTP/2) ends instead.
    if (!(response instanceof ServerResponse)) {
      const { stream } = response;
      stream.once('wantTrailers', () => giveUpStream(stream, body));
    } else if (!body.arrived) {
      const { socket } = response.req;
      socket.destroySoon = () => {
        body.discard();
        linger(socket);
      };
      head.push('connection', 'close');
    }
    return head;
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
    if (response instanceof ServerResponse) response.req.socket.resetAndDestroy();
    else response.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  }

  #close(): void {
    const { body, call, log, path, procedure, quiet, request, response } = this.#options;
    this.#closed = true;
    const finished =
      response instanceof ServerResponse ? response.writableFinished : response.stream.writableFinished;
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

/**
 * How long a client may send on behind the end of the response; what comes is dropped. Most end by themselves when
 * they have the trailers. A reset at once can overtake them within nghttp2 while TLS is still writing.
 */
const LATE_BODY_MS = 250;

function giveUpStream(stream: ServerHttp2Stream, body: RpcBody): void {
  if (stream.readableEnded || stream.destroyed) return;
  body.discard();
  const timer = setTimeout(() => {
    if (!stream.readableEnded && !stream.destroyed) stream.close(constants.NGHTTP2_NO_ERROR);
  }, LATE_BODY_MS);
  stream.once('close', () => clearTimeout(timer));
}
