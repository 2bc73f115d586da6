import { constants, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import { type Deadlined, unwatch, watch } from '../base/deadlines.ts';

/** What all streams of a connection may have on the way to us; nghttp2 starts with 64 KiB. */
const CONNECTION_WINDOW_BYTES = 16 * 1024 * 1024;
/** How long a peer may leave the connection open after our GOAWAY; Node would wait for it forever. */
const CLOSE_GRACE_MS = 1_000;
/** How often it is looked whether a stream has been reset without anybody's hearing of it. */
const LOOK_EVERY_MS = 500;

/** The times of one HTTP/2 connection: Node has none for the preface, and its idle timeout counts open streams too. */
export class Http2Connection implements Deadlined {
  readonly kind = 'http2';
  readonly session: ServerHttp2Session;
  deadlineAt: number;
  watchIndex = -1;
  /** When the present stage is over; looks at the streams come in between. */
  #stageEndsAt: number;
  readonly #socket: Socket;
  readonly #idleTimeoutMs: number;
  /** `leaving`: the peer has said GOAWAY and waits for its streams. */
  #stage: 'preface' | 'serving' | 'leaving' | 'closing' = 'preface';
  #writtenBefore = -1;
  readonly #streams = new Set<ServerHttp2Stream>();

  constructor(
    session: ServerHttp2Session,
    socket: Socket,
    times: { readonly prefaceTimeoutMs: number; readonly idleTimeoutMs: number },
  ) {
    this.session = session;
    this.#socket = socket;
    this.#idleTimeoutMs = times.idleTimeoutMs;
    this.#stageEndsAt = performance.now() + times.prefaceTimeoutMs;
    this.deadlineAt = this.#stageEndsAt;
    session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
    // The client's SETTINGS are the preface's second half (RFC 9113 §3.4).
    session.once('remoteSettings', () => this.#greeted());
    session.once('goaway', () => this.#left());
    watch(this);
  }

  /** Streams under way. */
  get open(): number {
    return this.#streams.size;
  }

  begin(stream: ServerHttp2Stream): void {
    this.#streams.add(stream);
    stream.on('aborted', destroyIfLeftOver);
    if (this.#stage === 'preface' || this.#stage === 'serving') this.#endStageIn(Number.POSITIVE_INFINITY);
  }

  /** @returns false when the connection was forgotten before. */
  end(stream: ServerHttp2Stream): boolean {
    if (!this.#streams.delete(stream)) return false;
    if (this.#streams.size > 0) return true;
    if (this.session.closed || this.session.destroyed) this.#startClosing();
    else this.#endStageIn(this.#idleTimeoutMs);
    return true;
  }

  /** GOAWAY: streams under way finish, new ones are refused, and the connection goes with the last. */
  close(): void {
    if (!this.session.destroyed) this.session.close();
    if (this.#streams.size === 0) this.#startClosing();
  }

  /**
   * Resets every stream, each by itself: `session.destroy` would only close the connection, which Node's own client,
   * for one, takes for the clean end of a response whose head it has. So it does a reset with CANCEL.
   */
  break(): void {
    for (const stream of this.#streams) stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    this.close();
  }

  /** The socket has closed; whatever stream reports its end later has been counted. */
  forget(): void {
    this.#streams.clear();
    unwatch(this);
  }

  expire(): void {
    for (const stream of this.#streams) if (isLeftOver(stream)) stream.destroy();
    if (performance.now() < this.#stageEndsAt) {
      this.#setDeadline();
      return;
    }
    switch (this.#stage) {
      case 'preface':
      case 'closing':
        this.#socket.destroy();
        return;
      case 'serving':
        this.close();
        return;
      case 'leaving':
        this.#destroyIfStuck();
        return;
    }
  }

  #left(): void {
    if (this.#stage === 'closing') return;
    this.#stage = 'leaving';
    this.#endStageIn(this.#idleTimeoutMs);
  }

  /**
   * Over a broken frame behind a GOAWAY nghttp2 gives the connection up, and Node (26.10) then neither reads on nor
   * tells: not even the connection's end would be seen, and it would be kept for good. What still lives sends the
   * SETTINGS that it is given here, which change nothing.
   */
  #destroyIfStuck(): void {
    const { bytesWritten } = this.#socket;
    if (this.session.destroyed || bytesWritten === this.#writtenBefore) {
      this.#socket.destroy();
      return;
    }
    this.#writtenBefore = bytesWritten;
    this.session.settings({});
    this.#endStageIn(this.#idleTimeoutMs);
  }

  #greeted(): void {
    if (this.#stage !== 'preface') return;
    this.#stage = 'serving';
    if (this.#streams.size === 0) this.#endStageIn(this.#idleTimeoutMs);
  }

  #startClosing(): void {
    this.#stage = 'closing';
    this.#endStageIn(CLOSE_GRACE_MS);
  }

  #endStageIn(timeoutMs: number): void {
    this.#stageEndsAt = performance.now() + timeoutMs;
    this.#setDeadline();
  }

  #setDeadline(): void {
    const lookAt = this.#streams.size > 0 ? performance.now() + LOOK_EVERY_MS : Number.POSITIVE_INFINITY;
    this.deadlineAt = Math.min(lookAt, this.#stageEndsAt);
  }
}

/**
 * Over, and not destroyed. For a stream that is reset with NO_ERROR, other than with any other code, Node waits until
 * the request's body is read to the end, and whoever holds that back because the upstream is slow never does. Nobody
 * here closes a stream before its response is out.
 */
function isLeftOver({ closed, rstCode }: ServerHttp2Stream): boolean {
  return closed && rstCode === constants.NGHTTP2_NO_ERROR;
}

/** Tells at once of those whose response had not been ended; for the others `aborted` isn't emitted. */
function destroyIfLeftOver(this: ServerHttp2Stream): void {
  // Whoever resets it himself does so behind the event.
  queueMicrotask(() => {
    if (isLeftOver(this)) this.destroy();
  });
}
