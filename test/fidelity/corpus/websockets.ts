/** One row: a handshake and the bytes of both directions behind it. */
export interface WebSocketExchange {
  readonly name: string;
  readonly why: string;
  /** The target's own path and query; default `/v1/realtime`. */
  readonly path?: string;
  /** Header lines besides those that every handshake has. */
  readonly fields?: readonly string[];
  /** What the client sends, a write each. */
  readonly fromClient: readonly Buffer[];
  /** So many of the client's writes travel in one packet with the handshake. */
  readonly early?: number;
  /** The upstream's answer; default: a plain 101. */
  readonly answer?: string;
  /** What the upstream sends behind it, a write each; the first in one packet with the answer. */
  readonly fromUpstream: readonly Buffer[];
}

const MASK = Buffer.from([0x37, 0xfa, 0x21, 0x3d]);

/** A frame (RFC 6455 §5.2); `first` is its first byte, and only a client masks. */
function frame(first: number, payload: Buffer | string, mask: Buffer | null): Buffer {
  const bytes = Buffer.from(payload as string);
  const masked = mask === null ? 0 : 0x80;
  const length =
    bytes.length < 126
      ? Buffer.from([masked | bytes.length])
      : bytes.length < 65_536
        ? Buffer.from([masked | 126, bytes.length >> 8, bytes.length & 255])
        : Buffer.from([
            masked | 127,
            0,
            0,
            0,
            0,
            0,
            bytes.length >> 16,
            (bytes.length >> 8) & 255,
            bytes.length & 255,
          ]);
  const sent = mask === null ? bytes : bytes.map((byte, i) => byte ^ (mask[i % 4] as number));
  return Buffer.concat([Buffer.from([first]), length, mask ?? Buffer.alloc(0), sent]);
}

const says = (first: number, payload: Buffer | string): Buffer => frame(first, payload, MASK);
const hears = (first: number, payload: Buffer | string): Buffer => frame(first, payload, null);
const closing = (code: number, reason = ''): Buffer =>
  Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]);

const TEXT = 0x81;
const BINARY = 0x82;
const CLOSE = 0x88;
const PING = 0x89;
const PONG = 0x8a;

/** Both sides say goodbye. */
const talk = (
  name: string,
  why: string,
  fromClient: readonly Buffer[],
  fromUpstream: readonly Buffer[],
): WebSocketExchange => ({
  name,
  why,
  fromClient: [...fromClient, says(CLOSE, closing(1000))],
  fromUpstream: [...fromUpstream, hears(CLOSE, closing(1000))],
});

const large = Buffer.alloc(200_000, 'abcdefghij');

