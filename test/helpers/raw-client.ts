import { connect, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** A client that sends exactly the bytes it is given. */
export interface RawClient {
  readonly socket: Socket;
  send(bytes: string | Buffer): void;
  /** All bytes received so far. */
  received(): Buffer;
  /** Resolves when the bytes received contain `mark`; rejects if the connection closes before. */
  until(mark: string): Promise<string>;
  /** Resolves with all bytes once the peer has closed; `error` is its code when it did so with a reset. */
  closed(): Promise<{ readonly bytes: Buffer; readonly error: string | null }>;
}

export async function rawClient(port: number, host = '127.0.0.1'): Promise<RawClient> {
  const socket = connect({ port, host });
  const chunks: Buffer[] = [];
  let error: string | null = null;
  let isClosed = false;
  const watchers = new Set<() => void>();
  const notify = (): void => {
    for (const watcher of watchers) watcher();
  };
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    notify();
  });
  socket.on('error', (thrown: NodeJS.ErrnoException) => {
    error = thrown.code ?? thrown.message;
  });
  socket.on('close', () => {
    isClosed = true;
    notify();
  });
  onTestFinished(() => {
    socket.destroy();
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', () => resolve());
    socket.once('error', reject);
  });
  const received = (): Buffer => Buffer.concat(chunks);
  return {
    socket,
    send: (bytes) => void socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes),
    received,
    until(mark) {
      return new Promise((resolve, reject) => {
        const check = (): void => {
          const text = received().toString('latin1');
          if (text.includes(mark)) {
            watchers.delete(check);
            resolve(text);
          } else if (isClosed)
            reject(new Error(`closed before ${JSON.stringify(mark)} came: ${JSON.stringify(text)}`));
        };
        watchers.add(check);
        check();
      });
    },
    closed() {
      return new Promise((resolve) => {
        const check = (): void => {
          if (isClosed) resolve({ bytes: received(), error });
        };
        watchers.add(check);
        check();
      });
    },
  };
}
