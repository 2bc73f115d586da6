import { type Admission, NO_GRANT } from '../access/admit.ts';
import type { Grant } from '../access/limiter.ts';
import { type Deadlined, unwatch, watch } from '../base/deadlines.ts';
import { errorAnswer } from '../base/error-answer.ts';
import { SluiceError, sluiceErrorFrom } from '../base/errors.ts';
import { nextRequestId } from '../base/request-id.ts';
import type { RequestPath } from '../base/request-path.ts';
import type { Outcome } from '../telemetry/request-log.ts';
import type { UpstreamCall, UpstreamFailure, UpstreamHandler, UpstreamHead } from '../upstream/client.ts';
import type { Destination } from '../upstream/destination.ts';
import { type Lease, ModelAsleep } from '../upstream/pick.ts';
import { bodyScanner } from './body-model.ts';
import type { BodySink, Downstream, DownstreamListener } from './downstream.ts';
import {
  admitTo,
  destinationOf,
  leaseTarget,
  loggablePath,
  type RelayContext,
  refuseKeyInPath,
  routeLabel,
  takeFor,
} from './enter.ts';
import { holdPiece } from './held-pieces.ts';
import { giveBack, Meter } from './meter.ts';
import type { ModelScanner } from './model-scanner.ts';
import { outboundFrom } from './outbound.ts';
import { outgoingBody } from './outgoing-body.ts';
import { upstreamTrailers } from './request-headers.ts';
import { downstreamHeaders, passableTrailers } from './response-headers.ts';
import { errorFromFailure } from './upstream-error.ts';

const NEVER = Number.POSITIVE_INFINITY;

/** How much of a body is read while its request waits. */
const WAITING_HOLD_BYTES = 1024 * 1024;

/**
 * Relays one request: `entering` until the door has said who asks, `reading` until its target is known (`waiting` while
 * its limits are asked elsewhere, or its model is being loaded), `sending` until the upstream's head is there,
 * `answering` until the end.
 */
type Phase = 'entering' | 'reading' | 'waiting' | 'sending' | 'answering' | 'done';

/** Starts relaying; everything that happens to the exchange afterwards is answered and logged by it. */
export function relay(downstream: Downstream, path: RequestPath, context: RelayContext): void {
  new RelayExchange(downstream, path, context).start();
}

class RelayExchange implements UpstreamHandler, DownstreamListener, BodySink, Deadlined {
  deadlineAt = NEVER;
  watchIndex = -1;
  readonly #id = nextRequestId();
  readonly #startedAt = performance.now();
  readonly #downstream: Downstream;
  readonly #path: RequestPath;
  #context: RelayContext;
  #phase: Phase = 'entering';
  #destination: Destination | null = null;
  #admission: Admission | null = null;
  /** Null: the caller has no limits. */
  #meter: Meter | null = null;
  #lease: Lease | null = null;
  #call: UpstreamCall | null = null;
  #scanner: ModelScanner | null = null;
  #held: Buffer[] = [];
  #model: string | null = null;
  #bytesIn = 0;
  #bodyRead: boolean;
  #head: UpstreamHead | null = null;
  #headHeaders: readonly string[] = [];
  #status = 0;
  #firstByteAt: number | null = null;
  #reading = false;
  #trailers: readonly string[] = NO_HEADERS;

  constructor(downstream: Downstream, path: RequestPath, context: RelayContext) {
    this.#downstream = downstream;
    this.#path = path;
    this.#context = context;
    this.#bodyRead = downstream.body.kind === 'none';
  }

