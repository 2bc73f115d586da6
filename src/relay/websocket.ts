import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type Admission, NO_GRANT } from '../access/admit.ts';
import { errorAnswer } from '../base/error-answer.ts';
import { SluiceError, sluiceErrorFrom } from '../base/errors.ts';
import { nextRequestId } from '../base/request-id.ts';
import type { RequestPath } from '../base/request-path.ts';
import type { Outcome } from '../telemetry/request-log.ts';
import type { UpstreamCall, UpstreamFailure, UpstreamHandler, UpstreamHead } from '../upstream/client.ts';
import type { Destination } from '../upstream/destination.ts';
import { type Lease, ModelAsleep } from '../upstream/pick.ts';
import { isHeldToModels } from './body-model.ts';
import {
  admitTo,
  destinationOf,
  leaseTarget,
  loggablePath,
  type RelayContext,
  refuseKeyInPath,
  routeLabel,
  type TargetRequest,
  takeFor,
} from './enter.ts';
import { giveBack, Meter } from './meter.ts';
import { outboundFrom } from './outbound.ts';
import { downstreamHeaders } from './response-headers.ts';
import type { UpgradeClient } from './upgrade-client.ts';
import { errorFromFailure } from './upstream-error.ts';
import { FrameFollower, goingAwayFrame } from './websocket-frames.ts';

/**
 * Relays a websocket: the handshake like any request, then the bytes of both directions as they come, so that
 * frames, fragments, pings, extensions and close codes are the peers' own.
 */
export function relayWebSocket(client: UpgradeClient, path: RequestPath, context: RelayContext): void {
  new WebSocketExchange(client, path, context).start();
}

/** How long an upstream may keep its side open once the client's has ended. */
const CLOSE_GRACE_MS = 5_000;

class WebSocketExchange implements UpstreamHandler {
  readonly #id = nextRequestId();
  readonly #startedAt = performance.now();
  readonly #client: UpgradeClient;
  readonly #path: RequestPath;
  #loggedPath: string;
  #context: RelayContext;
  readonly #fromClient = new FrameFollower();
  readonly #fromUpstream = new FrameFollower();
  #destination: Destination | null = null;
  #meter: Meter | null = null;
  #lease: Lease | null = null;
  #call: UpstreamCall | null = null;
  #upstream: Socket | null = null;
  #status = 0;
  #model: string | null = null;
  #bytesIn = 0;
  #bytesOut = 0;
  #firstByteAt: number | null = null;
  /** Whose end came first, once the websocket stands. */
  #endedBy: Outcome | null = null;
  #closing: NodeJS.Timeout | null = null;
  #done = false;

  constructor(client: UpgradeClient, path: RequestPath, context: RelayContext) {
    this.#client = client;
    this.#path = path;
    this.#loggedPath = loggablePath(path, null);
    this.#context = context;
  }

