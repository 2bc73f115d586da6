import { once } from 'node:events';
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Breakage, FaultPlan } from './faults.ts';
import { Gone, type Reply } from './reply.ts';

/** No HTTP parser takes this for a status line or a chunk size. */
export const GARBAGE = Buffer.from('\0\x16\x03garbage\xff\r\n', 'latin1');

/** A slow body that isn't streamed goes out in pieces of this size. */
const SLOW_PIECE_BYTES = 64;

/** The response written byte by byte on the bare socket, so that it can break at any of them. Closes behind it. */
export class FaultyReply implements Reply {
  started = false;
  readonly #socket: Socket;
  readonly #gone: AbortSignal;
  readonly #plan: FaultPlan;
  #chunked = false;
  #wireBytes = 0;
  #bodyBytes = 0;

  constructor(socket: Socket, gone: AbortSignal, plan: FaultPlan) {
    this.#socket = socket;
    this.#gone = gone;
    this.#plan = plan;
  }

  async head(status: number, headers: readonly string[], length: number | null): Promise<void> {
    this.started = true;
    const { breakage } = this.#plan;
    if (breakage?.point.at === 'head') await this.#break(breakage.kind);
    this.#chunked = length === null || (breakage?.kind === 'garbage' && breakage.point.at === 'body');
    const framing = this.#chunked ? ['transfer-encoding', 'chunked'] : ['content-length', String(length)];
    const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`];
    const all = [...headers, ...framing];
    for (let index = 0; index < all.length; index += 2) lines.push(`${all[index]}: ${all[index + 1]}`);
    await this.#put(Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'));
    if (breakage?.point.at === 'body' && breakage.point.bytes === 0) await this.#break(breakage.kind);
  }

  async write(chunk: string | Uint8Array): Promise<void> {
    const bytes = Buffer.from(chunk);
    const step = this.#plan.slowMs > 0 && !this.#chunked ? SLOW_PIECE_BYTES : bytes.length;
    for (let at = 0; at < bytes.length; at += step) {
      if (this.#plan.slowMs > 0) await this.#wait(this.#plan.slowMs);
      await this.#writePiece(bytes.subarray(at, at + step));
    }
  }

  async end(): Promise<void> {
    if (this.#chunked) await this.#put(Buffer.from('0\r\n\r\n'));
    this.#socket.end();
  }

  async #writePiece(piece: Buffer): Promise<void> {
    const size = (bytes: number) => (this.#chunked ? `${bytes.toString(16)}\r\n` : '');
    const close = this.#chunked ? '\r\n' : '';
    const { breakage } = this.#plan;
    const room =
      breakage?.point.at === 'body' ? breakage.point.bytes - this.#bodyBytes : Number.POSITIVE_INFINITY;
    this.#bodyBytes += piece.length;
    if (breakage === null || piece.length < room) {
      await this.#put(Buffer.concat([Buffer.from(size(piece.length)), piece, Buffer.from(close)]));
      return;
    }
    // Garbage takes the place of the next chunk's size; the other breaks come in the middle of this chunk.
    const whole = breakage.kind === 'garbage';
    const cut = piece.subarray(0, room);
    await this.#put(Buffer.from(size(whole ? room : piece.length)));
    await this.#put(whole ? Buffer.concat([cut, Buffer.from(close)]) : cut);
    await this.#break(breakage.kind);
  }

  async #put(bytes: Buffer): Promise<void> {
    const { breakage } = this.#plan;
    const room =
      breakage?.point.at === 'wire' ? breakage.point.bytes - this.#wireBytes : Number.POSITIVE_INFINITY;
    await this.#flush(bytes.subarray(0, Math.min(room, bytes.length)));
    if (breakage !== null && bytes.length >= room) await this.#break(breakage.kind);
  }

  /** Resolves when the kernel has the bytes: a reset discards what Node still holds. */
  async #flush(bytes: Buffer): Promise<void> {
    if (this.#gone.aborted) throw new Gone();
    this.#wireBytes += bytes.length;
    if (bytes.length === 0) return;
    await new Promise<void>((resolve, reject) => {
      this.#socket.write(bytes, (error) => (error ? reject(new Gone()) : resolve()));
    });
  }

  async #break(kind: Breakage['kind']): Promise<never> {
    switch (kind) {
      case 'reset':
        this.#socket.resetAndDestroy();
        break;
      case 'fin':
        this.#socket.end();
        break;
      case 'garbage':
        this.#socket.end(GARBAGE);
        break;
      case 'stall':
        if (!this.#gone.aborted) await once(this.#gone, 'abort');
        break;
    }
    throw new Gone();
  }

  async #wait(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#gone }).catch(() => {
      throw new Gone();
    });
  }
}