  start(): void {
    this.#downstream.listener = this;
    try {
      const { method, headers, callHeaders } = this.#downstream;
      const destination = destinationOf(this.#context, method, this.#path);
      this.#destination = destination;
      const admission = admitTo(this.#context, destination, { headers, callHeaders, path: this.#path });
      if (admission instanceof Promise) this.#awaitAdmission(admission);
      else this.#enter(admission);
    } catch (error) {
      this.#refuse(sluiceErrorFrom(error));
    }
  }

  // --- the request's way in

  /** Nothing is read of the body meanwhile; its client may leave. */
  #awaitAdmission(admission: Promise<Admission>): void {
    admission
      .then((admitted) => {
        if (this.#phase === 'entering') this.#enter(admitted);
      })
      .catch((error: unknown) => this.#abandon(sluiceErrorFrom(error)));
  }

  #enter(admission: Admission): void {
    this.#admission = admission;
    this.#phase = 'reading';
    refuseKeyInPath(this.#path, admission);
    this.#openBody(admission);
  }

  #openBody(admission: Admission): void {
    const { body, headers, expectsContinue } = this.#downstream;
    if (body.kind === 'none') {
      this.#send(null);
      return;
    }
    const destination = this.#destination as Destination;
    this.#scanner = bodyScanner({ destination, admission, headers });
    if (this.#scanner === null && destination.kind === 'route' && body.kind === 'unknown_length') {
      // Nothing in the body decides where it goes, and its sender may wait for an answer to its head.
      this.#send(null);
    }
    if (expectsContinue) this.#downstream.sendContinue();
    this.#reading = true;
    this.#touchBody();
    watch(this);
    this.#downstream.readBody(this);
  }

  onBodyData(chunk: Buffer): void {
    if (this.#phase === 'done') return;
    this.#bytesIn += chunk.length;
    try {
      this.#scanner?.scan(chunk);
      if (this.#phase === 'reading') {
        this.#hold(chunk);
        if (this.#phase === 'reading') this.#touchBody();
      } else if (this.#phase === 'waiting') {
        this.#holdWhileWaiting(chunk);
      } else if (this.#call?.write(chunk) === false) this.#waitForUpstream();
      else this.#touchBody();
    } catch (error) {
      this.#abandon(sluiceErrorFrom(error));
    }
  }

  onBodyEnd(trailers: readonly string[]): void {
    if (this.#phase === 'done') return;
    this.#bodyRead = true;
    this.deadlineAt = NEVER;
    unwatch(this);
    try {
      if (this.#phase === 'reading') this.#send(null);
      this.#trailers = trailers;
      this.#endBody();
    } catch (error) {
      this.#abandon(sluiceErrorFrom(error));
    }
  }

  onBodyFault(fault: SluiceError): void {
    this.#abandon(fault);
  }

  #hold(chunk: Buffer): void {
    holdPiece(this.#held, chunk);
    const scanner = this.#scanner;
    if (scanner === null || scanner.inert) {
      this.#send(null);
    } else if (scanner.found !== null) {
      this.#send(scanner.found.name);
    } else if (this.#bytesIn > this.#context.limits.maxBodyBytes) {
      throw new SluiceError(
        'body_too_large',
        `No "model" in the first ${this.#context.limits.maxBodyBytes} bytes of the body (max_body_bytes): put it first.`,
        { param: 'model' },
      );
    }
  }

  #endBody(): void {
    this.#call?.end(upstreamTrailers(this.#trailers, this.#admission as Admission));
  }

  /** The target is known: takes the request off its key's limits and sends what is there; the rest follows as it comes. */
  #send(model: string | null): void {
    const { headers } = this.#downstream;
    const destination = this.#destination as Destination;
    const admission = this.#admission as Admission;
    this.#model = this.#scanner?.found?.name ?? null;
    const grant = takeFor(this.#context, { destination, admission, headers, model, path: this.#path });
    if (grant instanceof Promise) this.#waitFor(grant, (taken) => this.#sendGranted(taken, model), giveBack);
    else this.#sendGranted(grant, model);
  }

  #sendGranted(grant: Grant, model: string | null): void {
    const { caller } = this.#admission as Admission;
    if (caller.kind === 'key' && grant !== NO_GRANT) this.#meter = new Meter(grant, caller.key);
    this.#pick(model);
  }

  #pick(model: string | null): void {
    const { headers } = this.#downstream;
    const destination = this.#destination as Destination;
    const admission = this.#admission as Admission;
    try {
      this.#lease = leaseTarget(this.#context, { destination, admission, headers, model });
    } catch (error) {
      if (!(error instanceof ModelAsleep)) throw error;
      this.#waitFor(this.#context.wake(error.model), (context) => {
        this.#context = context;
        this.#pick(model);
      });
      return;
    }
    this.#sendTo(this.#lease);
  }

  /** Holds the request until something is there that it can't go on without; its client may be slow or leave meanwhile. */
  #waitFor<T>(awaited: Promise<T>, goOn: (there: T) => void, ifLeft: (there: T) => void = () => {}): void {
    this.#phase = 'waiting';
    awaited
      .then((there) => {
        if (this.#phase !== 'waiting') {
          ifLeft(there);
          return;
        }
        this.#phase = 'reading';
        if (this.#reading && !this.#bodyRead) this.#downstream.resumeBody();
        goOn(there);
        if (this.#bodyRead) this.#endBody();
      })
      .catch((error: unknown) => this.#abandon(sluiceErrorFrom(error)));
  }

  /** Reads on, because a client that leaves is seen only while it is read; but not for ever. */
  #holdWhileWaiting(chunk: Buffer): void {
    holdPiece(this.#held, chunk);
    if (this.#bytesIn > WAITING_HOLD_BYTES) {
      this.deadlineAt = NEVER;
      this.#downstream.pauseBody();
    } else this.#touchBody();
  }

  #sendTo(lease: Lease): void {
    const { headers, method, body } = this.#downstream;
    const destination = this.#destination as Destination;
    const admission = this.#admission as Admission;
    const { upstreamModel } = lease;
    const outgoing = outgoingBody({
      announced: body,
      held: this.#held,
      scanner: this.#scanner,
      upstreamModel,
    });
    this.#held = [];
    const outbound = outboundFrom({
      destination,
      admission,
      lease,
      path: this.#path,
      headers,
      framing: outgoing.framing,
      upgrade: false,
    });
    this.#context.detail?.upstreamRequest(this.#id, {
      ...outbound,
      method,
      origin: outbound.origin.key,
      configured: lease.headers,
    });
    this.#phase = 'sending';
    this.#call = this.#context.client.dispatch(
      {
        ...outbound,
        method,
        body: outgoing.body,
        timeouts: lease.timeouts,
        upgrade: false,
        guarded: lease.guarded,
      },
      this,
    );
    const { first } = outgoing;
    if (first === null) return;
    if (first.length === 0 || this.#call.write(first)) this.#touchBody();
    else this.#waitForUpstream();
  }

  #waitForUpstream(): void {
    this.#downstream.pauseBody();
    this.deadlineAt = NEVER; // the upstream is slow, not the client
  }

