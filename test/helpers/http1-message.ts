/** Raw name-value pairs. */
export type Pairs = readonly string[];

/** Values of a header by its lower-case name. */
export function valuesOf(headers: Pairs, name: string): string[] {
  return headers.filter((_, i) => i % 2 === 1 && headers[i - 1]?.toLowerCase() === name);
}

type State = 'head' | 'length' | 'chunk_line' | 'chunk' | 'chunk_end' | 'trailer' | 'until_close' | 'done';

/** Reads one HTTP/1.1 message off a connection, and keeps it as it came. Knows no limits: for tests alone. */
export class MessageReader {
  startLine = '';
  headers: string[] = [];
  trailers: string[] = [];
  /** Start lines of 1xx responses that came before. */
  readonly interim: string[] = [];
  /** Body bytes with each chunk of a chunked body, or each read, apart. */
  readonly pieces: Buffer[] = [];
  bodyBytes = 0;
  readonly #bodyless: boolean;
  readonly #isResponse: boolean;
  #state: State = 'head';
  #rest: Buffer = Buffer.alloc(0);
  #remaining = 0;

  /** `requestMethod`: the reader is one of responses, to a request of this method. */
  constructor(requestMethod: string | null) {
    this.#isResponse = requestMethod !== null;
    this.#bodyless = requestMethod === 'HEAD';
  }

  get body(): Buffer {
    return Buffer.concat(this.pieces);
  }

  get hasHead(): boolean {
    return this.#state !== 'head';
  }

  get complete(): boolean {
    return this.#state === 'done';
  }

  /** Takes bytes; returns what lies behind the message. */
  push(bytes: Buffer): Buffer {
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    while (this.#state !== 'done' && this.#step());
    return this.#state === 'done' ? this.#rest : Buffer.alloc(0);
  }

  /** The peer closed; true if the message is complete by that. */
  finish(): boolean {
    if (this.#state === 'until_close') this.#state = 'done';
    return this.complete;
  }

  #step(): boolean {
    switch (this.#state) {
      case 'head': {
        const end = this.#rest.indexOf('\r\n\r\n');
        if (end === -1) return false;
        const [startLine = '', ...lines] = this.#rest.toString('latin1', 0, end).split('\r\n');
        this.#rest = this.#rest.subarray(end + 4);
        if (/^HTTP\/1\.1 1(?!01)/.test(startLine)) {
          this.interim.push(startLine);
          return true;
        }
        this.startLine = startLine;
        this.headers = lines.flatMap(pair);
        this.#state = this.#framing();
        return true;
      }
      case 'chunk_line':
      case 'chunk_end':
      case 'trailer':
        return this.#takeLine();
      case 'length':
      case 'chunk': {
        if (this.#remaining > 0) {
          if (this.#rest.length === 0) return false;
          const piece = this.#rest.subarray(0, this.#remaining);
          this.#remaining -= piece.length;
          this.#keep(piece);
          if (this.#remaining > 0) return false;
        }
        this.#state = this.#state === 'length' ? 'done' : 'chunk_end';
        return true;
      }
      case 'until_close':
        if (this.#rest.length > 0) this.#keep(this.#rest);
        return false;
      case 'done':
        return false;
    }
  }

  #keep(piece: Buffer): void {
    this.pieces.push(piece);
    this.bodyBytes += piece.length;
    this.#rest = this.#rest.subarray(piece.length);
  }

  #takeLine(): boolean {
    const end = this.#rest.indexOf('\r\n');
    if (end === -1) return false;
    const line = this.#rest.toString('latin1', 0, end);
    this.#rest = this.#rest.subarray(end + 2);
    if (this.#state === 'chunk_end') this.#state = 'chunk_line';
    else if (this.#state === 'trailer') {
      if (line === '') this.#state = 'done';
      else this.trailers.push(...pair(line));
    } else {
      this.#remaining = Number.parseInt(line, 16);
      this.#state = this.#remaining === 0 ? 'trailer' : 'chunk';
    }
    return true;
  }

  #framing(): State {
    const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(this.startLine)?.[1]);
    if (this.#isResponse && (this.#bodyless || status === 101 || status === 204 || status === 304))
      return 'done';
    if (valuesOf(this.headers, 'transfer-encoding').length > 0) return 'chunk_line';
    const [length] = valuesOf(this.headers, 'content-length');
    if (length === undefined) return this.#isResponse ? 'until_close' : 'done';
    this.#remaining = Number(length);
    return this.#remaining === 0 ? 'done' : 'length';
  }
}

function pair(line: string): [string, string] {
  const colon = line.indexOf(':');
  return [line.slice(0, colon), line.slice(colon + 1).trim()];
}
