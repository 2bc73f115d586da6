import { STATUS_CODES } from 'node:http';
import type { DescService } from '@bufbuild/protobuf';
import { createContextValues, type Transport } from '@connectrpc/connect';
import { type Deadlined, unwatch, watch } from '../base/deadlines.ts';
import { errorAnswer } from '../base/error-answer.ts';
import { SluiceError } from '../base/errors.ts';
import { nextRequestId } from '../base/request-id.ts';
import type { RequestPath } from '../base/request-path.ts';
import { type Bridge, type BridgeMatch, type BridgeRequestBody, createBridge } from '../bridge/bridge.ts';
import type { BridgeResponse } from '../bridge/bridge-response.ts';
import type { BodySink, Downstream, DownstreamListener } from '../relay/downstream.ts';
import { holdPiece } from '../relay/held-pieces.ts';
import { type Admit, withAdmission } from '../service/admission.ts';
import { callKey, REQUEST_ID_HEADER } from '../service/call.ts';
import type { RequestLog } from '../telemetry/request-log.ts';
import { encodeRestError, restErrorFrom } from './rest-errors.ts';
import { restRecord } from './rest-record.ts';

export interface RestOptions {
  readonly services: readonly DescService[];
  /** Calls them in process: `RpcServer.transport`. */
  readonly transport: Transport;
  readonly admit: Admit;
  /** One record a call. */
  readonly log: RequestLog;
  /** How long nothing may come of a body that has to come. */
  readonly bodyTimeoutMs: number;
  /** Largest request body, bytes; default 4 MiB. */
  readonly maxBodyBytes?: number;
}

/** The services' methods as plain HTTP/JSON, at the paths of their `google.api.http` annotations. */
export interface Rest {
  readonly bridge: Bridge;
  /**
   * Answers a request whose path one of the annotations has, whatever its method.
   * @returns false for any other path; nothing has happened then
   */
  serve(downstream: Downstream, path: RequestPath): boolean;
}

/** @throws BindingError for annotations that can't be served */
export function createRest(options: RestOptions): Rest {
  const { services, transport, admit, maxBodyBytes } = options;
  const bridge = createBridge({
    services,
    transport,
    admit: async (method, headers, values) => withAdmission(values, await admit(method, headers)),
    encodeError: encodeRestError,
    // The documented paths end in slashes, some of them, and clients don't always.
    trailingSlash: 'optional',
    ...(maxBodyBytes !== undefined && { maxBodyBytes }),
  });
  return {
    bridge,
    serve(downstream, path) {
      const match = bridge.match(downstream.method, path.raw);
      if (match === null) return false;
      void new RestExchange(downstream, path, match, bridge, options).run();
      return true;
    },
  };
}

const NEVER = Number.POSITIVE_INFINITY;
const EMPTY = Buffer.alloc(0);

/** One call over REST. It is the body that the bridge reads, and hears of the client. */
class RestExchange implements BridgeRequestBody, BodySink, DownstreamListener, Deadlined {
  deadlineAt = NEVER;
  watchIndex = -1;
  readonly length: number | null;
  readonly #id = nextRequestId();
  readonly #startedAt = performance.now();
  readonly #downstream: Downstream;
  readonly #path: RequestPath;
  readonly #match: BridgeMatch;
  readonly #bridge: Bridge;
  readonly #options: RestOptions;
  readonly #gone = new AbortController();
  readonly #held: Buffer[] = [];
  #bytesIn = 0;
  #status = 0;
  #body: 'unread' | 'reading' | 'given_up' | 'read';
  #maxBytes = 0;
  #read: PromiseWithResolvers<Uint8Array | null> | null = null;
  #onDrain: (() => void) | null = null;

  constructor(
    downstream: Downstream,
    path: RequestPath,
    match: BridgeMatch,
    bridge: Bridge,
    options: RestOptions,
  ) {
    const { body } = downstream;
    this.#downstream = downstream;
    this.#path = path;
    this.#match = match;
    this.#bridge = bridge;
    this.#options = options;
    this.length = body.kind === 'length' ? body.length : null;
    this.#body = body.kind === 'none' || this.length === 0 ? 'read' : 'unread';
  }

