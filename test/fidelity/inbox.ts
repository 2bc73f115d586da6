import type { Socket } from 'node:net';
import { type Message, type Reading, readMessage } from './wire.ts';

/** What has arrived on a socket, taken out message by message. */
export class Inbox {
  readonly #chunks: Buffer[] = [];
  readonly #waiting = new Set<() => void>();
  #length = 0;
  #ended = false;
  #error: Error | null = null;

  constructor(socket: Socket) {
    const ended = Promise.withResolvers<void>();
    this.ended = ended.promise;
    socket.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#length += chunk.length;
      this.#changed();
    });
    socket.on('end', () => {
      ended.resolve();
      this.#ended = true;
      this.#changed();
    });
    socket.on('error', (error) => {
      this.#error = error;
      this.#changed();
    });
    socket.on('close', () => {
      ended.resolve();
      this.#ended = true;
      this.#changed();
    });
  }

  /** Resolves when the peer has ended its side, or the connection is gone. */
  readonly ended: Promise<void>;

  /** How many bytes have come and have not been taken. */
  get length(): number {
    return this.#length;
  }

  /** Bytes that have come and have not been taken. */
  get rest(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  /** Calls back with each message until the peer has closed; further ones are read as the first. */
  each(reading: Reading, take: (message: Message) => void): void {
    const next = (): void =>
      void this.message(reading).then(
        (message) => {
          take(message);
          next();
        },
        () => {},
      );
    next();
  }

  /** Resolves with the next whole message; rejects when the connection ends before. */
  message(reading: Reading): Promise<Message> {
    let needs = 0;
    return this.#until(() => {
      if (this.#length < needs && !this.#ended) return undefined;
      const bytes = this.rest;
      const parsed = readMessage(bytes, 0, { ...reading, ended: this.#ended });
      if (typeof parsed === 'number') {
        needs = parsed;
        return undefined;
      }
      this.#keep(bytes.subarray(parsed.end));
      return parsed.message;
    });
  }

  /** Resolves with the next `count` bytes. */
  bytes(count: number): Promise<Buffer> {
    return this.#until(() => {
      if (this.#length < count) return undefined;
      const bytes = this.rest;
      this.#keep(bytes.subarray(count));
      return bytes.subarray(0, count);
    });
  }

  #keep(rest: Buffer): void {
    this.#chunks.length = 0;
    if (rest.length > 0) this.#chunks.push(rest);
    this.#length = rest.length;
  }

  #until<T>(probe: () => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const ask = (): void => {
        try {
          const found = probe();
          if (found === undefined && !this.#ended && this.#error === null) return;
          this.#waiting.delete(ask);
          if (found !== undefined) resolve(found);
          else
            reject(
              this.#error ??
                new Error(
                  `the connection ended behind ${JSON.stringify(this.rest.toString('latin1', 0, 500))}`,
                ),
            );
        } catch (error) {
          this.#waiting.delete(ask);
          reject(error);
        }
      };
      this.#waiting.add(ask);
      ask();
    });
  }

  #changed(): void {
    for (const ask of [...this.#waiting]) ask();
  }
}
