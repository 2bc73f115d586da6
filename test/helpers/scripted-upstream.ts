import { type AddressInfo, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { MessageReader, type Pairs, valuesOf } from './http1-message.ts';
import { Watch } from './watch.ts';

/** One request as an upstream saw it, and the wire to answer it on. */
export class UpstreamExchange {
  readonly socket: Socket;
  isTaken = false;
  readonly #reader = new MessageReader(null);
  readonly #received: Buffer[] = [];
  readonly #watch = new Watch();
  #closedAt: number | null = null;
  #closedBy: string | null = null;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setMaxListeners(0); // one exchange after another listens to it
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#closedBy = error.code ?? null;
    });
    socket.on('end', () => this.#close());
    socket.on('close', () => this.#close());
  }

  /** Every byte of the request so far, head and framing included. */
  get bytes(): Buffer {
    return Buffer.concat(this.#received);
  }

  get line(): string {
    return this.#reader.startLine;
  }

  get method(): string {
    return this.line.split(' ')[0] ?? '';
  }

  get target(): string {
    return this.line.split(' ')[1] ?? '';
  }

  /** Raw name-value pairs. */
  get headers(): Pairs {
    return this.#reader.headers;
  }

  get trailers(): Pairs {
    return this.#reader.trailers;
  }

  /** The body so far, framing removed. */
  get body(): Buffer {
    return this.#reader.body;
  }

  get bodyBytes(): number {
    return this.#reader.bodyBytes;
  }

  get hasHead(): boolean {
    return this.#reader.hasHead;
  }

  /** The whole request has come. */
  get complete(): boolean {
    return this.#reader.complete;
  }

  get isClosed(): boolean {
    return this.#closedAt !== null;
  }

  /** The value of a header, several joined by `, `; null if there is none. */
  header(name: string): string | null {
    const values = valuesOf(this.headers, name);
    return values.length === 0 ? null : values.join(', ');
  }

  send(bytes: string | Buffer): void {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  }

  /** Sends and closes in good order. */
  end(bytes: string | Buffer = ''): void {
    this.socket.end(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  }

  reset(): void {
    this.socket.resetAndDestroy();
  }

  /** Hands the connection over: what comes from now on is no HTTP. */
  takeOver(): Socket {
    this.isTaken = true;
    return this.socket;
  }

  /** Resolves as soon as it is so. */
  until(passes: () => boolean): Promise<void> {
    return this.#watch.until(passes);
  }

  /** Resolves when the peer has closed the connection: when that was, and the error's code if it was a reset. */
  async closed(): Promise<{ readonly at: number; readonly error: string | null }> {
    await this.until(() => this.#closedAt !== null);
    return { at: this.#closedAt ?? 0, error: this.#closedBy };
  }

  /** @returns bytes that belong to the next request */
  push(bytes: Buffer): Buffer {
    const rest = this.#reader.push(bytes);
    this.#received.push(bytes.subarray(0, bytes.length - rest.length));
    this.#watch.changed();
    return rest;
  }

  #close(): void {
    this.#closedAt ??= performance.now();
    this.#watch.changed();
  }
}

export interface ScriptedUpstream {
  readonly port: number;
  /** `http://127.0.0.1:port`. */
  readonly url: string;
  /** Every request so far, in the order in which their heads came. */
  readonly exchanges: readonly UpstreamExchange[];
  /** Connections accepted so far. */
  readonly connections: number;
  /** The next request that no earlier call has returned, once its head is there. */
  next(): Promise<UpstreamExchange>;
  /** Resolves when this many requests have come. */
  arrived(count: number): Promise<void>;
}

/** The bytes of the answer to every request, or what to do about one. */
export type Script = string | Buffer | ((exchange: UpstreamExchange) => void);

export const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

export interface UpstreamOptions {
  /** When the script runs for a request: with its last byte (the default), or with its head. */
  readonly runs?: 'when complete' | 'at the head';
}

/** A server on a free port that records exact bytes and answers with exact bytes; HTTP/1.1 alone. */
export async function startUpstream(
  script: Script = OK,
  options: UpstreamOptions = {},
): Promise<ScriptedUpstream> {
  const exchanges: UpstreamExchange[] = [];
  const watch = new Watch();
  const sockets = new Set<Socket>();
  let asked = 0;
  let connections = 0;
  const run = (exchange: UpstreamExchange): void => {
    if (typeof script === 'function') script(exchange);
    else exchange.send(script);
  };

  const server = createServer((socket) => {
    connections++;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    let current = new UpstreamExchange(socket);
    let last = current;
    socket.on('data', (bytes: Buffer) => {
      if (last.isTaken) return;
      let rest = bytes;
      do {
        const before = current.hasHead;
        rest = current.push(rest);
        if (!before && current.hasHead) {
          exchanges.push(current);
          watch.changed();
          if (options.runs === 'at the head') run(current);
        }
        if (!current.complete) return;
        last = current;
        if (options.runs !== 'at the head') run(current);
        current = new UpstreamExchange(socket);
      } while (rest.length > 0);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    exchanges,
    get connections() {
      return connections;
    },
    async next() {
      const index = asked++;
      await watch.until(() => index < exchanges.length);
      return exchanges[index] as UpstreamExchange;
    },
    arrived: (count) => watch.until(() => exchanges.length >= count),
  };
}