  /** Never rejects. */
  async run(): Promise<void> {
    const downstream = this.#downstream;
    downstream.listener = this;
    const response = await this.#bridge.handle(this.#match, {
      query: this.#path.query,
      headers: downstream.headers,
      body: this.#body === 'read' ? null : this,
      signal: this.#gone.signal,
      values: createContextValues().set(callKey, { id: this.#id, failure: null }),
    });
    try {
      if (!this.#gone.signal.aborted) await this.#respond(response);
      this.#finish(response.failure());
    } catch (thrown) {
      // A header that HTTP can't carry, from an implementation.
      this.#breakOff(thrown);
    } finally {
      if (!(response.body instanceof Uint8Array)) await response.body.return?.();
    }
  }

  // --- the request's body

  read(maxBytes: number): Promise<Uint8Array | null> {
    const read = Promise.withResolvers<Uint8Array | null>();
    this.#read = read;
    this.#maxBytes = maxBytes;
    this.#body = 'reading';
    if (this.#downstream.expectsContinue) this.#downstream.sendContinue();
    this.#touchBody();
    watch(this);
    this.#downstream.readBody(this);
    return read.promise;
  }

  onBodyData(chunk: Buffer): void {
    if (this.#body !== 'reading') return;
    this.#bytesIn += chunk.length;
    if (this.#bytesIn > this.#maxBytes) {
      this.#stopReading('given_up');
      this.#downstream.pauseBody();
      this.#read?.resolve(null);
      return;
    }
    holdPiece(this.#held, chunk);
    this.#touchBody();
  }

  onBodyEnd(): void {
    if (this.#body !== 'reading') return;
    this.#stopReading('read');
    const [first = EMPTY] = this.#held;
    this.#read?.resolve(this.#held.length > 1 ? Buffer.concat(this.#held) : first);
  }

  onBodyFault(fault: SluiceError): void {
    if (this.#body !== 'reading') return;
    this.#stopReading('given_up');
    this.#read?.reject(fault);
  }

  /** The client sent nothing for too long. */
  expire(): void {
    const seconds = this.#options.bodyTimeoutMs / 1000;
    this.onBodyFault(
      new SluiceError('request_timeout', `No byte of the request body came for ${seconds} s (body_timeout).`),
    );
  }

  #touchBody(): void {
    this.deadlineAt = performance.now() + this.#options.bodyTimeoutMs;
  }

  #stopReading(body: 'given_up' | 'read'): void {
    this.#body = body;
    this.deadlineAt = NEVER;
    unwatch(this);
  }

  // --- the response

  onClientGone(): void {
    this.#gone.abort();
    this.onBodyFault(new SluiceError('client_closed', 'The client left before its request was complete.'));
    this.onClientDrain();
  }

  onClientDrain(): void {
    const onDrain = this.#onDrain;
    this.#onDrain = null;
    onDrain?.();
  }

  async #respond({ status, headers, body, trailers }: BridgeResponse): Promise<void> {
    const downstream = this.#downstream;
    // Whatever of it comes later would be read and dropped, as slowly as the client likes.
    if (this.#body !== 'read') downstream.closeAfterResponse();
    this.#status = status;
    const sent = [...withoutRequestId(headers), REQUEST_ID_HEADER, this.#id];
    const reason = STATUS_CODES[status] ?? '';
    const isHead = downstream.method === 'HEAD';
    if (body instanceof Uint8Array) {
      sent.push('content-length', String(body.length));
      const bytes = Buffer.from(body.buffer, body.byteOffset, body.length);
      downstream.respond(status, reason, sent, isHead ? EMPTY : bytes);
    } else if (isHead) downstream.respond(status, reason, sent, EMPTY);
    else {
      downstream.writeHead(status, reason, sent);
      await this.#stream(body);
      if (!this.#gone.signal.aborted) downstream.end(withoutRequestId(trailers()));
    }
  }

  /** Asks for a message when the client has taken the one before. */
  async #stream(body: AsyncIterator<Uint8Array, void>): Promise<void> {
    while (!this.#gone.signal.aborted) {
      const { done, value } = await body.next();
      if (done === true || this.#gone.signal.aborted) return;
      const taken = this.#downstream.write(Buffer.from(value.buffer, value.byteOffset, value.length));
      if (!taken) {
        await new Promise<void>((resolve) => {
          this.#onDrain = resolve;
        });
      }
    }
  }

  #breakOff(thrown: unknown): void {
    const downstream = this.#downstream;
    const error = restErrorFrom(thrown);
    if (downstream.headSent) downstream.break();
    else {
      this.#status = error.status;
      const { status, reason, headers, body } = errorAnswer(error, this.#id);
      downstream.respond(status, reason, headers, downstream.method === 'HEAD' ? EMPTY : body);
    }
    this.#finish(error);
  }

  #finish(failure: unknown): void {
    const downstream = this.#downstream;
    unwatch(this);
    downstream.listener = null;
    // Paused: what is left is read on for as long as the connection lingers.
    if (this.#body === 'given_up') downstream.resumeBody();
    this.#options.log(
      restRecord({
        id: this.#id,
        httpMethod: downstream.method,
        path: this.#path,
        match: this.#match,
        status: this.#status,
        failure: failure === null ? null : restErrorFrom(failure),
        clientLeft: this.#gone.signal.aborted,
        bytesIn: this.#bytesIn,
        bytesOut: downstream.bytesOut,
        durationMs: performance.now() - this.#startedAt,
      }),
    );
  }
}

/** The transport says the id as well, in another place than all other answers. */
function withoutRequestId(headers: readonly string[]): string[] {
  return headers.filter((_, index) => headers[index - (index % 2)] !== REQUEST_ID_HEADER);
}
