import { Code, ConnectError } from '@connectrpc/connect';
import type { UniversalServerResponse } from '@connectrpc/connect/protocol';
import { codeFromString } from '@connectrpc/connect/protocol-connect';

/**
 * Reads off a finished answer what it tells its client, in whichever protocol: some failures (a body that can't be
 * parsed, an unknown compression) are Connect's own and pass no interceptor.
 *
 * @param last the answer's last piece: in a stream, its last envelope
 * @returns null for success
 */
export function failureOnWire(
  answer: UniversalServerResponse,
  last: Uint8Array | undefined,
): ConnectError | null {
  const { header, trailer, status } = answer;
  const type = header?.get('content-type') ?? '';
  if (type.startsWith('application/grpc')) {
    const inHead = fromTrailers(trailer ?? header);
    if (inHead !== null || !type.startsWith('application/grpc-web') || last === undefined) return inHead;
    return endsStream(type, last) ? fromTrailers(headersFrom(textOf(last))) : null;
  }
  if (type.startsWith('application/connect+')) {
    if (last === undefined || !endsStream(type, last)) return null;
    const end = JSON.parse(textOf(last)) as { error?: unknown };
    return end.error === undefined ? null : fromJson(end.error);
  }
  if (status === 200) return null;
  if (last === undefined || header?.has('content-encoding')) return new ConnectError('', Code.Unknown);
  const text = Buffer.from(last).toString();
  // A refusal that came before the protocol was known is plain text.
  if (type !== 'application/json') return new ConnectError(text.trimEnd(), Code.Unknown);
  return fromJson(JSON.parse(text));
}

/** An envelope behind which no other comes; only where trailers travel in the body. */
export function endsStream(contentType: string, envelope: Uint8Array): boolean {
  if (contentType.startsWith('application/grpc-web')) return envelope[0] === GRPC_WEB_TRAILERS;
  return contentType.startsWith('application/connect+') && envelope[0] === CONNECT_END;
}

/** Flags of the envelopes that end a stream. */
const GRPC_WEB_TRAILERS = 0b1000_0000;
const CONNECT_END = 0b0000_0010;
const PREFIX_BYTES = 5;

function textOf(envelope: Uint8Array): string {
  return Buffer.from(envelope.buffer, envelope.byteOffset, envelope.length).toString('utf8', PREFIX_BYTES);
}

function headersFrom(lines: string): Headers {
  const headers = new Headers();
  for (const line of lines.split('\r\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) headers.append(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return headers;
}

function fromTrailers(trailers: Headers | undefined): ConnectError | null {
  const status = trailers?.get('grpc-status') ?? '0';
  if (status === '0') return null;
  return new ConnectError(decodeURIComponent(trailers?.get('grpc-message') ?? ''), Number(status));
}

function fromJson(error: unknown): ConnectError {
  const { code, message } = error as { code?: string; message?: string };
  return new ConnectError(message ?? '', codeFromString(code ?? '') ?? Code.Unknown);
}
