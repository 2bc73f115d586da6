import { createHash } from 'node:crypto';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { onTestFinished } from 'vitest';
import type { Protocol } from './ask.ts';
import { MessageReader, type Pairs, valuesOf } from './http1-message.ts';
import type { UpstreamExchange } from './scripted-upstream.ts';
import { Watch } from './watch.ts';

/** A frame of RFC 6455 §5.2. */
export interface Frame {
  readonly fin: boolean;
  readonly opcode: number;
  /** Unmasked. */
  readonly payload: Buffer;
}

export const Opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

const MASK = Buffer.from([0x12, 0x34, 0x56, 0x78]);

export function frame(
  opcode: number,
  payload: string | Buffer,
  options: { masked: boolean; fin?: boolean },
): Buffer {
  const bytes = Buffer.from(payload as string);
  const { length } = bytes;
  const size = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const head = Buffer.alloc(2 + size);
  head[0] = (options.fin === false ? 0 : 0x80) | opcode;
  head[1] = (options.masked ? 0x80 : 0) | (size === 0 ? length : size === 2 ? 126 : 127);
  if (size === 2) head.writeUInt16BE(length, 2);
  if (size === 8) head.writeBigUInt64BE(BigInt(length), 2);
  if (!options.masked) return Buffer.concat([head, bytes]);
  return Buffer.concat([head, MASK, bytes.map((byte, i) => byte ^ (MASK[i % 4] as number))]);
}

export function closeFrame(code: number, reason: string, masked: boolean): Buffer {
  return frame(Opcode.close, Buffer.concat([Buffer.from([code >> 8, code & 0xff]), Buffer.from(reason)]), {
    masked,
  });
}

/** One end of a websocket behind its handshake, on whatever carries it. */
export class WebSocketEnd {
  readonly stream: Duplex;
  /** Every byte that came. */
  readonly #received: Buffer[] = [];
  readonly #watch = new Watch();
  #rest: Buffer = Buffer.alloc(0);
  readonly frames: Frame[] = [];
  /** The peer has ended or reset its side. */
  isOver = false;
  receivedBytes = 0;

