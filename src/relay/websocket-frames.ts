/** Going away (RFC 6455 §7.4.1), for a client that vanished without saying so. */
const GOING_AWAY = 1001;

/**
 * Follows the frame borders of one direction of a websocket (RFC 6455 §5.2) without touching its bytes, to know
 * when a close frame could be put in: only between two frames.
 */
export class FrameFollower {
  /** Bytes of the current frame's payload still to come. */
  #payload = 0;
  #header: number[] = [];
  #closed = false;

  /** Between two frames, so that another may follow. */
  get atBorder(): boolean {
    return this.#payload === 0 && this.#header.length === 0;
  }

  /** A close frame has passed. */
  get closed(): boolean {
    return this.#closed;
  }

  follow(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#payload > 0) {
        const step = Math.min(this.#payload, chunk.length - at);
        this.#payload -= step;
        at += step;
        continue;
      }
      this.#header.push(chunk[at++] as number);
      const length = payloadLength(this.#header);
      if (length === null) continue;
      if (((this.#header[0] as number) & 0x0f) === 0x8) this.#closed = true;
      this.#header = [];
      this.#payload = length;
    }
  }
}

/** The payload's length once the header is complete, else null. */
function payloadLength(header: readonly number[]): number | null {
  const second = header[1];
  if (second === undefined) return null;
  const short = second & 0x7f;
  const extended = short === 126 ? 2 : short === 127 ? 8 : 0;
  const masked = (second & 0x80) !== 0 ? 4 : 0;
  if (header.length < 2 + extended + masked) return null;
  if (extended === 0) return short;
  let length = 0;
  for (let i = 0; i < extended; i++) length = length * 256 + (header[2 + i] as number);
  return length;
}

/** A client's close frame with status 1001; masked with zeros, as a client's frames must be masked. */
export function goingAwayFrame(): Buffer {
  return Buffer.from([0x88, 0x82, 0, 0, 0, 0, GOING_AWAY >> 8, GOING_AWAY & 0xff]);
}
