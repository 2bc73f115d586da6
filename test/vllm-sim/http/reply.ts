import { once } from 'node:events';
import { type ServerResponse, STATUS_CODES } from 'node:http';

/** Where a handler writes its response: the same calls, whether it goes out in good order or is broken on demand. */
export interface Reply {
  /** True from `head` on: no other response can be sent any more. */
  readonly started: boolean;
  /**
   * Sends the status line and headers at once. `headers` are raw name-value pairs without framing headers;
   * `length` null is chunked (or ended by the connection's end on HTTP/1.0).
   */
  head(status: number, headers: readonly string[], length: number | null): Promise<void>;
  /** Sends body bytes; resolves when more may be written. */
  write(chunk: string | Uint8Array): Promise<void>;
  end(): Promise<void>;
}

/** Thrown out of a handler when there is nobody to write to any more; not an error. */
export class Gone extends Error {
  override readonly name = 'Gone';
}

/** The response in good order, through Node's own server. */
export class PlainReply implements Reply {
  readonly #response: ServerResponse;
  readonly #gone: AbortSignal;

  constructor(response: ServerResponse, gone: AbortSignal) {
    this.#response = response;
    this.#gone = gone;
    response.sendDate = false;
    // Uvicorn sends no `connection: keep-alive`; without this, Node would.
    response.removeHeader('connection');
  }

  get started(): boolean {
    return this.#response.headersSent;
  }

  async head(status: number, headers: readonly string[], length: number | null): Promise<void> {
    const response = this.#response;
    const all = [...headers];
    if (length !== null) all.push('content-length', String(length));
    else if (response.req.httpVersion === '1.1') all.push('transfer-encoding', 'chunked');
    if (!response.shouldKeepAlive) all.push('connection', 'close');
    response.writeHead(status, STATUS_CODES[status] ?? '', all);
    response.flushHeaders();
  }

  async write(chunk: string | Uint8Array): Promise<void> {
    if (this.#gone.aborted) throw new Gone();
    if (this.#response.write(chunk)) return;
    await once(this.#response, 'drain', { signal: this.#gone }).catch(() => {
      throw new Gone();
    });
  }

  async end(): Promise<void> {
    this.#response.end();
  }
}
