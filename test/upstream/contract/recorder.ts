import type { Socket } from 'node:net';
import { expect, onTestFinished } from 'vitest';
import type {
  Origin,
  UpstreamCall,
  UpstreamClient,
  UpstreamFailure,
  UpstreamHandler,
  UpstreamHead,
  UpstreamRequest,
} from '../../../src/upstream/client.ts';

/** What a test wants to do the moment something is reported. */
interface Reactions {
  readonly onInterim?: () => void;
  readonly onHead?: () => void;
  /** Its answer is the handler's: false pauses. */
  readonly onData?: (chunk: Buffer) => boolean;
  readonly onEnd?: () => void;
  /** False for large bodies that the test looks at in `onData`. */
  readonly keepBody?: boolean;
}

/** Records what a client reports of one exchange, and holds every report to the contract's order. */
class Recorder implements UpstreamHandler {
  /** `head`, `data`, `end`, `error`, `upgrade` in the order they came; several `data` in a row are one. */
  readonly events: string[] = [];
  head: UpstreamHead | null = null;
  readonly interim: UpstreamHead[] = [];
  more: boolean | null = null;
  bytes = 0;
  trailers: readonly string[] | null = null;
  failure: UpstreamFailure | null = null;
  upgraded: { readonly socket: Socket; readonly rest: Buffer } | null = null;
  drains = 0;
  /** Set by a test that gives the exchange up: nothing may be reported from then on. */
  abandoned = false;
  readonly #reactions: Reactions;
  readonly #chunks: Buffer[] = [];
  readonly #offences: string[] = [];
  #ended = false;
  #wake: (() => void)[] = [];

  constructor(reactions: Reactions = {}) {
    this.#reactions = reactions;
    onTestFinished(() => expect(this.#offences, 'reports against the contract').toEqual([]));
  }

  get body(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  onHead(head: UpstreamHead, more: boolean): void {
    if (this.head !== null) this.#offences.push('a second head');
    this.head = head;
    this.more = more;
    this.#report('head');
    if (more) {
      const reported = this.events.length;
      setImmediate(() => {
        if (this.events.length === reported && !this.abandoned)
          this.#offences.push('more was promised in vain');
      });
    }
    this.#reactions.onHead?.();
  }

  onInterim(head: UpstreamHead): void {
    if (this.head !== null) this.#offences.push('an interim head behind the final one');
    if (this.#ended || this.abandoned) this.#offences.push('an interim head after the end');
    this.interim.push(head);
    this.#reactions.onInterim?.();
    this.#notify();
  }

  onData(chunk: Buffer): boolean {
    if (this.head === null) this.#offences.push('data before a head');
    if (chunk.length === 0) this.#offences.push('empty data');
    this.bytes += chunk.length;
    if (this.#reactions.keepBody !== false) this.#chunks.push(Buffer.from(chunk)); // only valid during the call
    this.#report('data');
    return this.#reactions.onData?.(chunk) ?? true;
  }

  onEnd(trailers: readonly string[]): void {
    if (this.head === null) this.#offences.push('an end before a head');
    this.trailers = trailers;
    this.#report('end');
    this.#ended = true;
    this.#reactions.onEnd?.();
  }

  onError(failure: UpstreamFailure): void {
    this.failure = failure;
    this.#report('error');
    this.#ended = true;
  }

  onDrain(): void {
    if (this.#ended || this.abandoned) this.#offences.push('a drain after the end');
    this.drains++;
    this.#notify();
  }

  onUpgrade(head: UpstreamHead, socket: Socket, rest: Buffer): void {
    this.head = head;
    this.upgraded = { socket, rest };
    onTestFinished(() => {
      socket.destroy();
    });
    this.#report('upgrade');
    this.#ended = true;
  }

  /** Resolves as soon as `condition` holds, which is looked at after each report. */
  async when(condition: (recorder: this) => boolean): Promise<this> {
    while (!condition(this)) {
      await new Promise<void>((resolve) => {
        this.#wake.push(resolve);
      });
    }
    return this;
  }

  /** Resolves with the end; throws what failed instead. */
  async ended(): Promise<this> {
    await this.when((recorder) => recorder.#ended);
    if (this.failure !== null) throw this.failure;
    return this;
  }

  /** Resolves with the failure; an end instead is a fault. */
  async failed(): Promise<UpstreamFailure> {
    await this.when((recorder) => recorder.#ended);
    if (this.failure === null) throw new Error(`no failure but ${this.events.join(', ')}`);
    return this.failure;
  }

  #report(event: string): void {
    if (this.#ended) this.#offences.push(`${event} after the end`);
    if (this.abandoned) this.#offences.push(`${event} after abort`);
    if (event !== 'data' || this.events.at(-1) !== 'data') this.events.push(event);
    this.#notify();
  }

  #notify(): void {
    const waiting = this.#wake;
    this.#wake = [];
    for (const wake of waiting) wake();
  }
}

export interface Sent {
  readonly call: UpstreamCall;
  readonly recorder: Recorder;
}

export type RequestParts = Partial<UpstreamRequest> & { readonly reactions?: Reactions };

/** Sends a request, by default `GET /` with a Host header alone and 10 s for everything. */
export function send(client: UpstreamClient, origin: Origin, parts: RequestParts = {}): Sent {
  const { reactions, ...request } = parts;
  const recorder = new Recorder(reactions);
  const call = client.dispatch(
    {
      origin,
      method: 'GET',
      path: '/',
      headers: ['Host', origin.host],
      body: { kind: 'none' },
      timeouts: { connectTimeoutMs: 10_000, firstByteTimeoutMs: 10_000, idleTimeoutMs: 10_000 },
      upgrade: false,
      guarded: false,
      ...request,
    },
    recorder,
  );
  expect(recorder.events, 'nothing is reported before dispatch returns').toEqual([]);
  return { call, recorder };
}

/** A request with a body that is there as a whole. */
export function post(origin: Origin, body: string | Buffer): RequestParts {
  const bytes = typeof body === 'string' ? Buffer.from(body, 'latin1') : body;
  return {
    method: 'POST',
    headers: ['Host', origin.host, 'Content-Length', String(bytes.length)],
    body: { kind: 'whole', bytes },
  };
}

/** A request whose body follows in pieces: chunked, or of a known length. */
export function upload(origin: Origin, length: number | null): RequestParts {
  const framing = length === null ? ['Transfer-Encoding', 'chunked'] : ['Content-Length', String(length)];
  return {
    method: 'POST',
    headers: ['Host', origin.host, ...framing],
    body: { kind: 'stream', length },
  };
}

/** Lets everything that is already due happen: callbacks, immediates, closed handles. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}
