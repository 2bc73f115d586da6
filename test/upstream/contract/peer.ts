import type { Socket } from 'node:net';

/** A script waited for bytes on a connection that is gone. */
export class PeerGone extends Error {
  override readonly name = 'PeerGone';
}

/** The upstream's side of one connection: reads what the client really sent, writes exactly what it is told. */
export class Peer {
  readonly socket: Socket;
  /** Which connection of its upstream this is, from 0. */
  readonly index: number;
  /** Resolves when the client closed, half-closed or reset the connection. */
  readonly gone: Promise<void>;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #isGone = false;
  #wake: () => void = () => {};

  constructor(socket: Socket, index: number) {
    this.socket = socket;
    this.index = index;
    socket.setNoDelay(true);
    socket.on('error', () => {}); // 'close' follows
    socket.on('data', (bytes: Buffer) => {
      this.#held.push(bytes);
      this.#heldBytes += bytes.length;
      this.#wake();
    });
    this.gone = new Promise((resolve) => {
      const leave = (): void => {
        this.#isGone = true;
        this.#wake();
        resolve();
      };
      socket.once('end', leave);
      socket.once('close', leave);
    });
  }

  /** Bytes that came and that no `read…` has taken. */
  get unread(): string {
    return this.#join().toString('latin1');
  }

  async read(length: number): Promise<Buffer> {
    while (this.#heldBytes < length) await this.#more();
    const joined = this.#join();
    this.#hold(joined.subarray(length));
    return joined.subarray(0, length);
  }

  /** Everything up to and including `mark`. */
  async readUntil(mark: string): Promise<string> {
    for (;;) {
      const joined = this.#join();
      const at = joined.indexOf(mark, 0, 'latin1');
      if (at !== -1) return (await this.read(at + mark.length)).toString('latin1');
      await this.#more();
    }
  }

  readHead(): Promise<string> {
    return this.readUntil('\r\n\r\n');
  }

  /** A whole request: its head and the body that Content-Length or chunked announces, as they came. */
  async readRequest(): Promise<string> {
    const head = await this.readHead();
    const length = /\r\ncontent-length: *([0-9]+)\r\n/i.exec(head)?.[1];
    if (length !== undefined) return head + (await this.read(Number(length))).toString('latin1');
    if (!/\r\ntransfer-encoding: *chunked\r\n/i.test(head)) return head;
    let body = '';
    while (!/(?:^|\r\n)0\r\n(?:[^\r\n]+\r\n)*\r\n$/.test(body)) body += await this.readUntil('\r\n');
    return head + body;
  }

  write(bytes: string | Buffer): boolean {
    return this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  }

  /** Sends a FIN behind what has been written. */
  end(): void {
    this.socket.end();
  }

  /** Sends a RST once what has been written has left this process. */
  async reset(): Promise<void> {
    await new Promise((resolve) => this.socket.write('', resolve));
    this.socket.resetAndDestroy();
  }

  async #more(): Promise<void> {
    if (this.#isGone)
      throw new PeerGone(`connection ${this.index} closed; unread: ${JSON.stringify(this.unread)}`);
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }

  #join(): Buffer {
    const joined = this.#held.length === 1 ? (this.#held[0] as Buffer) : Buffer.concat(this.#held);
    this.#held = [joined];
    return joined;
  }

  #hold(bytes: Buffer): void {
    this.#held = [bytes];
    this.#heldBytes = bytes.length;
  }
}
