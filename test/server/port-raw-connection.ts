import { connect, type Socket } from 'node:net';

/** A TCP client that sends exactly the bytes it is given and keeps all that comes back. */
export class RawConnection {
  readonly socket: Socket;
  /** How the connection ended: by the peer's FIN, by a reset, or by our own destroy. */
  readonly closed: Promise<'fin' | 'reset' | 'destroyed'>;
  readonly #chunks: Buffer[] = [];
  #waiting: (() => void) | null = null;

  constructor(socket: Socket) {
    this.socket = socket;
    let ended: 'fin' | 'reset' | 'destroyed' = 'destroyed';
    socket.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#waiting?.();
    });
    socket.on('end', () => {
      ended = 'fin';
    });
    socket.on('error', () => {
      ended = 'reset';
    });
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        resolve(ended);
        this.#waiting?.();
      });
    });
  }

  static async open(port: number, host = '127.0.0.1'): Promise<RawConnection> {
    const socket = connect({ port, host });
    const connection = new RawConnection(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return connection;
  }

  /** A string is sent as latin1: one byte a character. */
  send(bytes: string | Buffer): void {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  }

  get received(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  /** What came so far, as latin1. */
  get text(): string {
    return this.received.toString('latin1');
  }

  /** Waits until `found` holds or the connection has closed; answers what came. */
  async until(found: (text: string) => boolean): Promise<string> {
    while (!found(this.text) && !this.socket.destroyed) {
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
      });
    }
    return this.text;
  }

  /** Waits for the peer to close; answers what came. */
  async untilClosed(): Promise<string> {
    await this.closed;
    return this.text;
  }
}

/** Sends `bytes` on a connection of their own and waits for its end. */
export async function exchange(port: number, bytes: string | Buffer): Promise<string> {
  const connection = await RawConnection.open(port);
  connection.send(bytes);
  return connection.untilClosed();
}