  start(): void {
    const { stream } = this.#client;
    stream.on('error', () => {}); // its close follows
    stream.on('close', () => this.#clientGone());
    stream.on('end', () => this.#clientEnded());
    stream.on('readable', this.#awaitEnd);
    try {
      this.#goOn(this.#admission(), (admission) => this.#enter(admission));
    } catch (error) {
      this.#fail(error);
    }
  }

  #admission(): Admission | Promise<Admission> {
    const { headers } = this.#client;
    this.#destination = destinationOf(this.#context, 'GET', this.#path);
    return admitTo(this.#context, this.#destination, { headers, path: this.#path });
  }

  #enter(admission: Admission): void {
    const { headers } = this.#client;
    const destination = this.#destination as Destination;
    this.#loggedPath = loggablePath(this.#path, admission);
    refuseKeyInPath(this.#path, admission);
    this.#model = isModelNamed(destination, admission) ? modelInQuery(this.#path.query) : null;
    const target = { destination, admission, headers, model: this.#model };
    this.#goOn(
      takeFor(this.#context, { ...target, path: this.#path }),
      (grant) => {
        if (admission.caller.kind === 'key' && grant !== NO_GRANT) {
          this.#meter = new Meter(grant, admission.caller.key);
        }
        this.#pick(target);
      },
      giveBack,
    );
  }

  #pick(target: TargetRequest): void {
    try {
      this.#lease = leaseTarget(this.#context, target);
    } catch (error) {
      if (!(error instanceof ModelAsleep)) throw error;
      this.#goOn(this.#context.wake(error.model), (context) => {
        this.#context = context;
        this.#pick(target);
      });
      return;
    }
    this.#send(this.#lease, target);
  }

  /** At once, or when it is there and the client hasn't left. */
  #goOn<T>(awaited: T | Promise<T>, goOn: (there: T) => void, ifLeft: (there: T) => void = () => {}): void {
    if (!(awaited instanceof Promise)) {
      goOn(awaited);
      return;
    }
    awaited
      .then((there) => {
        if (this.#done) ifLeft(there);
        else goOn(there);
      })
      .catch((error: unknown) => this.#fail(error));
  }

  #fail(error: unknown): void {
    if (!this.#done) this.#refuse(sluiceErrorFrom(error), 'refused');
  }

  // While nobody reads, a client's end would go unseen. What it sends before the answer, which it shouldn't (RFC 6455
  // §4.1), waits in the stream.
  readonly #awaitEnd = (): void => {
    const { stream } = this.#client;
    if (stream.readableLength === 0) stream.read();
  };

  #send(lease: Lease, { destination, admission, headers }: TargetRequest): void {
    const outbound = outboundFrom({
      destination,
      admission,
      lease,
      path: withModel(this.#path, this.#model, lease.upstreamModel),
      headers,
      framing: { kind: 'none' },
      upgrade: true,
    });
    this.#context.detail?.upstreamRequest(this.#id, {
      ...outbound,
      method: 'GET',
      origin: outbound.origin.key,
      configured: lease.headers,
    });
    this.#call = this.#context.client.dispatch(
      {
        ...outbound,
        method: 'GET',
        body: { kind: 'none' },
        timeouts: lease.timeouts,
        upgrade: true,
        guarded: lease.guarded,
      },
      this,
    );
  }

  onUpgrade(head: UpstreamHead, upstream: Socket, rest: Buffer): void {
    this.#context.detail?.upstreamResponse(this.#id, head);
    this.#call = null;
    this.#upstream = upstream;
    this.#status = 101;
    this.#firstByteAt = performance.now();
    upstream.on('error', () => {}); // its close follows
    upstream.on('close', () => this.#upstreamGone());
    if (this.#done || !this.#client.accept(head, this.#acceptedHeaders(head))) {
      upstream.destroy();
      if (!this.#done)
        this.#refuse(
          new SluiceError('upstream_broken', 'The upstream botched the websocket handshake.'),
          'upstream_failed',
        );
      return;
    }
    const { stream, early } = this.#client;
    const stallTimeoutMs = this.#context.limits.bodyTimeoutMs;
    stream.off('readable', this.#awaitEnd);
    carry(stream, upstream, stallTimeoutMs, (chunk) => {
      this.#bytesIn += chunk.length;
      this.#fromClient.follow(chunk);
    });
    carry(upstream, stream, stallTimeoutMs, (chunk) => {
      this.#bytesOut += chunk.length;
      this.#fromUpstream.follow(chunk);
    });
    upstream.on('end', () => {
      this.#endedBy ??= 'upstream_failed';
      this.#client.finish();
    });
    if (rest.length > 0) upstream.unshift(rest);
    if (early.length > 0) stream.unshift(early);
  }

  #acceptedHeaders({ headers }: UpstreamHead): readonly string[] {
    return [...headers, ...this.#limits(), 'x-sluice-request-id', this.#id];
  }

  /** Raw name-value pairs of the caller's limits. */
  #limits(): readonly string[] {
    return this.#meter?.headers ?? NO_HEADERS;
  }

  // --- the upstream answered something else than 101: relayed as the answer it is

  onHead(head: UpstreamHead): void {
    this.#context.detail?.upstreamResponse(this.#id, head);
    this.#firstByteAt = performance.now();
    this.#status = head.status;
    this.#meter?.begin(head, this.#lease?.prices ?? {}, () => 0);
    this.#client.decline(head.status, head.reason, downstreamHeaders(head.headers, this.#id, this.#limits()));
    this.#client.stream.on('drain', () => this.#call?.resume());
  }

  onData(chunk: Buffer): boolean {
    this.#bytesOut += chunk.length;
    this.#meter?.scan(chunk);
    return this.#client.stream.write(Buffer.from(chunk));
  }

  onEnd(): void {
    this.#client.finish();
    this.#finish('complete', null, null);
  }

  onError(failure: UpstreamFailure): void {
    if (this.#done) return;
    if (this.#status !== 0) {
      this.#client.break();
      this.#finish('upstream_failed', failure.kind, failure);
    } else
      this.#refuse(
        errorFromFailure(failure, this.#lease?.name ?? 'upstream'),
        'upstream_failed',
        failure.kind,
      );
  }

  onDrain(): void {}

  // --- ends

  /** No websocket client closes its sending side alone: it has left, or will when the upstream's end has come. */
  #clientEnded(): void {
    if (this.#done) return;
    if (this.#upstream === null) {
      this.#clientGone();
      this.#client.break();
      return;
    }
    this.#endedBy ??= 'client_left';
    this.#endUpstream(this.#upstream);
  }

  #clientGone(): void {
    this.#call?.abort();
    const upstream = this.#upstream;
    if (upstream !== null && !upstream.destroyed) {
      this.#endUpstream(upstream);
      upstream.destroySoon();
    }
    this.#endedBy ??= 'client_left';
    this.#finish(this.#closedProperly() ? 'complete' : this.#endedBy, null, null);
  }

  /** A server that sees its client vanish mid-protocol may fall over it (vllm #34532): says goodbye properly. */
  #endUpstream(upstream: Socket): void {
    this.#closing ??= setTimeout(() => upstream.destroy(), CLOSE_GRACE_MS).unref();
    if (!upstream.writable) return;
    if (this.#fromClient.closed || !this.#fromClient.atBorder) upstream.end();
    else upstream.end(goingAwayFrame());
  }

  #upstreamGone(): void {
    if (this.#closing !== null) clearTimeout(this.#closing);
    this.#client.finish();
    this.#endedBy ??= 'upstream_failed';
    this.#finish(this.#closedProperly() ? 'complete' : this.#endedBy, null, null);
  }

  #closedProperly(): boolean {
    return this.#fromClient.closed || this.#fromUpstream.closed;
  }

  #refuse(error: SluiceError, outcome: Outcome, why: string = error.reason): void {
    const { status, reason, headers, body } = errorAnswer(error, this.#id);
    this.#status = status;
    this.#client.decline(status, reason, [...headers, ...this.#limits()]);
    this.#client.stream.write(body);
    this.#client.finish();
    this.#bytesOut = body.length;
    this.#finish(outcome, why, error.cause);
  }

  /** As for any request: what the upstream refused or never had costs nothing. Tokens of a websocket nobody tells. */
  #isToBePaid(): boolean {
    if (this.#firstByteAt !== null) return this.#status < 400;
    return this.#call !== null && this.#endedBy === 'client_left';
  }

  #finish(outcome: Outcome, why: string | null, cause: unknown): void {
    if (this.#done) return;
    this.#done = true;
    this.#client.stream.off('readable', this.#awaitEnd);
    this.#meter?.settle(this.#isToBePaid() ? (this.#lease?.prices ?? null) : null);
    this.#lease?.release();
    this.#context.log({
      id: this.#id,
      method: 'GET',
      path: this.#loggedPath,
      route: this.#destination === null ? null : routeLabel(this.#destination),
      target: this.#lease?.name ?? null,
      model: this.#model,
      status: this.#status === 0 ? 499 : this.#status,
      outcome,
      why,
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
      firstByteMs: this.#firstByteAt === null ? null : this.#firstByteAt - this.#startedAt,
      durationMs: performance.now() - this.#startedAt,
      cause: cause ?? null,
    });
  }
}

