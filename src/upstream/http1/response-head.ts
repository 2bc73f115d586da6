import type { UpstreamHead } from '../client.ts';
import { FORBIDDEN_IN_VALUE, ProtocolError, TOKEN, trimOws } from './grammar.ts';

export interface ParsedHead {
  readonly head: UpstreamHead;
  readonly chunked: boolean;
  readonly keepAlive: boolean;
  readonly keepAliveHintMs: number | null;
}

// RFC 9112 §4
const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?$/;
const DIGITS = /^[0-9]{1,15}$/;

/**
 * Parses a response head: the text before the empty line, as latin1.
 * @throws ProtocolError
 */
export function parseHead(text: string): ParsedHead {
  let lineEnd = text.indexOf('\r\n');
  const statusLine = STATUS_LINE.exec(lineEnd === -1 ? text : text.slice(0, lineEnd));
  if (statusLine === null) throw new ProtocolError('not an HTTP/1 status line');
  const headers: string[] = [];
  let length: number | null = null;
  let chunked = false;
  let keepAlive = statusLine[1] === '1';
  let closing = false;
  let keepAliveHintMs: number | null = null;
  while (lineEnd !== -1) {
    const start = lineEnd + 2;
    lineEnd = text.indexOf('\r\n', start);
    const line = lineEnd === -1 ? text.slice(start) : text.slice(start, lineEnd);
    const colon = line.indexOf(':');
    const name = line.slice(0, colon === -1 ? 0 : colon);
    const value = trimOws(line, colon + 1);
    if (!TOKEN.test(name) || FORBIDDEN_IN_VALUE.test(value)) {
      throw new ProtocolError('malformed header line in the response');
    }
    headers.push(name, value);
    switch (name.length) {
      case 10:
        switch (name.toLowerCase()) {
          case 'connection': {
            const tokens = value.toLowerCase();
            if (hasToken(tokens, 'close')) closing = true;
            else if (hasToken(tokens, 'keep-alive')) keepAlive = true;
            break;
          }
          case 'keep-alive': {
            const seconds = /timeout=([0-9]{1,6})/i.exec(value)?.[1];
            if (seconds !== undefined) keepAliveHintMs = Number(seconds) * 1000;
            break;
          }
        }
        break;
      case 14:
        if (name.toLowerCase() === 'content-length') length = sameLength(length, value);
        break;
      case 17:
        if (name.toLowerCase() === 'transfer-encoding') {
          if (chunked || value.toLowerCase() !== 'chunked') {
            throw new ProtocolError('transfer-encoding other than chunked in the response');
          }
          chunked = true;
        }
        break;
    }
  }
  if (chunked && length !== null) throw new ProtocolError('content-length beside chunked in the response');
  if (chunked && statusLine[1] === '0') throw new ProtocolError('chunked in an HTTP/1.0 response');
  return {
    head: { status: Number(statusLine[2]), reason: statusLine[3] ?? '', headers, length },
    chunked,
    keepAlive: keepAlive && !closing,
    keepAliveHintMs,
  };
}

/** Several equal lengths are one (RFC 9110 §8.6); different ones are how responses get split. */
function sameLength(known: number | null, value: string): number {
  for (const part of value.split(',')) {
    const digits = part.trim();
    if (!DIGITS.test(digits)) throw new ProtocolError('malformed content-length in the response');
    if (known !== null && known !== Number(digits)) {
      throw new ProtocolError('two different content-lengths in the response');
    }
    known = Number(digits);
  }
  return known ?? 0;
}

function hasToken(list: string, token: string): boolean {
  return list === token || list.split(',').some((item) => item.trim() === token);
}