  constructor(stream: Duplex, early: Buffer) {
    this.stream = stream;
    const over = (): void => {
      this.isOver = true;
      this.#watch.changed();
    };
    stream.on('error', () => {});
    stream.on('end', over);
    stream.on('close', over);
    if (early.length > 0) this.#take(early);
    stream.on('data', (bytes: Buffer) => this.#take(bytes));
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#received);
  }

  send(bytes: Buffer): void {
    this.stream.write(bytes);
  }

  until(passes: () => boolean): Promise<void> {
    return this.#watch.until(passes);
  }

  /** Resolves with the frame of this index, or null if the peer ends before. */
  async frame(index: number): Promise<Frame | null> {
    await this.until(() => this.frames.length > index || this.isOver);
    return this.frames[index] ?? null;
  }

  over(): Promise<void> {
    return this.until(() => this.isOver);
  }

  #take(bytes: Buffer): void {
    this.#received.push(bytes);
    this.receivedBytes += bytes.length;
    this.#rest = Buffer.concat([this.#rest, bytes]);
    for (let next = takeFrame(this.#rest); next !== null; next = takeFrame(this.#rest)) {
      this.frames.push(next.frame);
      this.#rest = this.#rest.subarray(next.length);
    }
    this.#watch.changed();
  }
}

function takeFrame(bytes: Buffer): { readonly frame: Frame; readonly length: number } | null {
  if (bytes.length < 2) return null;
  const short = bytes.readUInt8(1) & 0x7f;
  const extended = short === 126 ? 2 : short === 127 ? 8 : 0;
  const masked = bytes.readUInt8(1) > 127;
  const start = 2 + extended + (masked ? 4 : 0);
  if (bytes.length < start) return null;
  const size =
    extended === 0 ? short : extended === 2 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
  if (bytes.length < start + size) return null;
  const mask = bytes.subarray(start - 4, start);
  const body = bytes.subarray(start, start + size);
  const payload = masked ? Buffer.from(body.map((byte, i) => byte ^ (mask[i % 4] as number))) : body;
  const first = bytes.readUInt8(0);
  return { frame: { fin: first > 127, opcode: first & 15, payload }, length: start + size };
}

/** The upstream's side: switches protocols, with bytes behind its head if given. */
export function acceptWebSocket(
  exchange: UpstreamExchange,
  headers = '',
  early: Buffer = Buffer.alloc(0),
): WebSocketEnd {
  const key = exchange.header('sec-websocket-key');
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  const head = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n${headers}\r\n`;
  const end = new WebSocketEnd(exchange.takeOver(), Buffer.alloc(0));
  exchange.send(Buffer.concat([Buffer.from(head, 'latin1'), early]));
  return end;
}

/** How a handshake went. */
export interface Handshake {
  readonly status: number;
  readonly headers: Pairs;
  header(name: string): string | null;
  /** Null unless it was accepted. */
  readonly end: WebSocketEnd | null;
  /** The answer's body and whether it was whole, where it was declined. */
  declined(): Promise<{ readonly body: string; readonly whole: boolean }>;
  /** Goes away without a word: reset. */
  vanish(): void;
  /** Closes its connection (HTTP/1.1) or ends its stream (HTTP/2), without a close frame. */
  leave(): void;
}

export interface HandshakeOptions {
  readonly path: string;
  readonly headers?: Pairs;
  /** Sent in one packet with the handshake; HTTP/1.1 alone. */
  readonly early?: Buffer;
}

/** The client's side: asks for a websocket and waits for the answer. */
export function openWebSocket(
  protocol: Protocol,
  port: number,
  options: HandshakeOptions,
): Promise<Handshake> {
  return protocol === 'HTTP/1.1' ? openOverHttp1(port, options) : openOverHttp2(port, options);
}

async function openOverHttp1(
  port: number,
  { path, headers = [], early }: HandshakeOptions,
): Promise<Handshake> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  const watch = new Watch();
  const reader = new MessageReader('GET');
  let rest: Buffer = Buffer.alloc(0);
  let closed = false;
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => {});
  const take = (bytes: Buffer): void => {
    rest = reader.push(bytes);
    watch.changed();
  };
  socket.on('data', take);
  socket.on('end', () => reader.finish());
  socket.on('close', () => {
    closed = true;
    watch.changed();
  });
  let head = `GET ${path} HTTP/1.1\r\nHost: gateway.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n`;
  head += 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';
  for (let i = 0; i < headers.length; i += 2) head += `${headers[i]}: ${headers[i + 1]}\r\n`;
  socket.write(Buffer.concat([Buffer.from(`${head}\r\n`, 'latin1'), early ?? Buffer.alloc(0)]));
  await watch.until(() => reader.hasHead || closed);
  const status = Number(reader.startLine.split(' ')[1]);
  if (status === 101) socket.off('data', take);
  return {
    status,
    headers: reader.headers,
    header: (name) => valuesOf(reader.headers, name).join(', ') || null,
    end: status === 101 ? new WebSocketEnd(socket, rest) : null,
    async declined() {
      await watch.until(() => reader.complete || closed);
      return { body: reader.body.toString('latin1'), whole: reader.complete };
    },
    vanish: () => void socket.resetAndDestroy(),
    leave: () => void socket.destroy(),
  };
}

async function openOverHttp2(port: number, { path, headers = [] }: HandshakeOptions): Promise<Handshake> {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  session.on('error', () => {});
  onTestFinished(() => void session.destroy());
  await new Promise((resolve) => session.once('remoteSettings', resolve));
  const sent = [
    ':method',
    'CONNECT',
    ':protocol',
    'websocket',
    ':scheme',
    'http',
    ':authority',
    'gateway.test',
    ':path',
    path,
  ];
  sent.push('sec-websocket-version', '13');
  for (let i = 0; i < headers.length; i += 2)
    sent.push((headers[i] as string).toLowerCase(), headers[i + 1] as string);
  const stream = session.request(sent as never, { endStream: false });
  const watch = new Watch();
  let status = 0;
  let received: Pairs = [];
  let closed = false;
  let clean = false;
  stream.on('error', () => {});
  stream.on('close', () => {
    closed = true;
    watch.changed();
  });
  stream.on('end', () => {
    clean = true;
  });
  stream.on('response', (fields, _flags, raw) => {
    status = Number(fields[':status']);
    received = raw.filter((_, i) => !(raw[i - (i % 2)] as string).startsWith(':'));
    watch.changed();
  });
  await watch.until(() => status !== 0 || closed);
  const pieces: Buffer[] = [];
  const end = status === 200 ? new WebSocketEnd(stream, Buffer.alloc(0)) : null;
  if (end === null) stream.on('data', (chunk: Buffer) => pieces.push(chunk));
  return {
    status,
    headers: received,
    header: (name) => valuesOf(received, name).join(', ') || null,
    end,
    async declined() {
      stream.end();
      await watch.until(() => closed);
      return { body: Buffer.concat(pieces).toString('latin1'), whole: clean && stream.rstCode === 0 };
    },
    vanish: () => stream.close(8),
    leave: () => void stream.end(),
  };
}
