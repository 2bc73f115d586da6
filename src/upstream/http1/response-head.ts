import type { UpstreamHead } from '../client.ts';
import { ProtocolError } from './grammar.ts';

export interface ParsedHead {
  readonly head: UpstreamHead;
  readonly chunked: boolean;
  readonly keepAlive: boolean;
  readonly keepAliveHintMs: number | null;
}

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const COLON = 0x3a;

/** Per byte: may it stand in a name (a token, RFC 9110 §5.6.2), in a value (§5.5; obs-text may). */
const IN_NAME = 1;
const IN_VALUE = 2;
const CLASSES = new Uint8Array(256);
for (let byte = 0; byte < 256; byte++) {
  if (/^[!#$%&'*+\-.^_`|~0-9A-Za-z]$/.test(String.fromCharCode(byte))) CLASSES[byte] = IN_NAME;
  if (byte === TAB || (byte >= SPACE && byte !== 0x7f)) CLASSES[byte] = (CLASSES[byte] ?? 0) | IN_VALUE;
}

const DIGITS = /^[0-9]{1,15}$/;

/**
 * Parses a response head, `bytes` up to `end`, where its empty line stands. Each byte is looked at once: this runs for
 * every response, and a regular expression a line cost three times as much.
 * @throws ProtocolError
 */
export function parseHead(bytes: Buffer, end: number): ParsedHead {
  const text = bytes.toString('latin1', 0, end);
  let at = runOf(bytes, 0, end, IN_VALUE);
  const { status, reason, isHttp11 } = parseStatusLine(text, at);
  const headers: string[] = [];
  let length: number | null = null;
  let chunked = false;
  let keepAlive = isHttp11;
  let closing = false;
  let keepAliveHintMs: number | null = null;
  while (at < end) {
    if (bytes[at] !== CR || bytes[at + 1] !== LF)
      throw new ProtocolError('control bytes in the response head');
    const start = at + 2;
    const colon = runOf(bytes, start, end, IN_NAME);
    if (colon === start || colon >= end || bytes[colon] !== COLON) {
      throw new ProtocolError('malformed header line in the response');
    }
    let from = colon + 1;
    while (from < end && isOws(bytes[from])) from++;
    at = runOf(bytes, from, end, IN_VALUE);
    let to = at;
    while (to > from && isOws(bytes[to - 1])) to--;
    const name = text.slice(start, colon);
    const value = text.slice(from, to);
    headers.push(name, value);
    switch (meaningOf(name)) {
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
  if (chunked && !isHttp11) throw new ProtocolError('chunked in an HTTP/1.0 response');
  return {
    head: { status, reason, headers, length },
    chunked,
    keepAlive: keepAlive && !closing,
    keepAliveHintMs,
  };
}

/** Where the run of bytes of this class that begins at `from` ends. */
function runOf(bytes: Buffer, from: number, end: number, wanted: number): number {
  let at = from;
  while (at < end && ((CLASSES[bytes[at] as number] as number) & wanted) !== 0) at++;
  return at;
}

function isOws(byte: number | undefined): boolean {
  return byte === SPACE || byte === TAB;
}

/** RFC 9112 §4: version, three digits, and a reason that may be empty or missing. */
function parseStatusLine(text: string, end: number): { status: number; reason: string; isHttp11: boolean } {
  const isHttp11 = text.startsWith('HTTP/1.1 ');
  const status = Number(text.slice(9, 12));
  const hasVersion = isHttp11 || text.startsWith('HTTP/1.0 ');
  const hasBorder = end === 12 || (end > 12 && text.charCodeAt(12) === SPACE);
  if (
    !hasVersion ||
    !hasBorder ||
    !(status >= 100 && status <= 999) ||
    !/^[0-9]{3}$/.test(text.slice(9, 12))
  ) {
    throw new ProtocolError('not an HTTP/1 status line');
  }
  return { status, reason: end > 13 ? text.slice(13, end) : '', isHttp11 };
}

/** What a response header says to whoever reads the message. */
type Meaning = 'none' | 'connection' | 'keep-alive' | 'content-length' | 'transfer-encoding';

/** By length first: of a usual response's headers only one or two are lowered and compared. */
function meaningOf(name: string): Meaning {
  switch (name.length) {
    case 10: {
      const lower = name.toLowerCase();
      return lower === 'connection' || lower === 'keep-alive' ? lower : 'none';
    }
    case 14:
      return name.toLowerCase() === 'content-length' ? 'content-length' : 'none';
    case 17:
      return name.toLowerCase() === 'transfer-encoding' ? 'transfer-encoding' : 'none';
    default:
      return 'none';
  }
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
