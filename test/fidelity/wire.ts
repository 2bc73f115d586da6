/**
 * HTTP/1.1 messages as they stand on the wire, read by a parser of the tests' own, so that a fault of the gateway's
 * parsers can't hide itself. It understands what the corpus sends and throws at anything else.
 */

/** Name and value as sent, latin1, without the optional white space around the value. */
export type Field = readonly [name: string, value: string];

export interface Message {
  /** Request line or status line, without its line end. */
  readonly start: string;
  readonly fields: readonly Field[];
  /** What marks the body's end. */
  readonly framing: 'none' | 'length' | 'chunked' | 'close';
  /** Without chunk framing. */
  readonly body: Buffer;
  readonly trailers: readonly Field[];
}

export interface Parsed {
  readonly message: Message;
  /** Where the message ends in the bytes it was read from. */
  readonly end: number;
}

/** How a message is to be read. `bodyless` are responses to HEAD and the like; `ended`: nothing more will come. */
export interface Reading {
  readonly kind: 'request' | 'response';
  readonly bodyless?: boolean;
  readonly ended?: boolean;
}

/**
 * Reads the message that begins at `from`; where its end has not come yet, returns how many bytes there must be at
 * least before it is worth another try.
 */
export function readMessage(bytes: Buffer, from: number, reading: Reading): Parsed | number {
  const headEnd = bytes.indexOf('\r\n\r\n', from, 'latin1');
  if (headEnd === -1) return bytes.length + 1;
  const [start = '', ...lines] = bytes.toString('latin1', from, headEnd).split('\r\n');
  const fields = lines.map(fieldFrom);
  const head = { start, fields };
  const bodyStart = headEnd + 4;
  const nothing = { body: Buffer.alloc(0), trailers: [] };
  const status = reading.kind === 'response' ? Number(start.split(' ')[1]) : null;
  if (reading.bodyless === true || status === 204 || status === 304 || (status !== null && status < 200)) {
    return { message: { ...head, ...nothing, framing: 'none' }, end: bodyStart };
  }
  if (fieldValue(fields, 'transfer-encoding')?.toLowerCase() === 'chunked') {
    const chunked = readChunked(bytes, bodyStart);
    if (typeof chunked === 'number') return chunked;
    const { body, trailers, end } = chunked;
    return { message: { ...head, framing: 'chunked', body, trailers }, end };
  }
  const length = fieldValue(fields, 'content-length');
  if (length !== null) {
    const end = bodyStart + Number(length);
    if (bytes.length < end) return end;
    return {
      message: { ...head, framing: 'length', body: bytes.subarray(bodyStart, end), trailers: [] },
      end,
    };
  }
  if (reading.kind === 'request')
    return { message: { ...head, ...nothing, framing: 'none' }, end: bodyStart };
  if (reading.ended !== true) return bytes.length + 1;
  return {
    message: { ...head, framing: 'close', body: bytes.subarray(bodyStart), trailers: [] },
    end: bytes.length,
  };
}

/** The first value of a field by its lower-case name. */
export function fieldValue(fields: readonly Field[], name: string): string | null {
  return fields.find(([candidate]) => candidate.toLowerCase() === name)?.[1] ?? null;
}

/** Takes a header line apart. */
export function fieldFrom(line: string): Field {
  const colon = line.indexOf(':');
  if (colon < 1) throw new Error(`not a header line: ${JSON.stringify(line)}`);
  return [line.slice(0, colon), line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '')];
}

function readChunked(
  bytes: Buffer,
  from: number,
): { readonly body: Buffer; readonly trailers: readonly Field[]; readonly end: number } | number {
  const pieces: Buffer[] = [];
  let at = from;
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at, 'latin1');
    if (lineEnd === -1) return bytes.length + 1;
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16);
    if (Number.isNaN(size)) throw new Error(`not a chunk size at ${at}`);
    at = lineEnd + 2;
    if (size === 0) break;
    if (bytes.length < at + size + 2) return at + size + 2;
    if (bytes.toString('latin1', at + size, at + size + 2) !== '\r\n')
      throw new Error(`no chunk end at ${at}`);
    pieces.push(bytes.subarray(at, at + size));
    at += size + 2;
  }
  const trailers: Field[] = [];
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at, 'latin1');
    if (lineEnd === -1) return bytes.length + 1;
    const line = bytes.toString('latin1', at, lineEnd);
    at = lineEnd + 2;
    if (line === '') return { body: Buffer.concat(pieces), trailers, end: at };
    trailers.push(fieldFrom(line));
  }
}
