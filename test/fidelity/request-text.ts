import type { BodySpec, RequestSpec } from './exchange.ts';
import { type Field, fieldFrom } from './wire.ts';

/** What the placeholders of a request stand for on the way that it takes. */
export interface Filling {
  readonly host: string;
  readonly model: string;
  /** What stands before the target's own path. */
  readonly prefix: string;
  /** Header lines that the way asks for, put behind the first one. */
  readonly extra: readonly string[];
}

/** A request as it goes on the wire: the head, and the body behind it. */
export interface RequestBytes {
  readonly method: string;
  readonly head: Buffer;
  readonly body: Buffer;
}

/** A request's meaning, for protocols with another wire format. */
export interface RequestParts {
  readonly method: string;
  readonly path: string;
  readonly fields: readonly Field[];
  /** Without chunk framing. */
  readonly body: Buffer;
  readonly chunked: boolean;
  readonly trailers: readonly Field[];
}

const CRLF = Buffer.from('\r\n', 'latin1');

export function requestBytes(spec: RequestSpec, filling: Filling): RequestBytes {
  const method = methodOf(spec);
  const body = encodeBody(spec.body, filling);
  const start = `${method} ${filling.prefix}${spec.path} HTTP/${spec.version ?? '1.1'}`;
  const head = [start, ...linesOf(spec, filling, body.length), '', ''].join('\r\n');
  return { method, head: Buffer.from(head, 'latin1'), body };
}

export function requestParts(spec: RequestSpec, filling: Filling): RequestParts {
  const chunks = chunksOf(spec.body);
  const bytes = Buffer.concat(chunks.map((chunk) => filled(chunk, filling)));
  const chunked = isChunked(spec.body);
  return {
    method: methodOf(spec),
    path: `${filling.prefix}${spec.path}`,
    fields: linesOf(spec, filling, bytes.length).map(fieldFrom),
    body: bytes,
    chunked,
    trailers: (isChunked(spec.body) ? (spec.body.trailers ?? []) : []).map(fieldFrom),
  };
}

function methodOf(spec: RequestSpec): string {
  return spec.method ?? (spec.body === undefined ? 'GET' : 'POST');
}

function linesOf(spec: RequestSpec, filling: Filling, length: number): string[] {
  const lines = [...(spec.fields ?? [])];
  if (!lines.some((line) => line.includes('{host}'))) lines.unshift('Host: {host}');
  if (spec.body !== undefined) {
    const framing = isChunked(spec.body) ? 'Transfer-Encoding: chunked' : 'Content-Length: {length}';
    const name = framing.slice(0, framing.indexOf(':') + 1).toLowerCase();
    if (!lines.some((line) => line.toLowerCase().startsWith(name))) lines.push(framing);
  }
  lines.splice(1, 0, ...filling.extra);
  return lines.map((line) => line.replace('{host}', filling.host).replace('{length}', String(length)));
}

type Chunked = Extract<BodySpec, { readonly chunks: unknown }>;

function isChunked(body: BodySpec | undefined): body is Chunked {
  return typeof body === 'object' && 'chunks' in body;
}

function chunksOf(body: BodySpec | undefined): readonly (string | Buffer)[] {
  if (body === undefined) return [];
  return isChunked(body) ? body.chunks : [body];
}

function filled(part: string | Buffer, { model }: Filling): Buffer {
  return typeof part === 'string' ? Buffer.from(part.replaceAll('{model}', model)) : part;
}

function encodeBody(body: BodySpec | undefined, filling: Filling): Buffer {
  const pieces = chunksOf(body).map((chunk) => filled(chunk, filling));
  if (!isChunked(body)) return Buffer.concat(pieces);
  const size = (bytes: Buffer): Buffer =>
    Buffer.from(`${bytes.length.toString(16)}${body.extension ?? ''}\r\n`, 'latin1');
  const last = Buffer.from(['0', ...(body.trailers ?? []), '', ''].join('\r\n'), 'latin1');
  return Buffer.concat([...pieces.flatMap((bytes) => [size(bytes), bytes, CRLF]), last]);
}