  onDrain(): void {
    if (this.#bodyRead || this.#phase === 'done') return;
    this.#touchBody();
    this.#downstream.resumeBody();
  }

  // --- the response's way back

  onInterim(head: UpstreamHead): void {
    if (this.#phase !== 'sending') return;
    // The same fields have no place in a 1xx as in trailers.
    this.#downstream.writeInterim(head.status, head.reason, passableTrailers(head.headers));
  }

  onHead(head: UpstreamHead, more: boolean): void {
    this.#firstByteAt = performance.now();
    this.#context.detail?.upstreamResponse(this.#id, head);
    this.#head = head;
    this.#status = head.status;
    const meter = this.#meter;
    if (meter === null) this.#headHeaders = downstreamHeaders(head.headers, this.#id);
    else {
      this.#headHeaders = downstreamHeaders(head.headers, this.#id, meter.headers);
      meter.begin(head, this.#lease?.prices ?? NO_PRICES, () => this.#bytesIn);
    }
    if (!this.#bodyRead && !this.#isShortRest()) this.#downstream.closeAfterResponse();
    if (!more) this.#flushHead(head);
  }

  onData(chunk: Buffer): boolean {
    this.#meter?.scan(chunk);
    const head = this.#head;
    if (head !== null) {
      if (head.length === chunk.length) {
        // All of it is here: one write instead of two.
        this.#head = null;
        this.#phase = 'answering';
        this.#downstream.respond(head.status, head.reason, this.#headHeaders, chunk);
        this.#finish('complete', null, null);
        return true;
      }
      this.#flushHead(head);
    }
    if (this.#phase !== 'answering') return true;
    return this.#downstream.write(chunk);
  }

  onEnd(trailers: readonly string[]): void {
    if (this.#phase === 'done') return;
    const head = this.#head;
    if (head !== null) {
      this.#head = null;
      if (trailers.length === 0) {
        this.#downstream.respond(head.status, head.reason, this.#headHeaders, EMPTY);
        this.#finish('complete', null, null);
        return;
      }
      this.#flushHead(head);
    }
    this.#downstream.end(passableTrailers(trailers));
    this.#finish('complete', null, null);
  }

  onError(failure: UpstreamFailure): void {
    if (this.#phase === 'done') return;
    const error = errorFromFailure(failure, this.#lease?.name ?? 'upstream');
    if (this.#downstream.headSent) {
      this.#downstream.break();
      this.#finish('upstream_failed', failure.kind, failure);
    } else this.#answer(error, 'upstream_failed', failure.kind);
  }

  #flushHead(head: UpstreamHead): void {
    this.#head = null;
    this.#phase = 'answering';
    this.#downstream.writeHead(head.status, head.reason, this.#headHeaders);
    // An idle stream keeps nothing that it has no more use for.
    this.#headHeaders = NO_HEADERS;
    if (this.#bodyRead) this.#scanner = null;
  }

  // --- ends

  /** The client sent nothing for too long. */
  expire(): void {
    const seconds = this.#context.limits.bodyTimeoutMs / 1000;
    this.#abandon(
      new SluiceError('request_timeout', `No byte of the request body came for ${seconds} s (body_timeout).`),
    );
  }

  onClientDrain(): void {
    this.#call?.resume();
  }

  onClientGone(): void {
    if (this.#phase === 'done') return;
    this.#call?.abort();
    this.#status = this.#status === 0 ? 499 : this.#status;
    this.#finish('client_left', null, null);
  }

  /** Gives up a request that may already be on its way to the upstream. */
  #abandon(error: SluiceError): void {
    if (this.#phase === 'done') return;
    this.#call?.abort();
    if (this.#downstream.headSent) {
      this.#downstream.break();
      this.#finish('refused', error.reason, error.cause);
    } else this.#refuse(error);
  }

  #refuse(error: SluiceError): void {
    this.#answer(error, 'refused', error.reason);
  }

  #answer(error: SluiceError, outcome: Outcome, why: string): void {
    if (!this.#bodyRead && (this.#downstream.expectsContinue || !this.#isShortRest())) {
      this.#downstream.closeAfterResponse();
    }
    this.#status = error.status;
    const { status, reason, headers, body } = errorAnswer(error, this.#id);
    const limits = this.#meter?.headers ?? NO_HEADERS;
    this.#downstream.respond(status, reason, limits.length === 0 ? headers : [...headers, ...limits], body);
    this.#finish(outcome, why, error.cause);
  }

  /** The rest of the body is small enough to be read and dropped. */
  #isShortRest(): boolean {
    const { body, discardableBytes } = this.#downstream;
    return body.kind === 'length' && body.length - this.#bytesIn <= discardableBytes;
  }

  /** What the upstream has refused or never had costs nothing; what its client didn't wait for, what a request costs. */
  #isToBePaid(outcome: Outcome): boolean {
    if (this.#call === null) return false;
    return this.#firstByteAt === null ? outcome === 'client_left' : this.#status < 400;
  }

  #touchBody(): void {
    this.deadlineAt = performance.now() + this.#context.limits.bodyTimeoutMs;
  }

  #finish(outcome: Outcome, why: string | null, cause: unknown): void {
    this.#phase = 'done';
    this.deadlineAt = NEVER;
    unwatch(this);
    this.#meter?.settle(this.#isToBePaid(outcome) ? (this.#lease?.prices ?? null) : null);
    this.#lease?.release();
    if (this.#reading && !this.#bodyRead) this.#downstream.resumeBody();
    this.#downstream.listener = null;
    const now = performance.now();
    this.#context.log({
      id: this.#id,
      method: this.#downstream.method,
      path: loggablePath(this.#path, this.#admission),
      route: this.#destination === null ? null : routeLabel(this.#destination),
      target: this.#lease?.name ?? null,
      model: this.#model,
      status: this.#status,
      outcome,
      why,
      bytesIn: this.#bytesIn,
      bytesOut: this.#downstream.bytesOut,
      firstByteMs: this.#firstByteAt === null ? null : this.#firstByteAt - this.#startedAt,
      durationMs: now - this.#startedAt,
      cause: cause ?? null,
    });
  }
}

const EMPTY = Buffer.alloc(0);
const NO_HEADERS: readonly string[] = [];
const NO_PRICES: Readonly<Record<string, number>> = {};
