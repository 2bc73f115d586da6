import { createHash, randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { constants, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { headerLines } from '../base/header-lines.ts';
import { linger, lingerStream } from '../base/linger.ts';
import { reset } from '../base/reset.ts';
import type { UpstreamHead } from '../upstream/client.ts';
import { isHopByHop } from './header-kinds.ts';
import { headerValue, http2Headers, http2Status, withoutPseudoHeaders } from './raw-headers.ts';

/** How long an HTTP/2 client may leave the end untaken. */
const END_TIMEOUT_MS = 10_000;

/** The client's side of a websocket handshake: HTTP/1.1 Upgrade (RFC 6455), or CONNECT on HTTP/2 (RFC 8441). */
export interface UpgradeClient {
  /** Raw name-value pairs to relay, among them the handshake's own. */
  readonly headers: readonly string[];
  /** What the client sent behind its handshake. */
  readonly early: Buffer;
  readonly stream: Duplex;
  /**
   * Answers the handshake with these headers, the upstream's and ours; false when the upstream's answer doesn't fit the
   * handshake.
   */
  accept(head: UpstreamHead, headers: readonly string[]): boolean;
  /** Answers with something else than a switch; the body follows on `stream`, and `finish` is its end. */
  decline(status: number, reason: string, headers: readonly string[]): void;
  /** Ends once all that was written has gone; what the client still sends is dropped. Again is harmless. */
  finish(): void;
  /** Ends so that nobody takes what has gone for the whole. */
  break(): void;
}

export function http1UpgradeClient(request: IncomingMessage, duplex: Duplex, early: Buffer): UpgradeClient {
  const socket = duplex as Socket;
  return {
    headers: request.rawHeaders,
    early,
    stream: socket,
    accept({ reason }, accepted) {
      socket.write(`HTTP/1.1 101 ${reason}\r\n${headerLines(accepted)}\r\n`, 'latin1');
      return true;
    },
    decline(status, reason, headers) {
      const dated = headerValue(headers, 'date') === null ? ['Date', new Date().toUTCString()] : [];
      const lines = headerLines([...endToEnd(headers), ...dated, 'Connection', 'close']);
      socket.write(`HTTP/1.1 ${status} ${reason}\r\n${lines}\r\n`, 'latin1');
    },
    finish() {
      socket.end(() => linger(socket));
    },
    break() {
      reset(socket);
    },
  };
}

export function http2UpgradeClient(
  request: Http2ServerRequest,
  response: Http2ServerResponse,
): UpgradeClient {
  const { stream } = response;
  const key = randomBytes(16).toString('base64');
  const headers = [...withoutPseudoHeaders(request.rawHeaders, request.authority), 'sec-websocket-key', key];
  return {
    headers,
    early: Buffer.alloc(0),
    stream,
    accept(head, accepted) {
      if (headerValue(head.headers, 'sec-websocket-accept') !== acceptFor(key)) return false;
      stream.respond({ ':status': 200, ...http2Headers(endToEnd(accepted)) });
      return true;
    },
    decline(status, _reason, declined) {
      if (stream.destroyed || stream.closed) return;
      // Waiting keeps the end of the body, and with it a clean end, back until `finish`.
      stream.respond(
        { ':status': http2Status(status), ...http2Headers(endToEnd(declined)) },
        { waitForTrailers: true },
      );
    },
    finish() {
      lingerStream(request, END_TIMEOUT_MS);
      stream.end();
    },
    break() {
      stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    },
  };
}

/** RFC 6455 §4.2.2: what a server that understood the key answers. */
function acceptFor(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}

/** What of the upstream's answer crosses into another protocol or another connection. */
function endToEnd(raw: readonly string[]): string[] {
  const out: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    if (!isHopByHop(raw[i] as string)) out.push(raw[i] as string, raw[i + 1] as string);
  }
  return out;
}
