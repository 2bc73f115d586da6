import type { UpstreamHead } from '../client.ts';
import { ProtocolError, TOKEN, trimOws } from './grammar.ts';

export interface ParsedHead {
  readonly head: UpstreamHead;
  readonly chunked: boolean;
  readonly keepAlive: boolean;
  readonly keepAliveHintMs: number | null;
}

// RFC 9112 §4
const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?$/;
const DIGITS = /^[0-9]{1,15}$/;
/** Controls but for the tab (RFC 9110 §5.5), and a CR or LF that doesn't end a line; looked for once a head. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const FORBIDDEN_IN_HEAD = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|(?<!\r)\n/;

/** What a response header says to whoever reads the message. */
type Meaning = 'none' | 'connection' | 'keep-alive' | 'content-length' | 'transfer-encoding';

/** Names seen before, as they were spelled, so that a name is checked once and not with every response. */
const meanings = new Map<string, Meaning>();
const MEANINGS_LIMIT = 1024;

/** @throws ProtocolError when it is no name (RFC 9110 §5.1) */
function meaningOf(name: string): Meaning {
  const known = meanings.get(name);
  if (known !== undefined) return known;
  if (!TOKEN.test(name)) throw new ProtocolError('malformed header line in the response');
  const lower = name.toLowerCase();
  let meaning: Meaning = 'none';
  switch (lower) {
    case 'connection':
    case 'keep-alive':
    case 'content-length':
    case 'transfer-encoding':
      meaning = lower;
  }
  if (meanings.size >= MEANINGS_LIMIT) meanings.clear();
  meanings.set(name, meaning);
  return meaning;
}

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
  if (FORBIDDEN_IN_HEAD.test(text)) throw new ProtocolError('control characters in the response head');
  while (lineEnd !== -1) {
    const start = lineEnd + 2;
    lineEnd = text.indexOf('\r\n', start);
    const line = lineEnd === -1 ? text.slice(start) : text.slice(start, lineEnd);
    const colon = line.indexOf(':');
    const name = line.slice(0, colon === -1 ? 0 : colon);
    const meaning = meaningOf(name);
    const value = trimOws(line, colon + 1);
    headers.push(name, value);
    switch (meaning) {
      case 'none':
        break;
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
      case 'content-length':
        length = sameLength(length, value);
        break;
      case 'transfer-encoding':
        if (chunked || value.toLowerCase() !== 'chunked') {
          throw new ProtocolError('transfer-encoding other than chunked in the response');
        }
        chunked = true;
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
  if (known === null && DIGITS.test(value)) return Number(value);
  for (const part of value.split(',')) {
    const digits = part.trim();
    if (!DIGITS.test(digits)) throw new ProtocolError('malformed content-length in the response');
    if (known !== null && known !== Number(digits)) {
      throw new ProtocolError('two different content-lengths in the response');
    }
    known = Number(digits);
  }
  return known as number;
}

function hasToken(list: string, token: string): boolean {
  return list === token || list.split(',').some((item) => item.trim() === token);
}