const NO_HEADERS: readonly string[] = [];

/** A target that no model decides about has its own reading of the query; a key that is held to models is read first. */
function isModelNamed(destination: Destination, admission: Admission): boolean {
  return destination.kind !== 'route' || isHeldToModels(admission);
}

/** Carries bytes one way with backpressure; a receiver that takes nothing for `stallTimeoutMs` is cut. */
function carry(from: Duplex, to: Duplex, stallTimeoutMs: number, seen: (chunk: Buffer) => void): void {
  const timeOut = (ms: number): void => {
    // Sockets and HTTP/2 streams have a timeout that counts progress of a write as life.
    if ('setTimeout' in to && typeof to.setTimeout === 'function') to.setTimeout(ms);
  };
  from.on('data', (chunk: Buffer) => {
    seen(chunk);
    if (!to.writable || to.write(chunk)) return;
    from.pause();
    timeOut(stallTimeoutMs);
  });
  to.on('timeout', () => to.destroy());
  to.on('drain', () => {
    timeOut(0);
    from.resume();
  });
}

/** @throws SluiceError `duplicate_model`: one server takes the first, another the last */
function modelInQuery(query: string): string | null {
  if (query === '') return null;
  const [model, second] = new URLSearchParams(query).getAll('model');
  if (second !== undefined) {
    throw new SluiceError('duplicate_model', 'The query names more than one "model".', { param: 'model' });
  }
  return model ?? null;
}

/** The query with the upstream's name of the model in place of the client's; the rest as it was. */
function withModel(path: RequestPath, model: string | null, upstreamModel: string | null): RequestPath {
  if (model === null || upstreamModel === null) return path;
  const pairs = path.query.split('&').map((pair) => {
    return new URLSearchParams(pair).has('model') ? `model=${encodeURIComponent(upstreamModel)}` : pair;
  });
  return { ...path, query: pairs.join('&') };
}