/** Websockets, frame by frame. */
export const WEBSOCKETS: readonly WebSocketExchange[] = [
  talk(
    'text both ways',
    'the usual conversation',
    [says(TEXT, '{"type":"session.update"}')],
    [hears(TEXT, '{"type":"session.created"}')],
  ),
  talk(
    'text that is no UTF-8',
    'not ours to close with 1007',
    [says(TEXT, Buffer.from([0xff, 0xfe]))],
    [hears(TEXT, Buffer.from([0xc3]))],
  ),
  talk(
    'every byte there is',
    'no text',
    [says(BINARY, Buffer.from(Array.from({ length: 256 }, (_, i) => i)))],
    [hears(BINARY, Buffer.from(Array.from({ length: 256 }, (_, i) => 255 - i)))],
  ),
  talk(
    'fragments with a ping between them',
    'control frames may stand there (RFC 6455 §5.4)',
    [says(0x01, 'he'), says(PING, 'p'), says(0x00, 'l'), says(0x80, 'lo')],
    [hears(0x02, 'a'), hears(PONG, 'p'), hears(0x80, 'b')],
  ),
  talk(
    'lengths of 16 and 64 bits',
    'three ways to write a length',
    [says(BINARY, large.subarray(0, 126)), says(BINARY, large)],
    [hears(BINARY, large.subarray(0, 65_535)), hears(BINARY, large)],
  ),
  talk(
    'empty frames',
    'no payload, and a mask nevertheless',
    [says(TEXT, ''), says(PING, '')],
    [hears(TEXT, ''), hears(PONG, '')],
  ),
  talk(
    'reserved bits and opcodes',
    'extensions nobody told us of',
    [says(0xc1, 'x'), says(0xb3, 'y')],
    [hears(0xf1, 'x'), hears(0x8b, 'y')],
  ),
  talk(
    'frames in pieces of one byte',
    'every cut there is',
    [...says(TEXT, 'byte by byte')].map((byte) => Buffer.from([byte])),
    [...hears(TEXT, 'byte by byte')].map((byte) => Buffer.from([byte])),
  ),
  talk(
    'many frames in one packet',
    'nothing waits for an answer',
    [Buffer.concat(Array.from({ length: 50 }, (_, i) => says(TEXT, `c${i}`)))],
    [Buffer.concat(Array.from({ length: 50 }, (_, i) => hears(TEXT, `u${i}`)))],
  ),
  {
    name: 'frames in one packet with the handshake',
    why: 'what stands behind a head must not be lost',
    fromClient: [says(TEXT, 'already'), says(TEXT, 'here'), says(CLOSE, closing(1000))],
    early: 2,
    fromUpstream: [hears(CLOSE, closing(1000))],
  },
  {
    name: 'a close code and reason of one’s own',
    why: 'both are the peers’',
    fromClient: [says(CLOSE, closing(4001, 'gr\u00fc\u00dfe'))],
    fromUpstream: [hears(CLOSE, closing(4999, 'no'))],
  },
  {
    name: 'a close without a code',
    why: '1005 is what that means',
    fromClient: [says(CLOSE, '')],
    fromUpstream: [hears(CLOSE, '')],
  },
  {
    name: 'extensions and subprotocols',
    why: 'agreed between client and upstream',
    fields: [
      'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits',
      'Sec-WebSocket-Protocol: realtime, x.y',
      'sec-websocket-EXTENSIONS: x-other',
      'Origin: http://a',
      'OpenAI-Beta: realtime=v1',
    ],
    answer:
      'HTTP/1.1 101 Web Socket Protocol Handshake\r\nUpgrade: WebSocket\r\nconnection: upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: realtime\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Latin: \xfc\r\n\r\n',
    fromClient: [says(0xc1, Buffer.from([0xf2, 0x48, 0xcd, 0xc9, 0xc9, 7, 0])), says(CLOSE, closing(1000))],
    fromUpstream: [
      hears(0xc1, Buffer.from([0xf2, 0x48, 0xcd, 0xc9, 0xc9, 7, 0])),
      hears(CLOSE, closing(1000)),
    ],
  },
  {
    name: 'a model in the query',
    why: 'a websocket names it there, and the rest of the query stays',
    path: '/v1/realtime?intent=a%2Fb&model={model}&x&=',
    fromClient: [says(CLOSE, closing(1000))],
    fromUpstream: [hears(CLOSE, closing(1000))],
  },
];

/** Handshakes that the upstream doesn't take. */
export const DECLINED_WEBSOCKETS: readonly WebSocketExchange[] = [
  ['401 Unauthorized', 'WWW-Authenticate: Bearer\r\nContent-Length: 24\r\n', '{"error":"Unauthorized"}'],
  ['403 Forbidden', 'Content-Length: 0\r\n', ''],
  ['426 Upgrade Required', 'Sec-WebSocket-Version: 13, 8\r\nContent-Length: 0\r\n', ''],
  ['302 Go Elsewhere', 'Location: /v2/realtime\r\nContent-Length: 2\r\n', 'no'],
].map(([status = '', lines = '', body = '']) => ({
  name: `an upstream that answers ${status}`,
  why: 'its answer is the client’s',
  answer: `HTTP/1.1 ${status}\r\nX-A: 1\r\n${lines}\r\n${body}`,
  fromClient: [],
  fromUpstream: [],
}));
