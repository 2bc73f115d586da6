import { connect, type Socket } from 'node:net';
import { MessageReader, type MessageSink } from './message-reader.ts';

/**
 * All connections read into this one buffer: what is read is consumed before the next read, and no allocation
 * of the load generator's shows up as a pause in the delays that it measures.
 */
const readBuffer = Buffer.allocUnsafe(256 * 1024);

/** One client connection. `sink` hears of answers, `onBroken` (once) of an end that `close` didn't ask for. */
export class Connection {
  readonly #socket: Socket;
  #isClosing = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  static open(port: number, sink: MessageSink, onBroken: (reason: string) => void): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const reader = new MessageReader(sink);
      const socket = connect({
        host: '127.0.0.1',
        port,
        noDelay: true,
        onread: {
          buffer: readBuffer,
          callback: (length) => {
            reader.feed(readBuffer, length);
            return true;
          },
        },
      });
      const connection = new Connection(socket);
      let fault: string | null = null;
      socket.once('connect', () => resolve(connection));
      socket.on('error', (error) => {
        fault = error.message;
      });
      socket.once('close', () => {
        if (connection.#isClosing) return;
        const reason = fault ?? 'closed by the other side';
        reject(new Error(reason));
        onBroken(reason);
      });
    });
  }

  send(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  close(): void {
    this.#isClosing = true;
    this.#socket.destroy();
  }
}

/** Status of a response head. */
export function statusOf(head: string): number {
  return Number(head.slice(9, 12));
}
