import { once } from 'node:events';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ModelService } from '../../gen/sluice/v1/model_service_pb.ts';
import { Http2Downstream } from '../../src/relay/http2-downstream.ts';
import { http2UpgradeClient } from '../../src/relay/upgrade-client.ts';
import type { TlsPair } from '../../src/server/port-listener.ts';
import { selfSignedCertificate } from '../helpers/certificate.ts';
import {
  END_HEADERS,
  END_STREAM,
  type Frame,
  FrameType,
  frame,
  headerBlock,
  PREFACE,
  parseFrames,
} from '../helpers/http2-frames.ts';
import { openTestPort } from './port-fixture.ts';
import { MASTER_KEY, startRpc } from './rpc-fixture.ts';

type Fields = readonly (readonly [string, string])[];

/** A client by hand: it takes its answers when the test says so, and frame by frame. */
class Client {
  readonly #socket: Socket;
  readonly #frames: Frame[] = [];
  readonly #parts = new FrameParts();
  #next = 1;
  #onFrames: (() => void) | null = null;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#frames.push(...this.#parts.push(chunk));
      this.#onFrames?.();
    });
    // As much as an answer may want to send: nothing but TCP holds it back.
    const setting = Buffer.alloc(6);
    setting.writeUInt16BE(4, 0);
    setting.writeUInt32BE(0x7fff_ffff, 2);
    const window = Buffer.alloc(4);
    window.writeUInt32BE(0x4000_0000);
    socket.write(PREFACE);
    socket.write(frame(FrameType.settings, 0, 0, setting));
    socket.write(frame(FrameType.windowUpdate, 0, 0, window));
  }

  static async open(port: number, tls: TlsPair | null = null): Promise<Client> {
    const host = '127.0.0.1';
    const socket =
      tls === null
        ? connect({ port, host })
        : connectTls({ port, host, ca: tls.cert, ALPNProtocols: ['h2'] });
    await once(socket, tls === null ? 'connect' : 'secureConnect');
    onTestFinished(() => void socket.destroy());
    return new Client(socket);
  }

  /** Sends a head and a piece of its body. */
  post(path: string, fields: Fields, piece: Buffer): number {
    const stream = this.#next;
    this.#next += 2;
    const head = headerBlock([
      [':method', 'POST'],
      [':scheme', 'http'],
      [':path', path],
      [':authority', 'test'],
      ...fields,
    ]);
    this.#socket.write(frame(FrameType.headers, END_HEADERS, stream, head));
    this.#socket.write(frame(FrameType.data, 0, stream, piece));
    return stream;
  }

  /** Everything that `send` sends in one write. */
  together<T>(send: () => T): T {
    this.#socket.cork();
    const sent = send();
    this.#socket.uncork();
    return sent;
  }

  more(stream: number, piece: Buffer): void {
    this.#socket.write(frame(FrameType.data, 0, stream, piece));
  }

  end(stream: number): void {
    this.#socket.write(frame(FrameType.data, END_STREAM, stream));
  }

  stopTaking(): void {
    this.#socket.pause();
  }

  takeAgain(): void {
    this.#socket.resume();
  }

  /** But for those that say how much may be sent. */
  frames(stream: number): Frame[] {
    return this.#frames.filter((one) => one.stream === stream && one.type !== FrameType.windowUpdate);
  }

  /** Waits until the port's side of a stream is over, with an end or without; answers all frames until then. */
  async untilOver(stream: number): Promise<Frame[]> {
    const isLast = ({ type, flags }: Frame): boolean =>
      type === FrameType.rstStream || (flags & END_STREAM) !== 0;
    await this.until(() => this.frames(stream).some(isLast));
    const frames = this.frames(stream);
    return frames.slice(0, frames.findIndex(isLast) + 1);
  }

  /** Waits until the port resets the stream; answers all frames of it. */
  async untilReset(stream: number): Promise<Frame[]> {
    await this.until(() => this.frames(stream).at(-1)?.type === FrameType.rstStream);
    return this.frames(stream);
  }

  async until(found: () => boolean): Promise<void> {
    while (!found()) {
      await new Promise<void>((resolve) => {
        this.#onFrames = resolve;
      });
    }
  }
}

/** Frames out of chunks that are cut anywhere. */
class FrameParts {
  #parts: Buffer[] = [];
  #length = 0;

  push(chunk: Buffer): Frame[] {
    this.#parts.push(chunk);
    this.#length += chunk.length;
    const all = Buffer.concat(this.#parts, this.#length);
    const frames = parseFrames(all);
    const used = frames.reduce((sum, { payload }) => sum + 9 + payload.length, 0);
    this.#parts = [all.subarray(used)];
    this.#length -= used;
    return frames;
  }
}

/** Everything that the event loop has ready for both sides. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
}

const TOO_LARGE = Buffer.from([0, 0xff, 0xff, 0xff, 0xff]);
const AUTHORIZED: Fields = [['authorization', `Bearer ${MASTER_KEY}`]];
const INFER = `/${ModelService.typeName}/Infer`;
const STREAM_INFER = `/${ModelService.typeName}/StreamInfer`;

interface Row {
  readonly name: string;
  readonly path: string;
  readonly fields: Fields;
  readonly piece: Buffer;
}

function rpcRow(name: string, path: string, type: string, piece: Buffer, more = AUTHORIZED): Row {
  return { name, path, fields: [['content-type', type], ...more], piece };
}

const RPC: readonly Row[] = [
  rpcRow('a gRPC message that is too large', INFER, 'application/grpc', TOO_LARGE),
  rpcRow('a gRPC-Web message that is too large', INFER, 'application/grpc-web+proto', TOO_LARGE),
  rpcRow('a Connect message that is too large', STREAM_INFER, 'application/connect+proto', TOO_LARGE),
  rpcRow('a Connect call without a key', INFER, 'application/json', Buffer.from('{'), []),
  rpcRow('a gRPC call without a key', INFER, 'application/grpc', Buffer.from([0]), []),
  rpcRow('a gRPC method that is none', `/${ModelService.typeName}/No`, 'application/grpc', Buffer.from([0])),
];

function rawRow(name: string, more: Fields = []): Row {
  return {
    name: `the raw port's ${name}`,
    path: `/${name.replaceAll(' ', '-')}`,
    fields: more,
    piece: Buffer.from('x'),
  };
}

const WHOLE: readonly Row[] = [rawRow('answer in one piece'), rawRow('refusal', [['host', 'another']])];
const PIECES: readonly Row[] = [
  rawRow('answer in pieces'),
  rawRow('answer with trailers'),
  rawRow('answer to a handshake'),
];

/** More than the kernel takes for a client that takes nothing. */
const BLOCKING = Buffer.alloc(32 * 1024 * 1024);

interface Server {
  readonly port: number;
  /** Has the connection of `client` writing, with no end, from an answer that it doesn't take. */
  block(client: Client): Promise<void>;
}

async function openRaw(tls: TlsPair | null): Promise<Server> {
  const port = await openTestPort({
    tls,
    handlers: {
      request(req, res) {
        const response = res as Http2ServerResponse;
        if (req.url === '/blocking') {
          response.on('drain', () => response.write(BLOCKING));
          response.write(BLOCKING);
          return;
        }
        if (req.url?.endsWith('handshake') === true) {
          const upgrade = http2UpgradeClient(req as Http2ServerRequest, response);
          upgrade.decline(404, '', []);
          upgrade.stream.write('no');
          upgrade.finish();
          return;
        }
        const downstream = new Http2Downstream(req as Http2ServerRequest, response, 5_000);
        downstream.closeAfterResponse();
        if (req.url?.endsWith('piece') === true) downstream.respond(401, '', [], Buffer.from('no'));
        else {
          downstream.writeHead(200, '', []);
          downstream.write(Buffer.from('no'));
          downstream.end(req.url?.endsWith('trailers') === true ? ['x-t', 't'] : []);
        }
      },
    },
  });
  return {
    port: port.address.port,
    async block(client) {
      client.stopTaking();
      client.post('/blocking', [], Buffer.alloc(0));
      await settle();
    },
  };
}

async function openRpc(tls: TlsPair | null): Promise<Server> {
  let yielded = 0;
  const response = 'x'.repeat(3 * 1024 * 1024);
  const fixture = await startRpc({
    masterKey: MASTER_KEY,
    port: { tls },
    model: {
      async *streamInfer() {
        for (;;) {
          yielded++;
          yield { response };
        }
      },
    },
  });
  return {
    port: fixture.port.address.port,
    async block(client) {
      client.stopTaking();
      const call = Buffer.from('{"modelId":"m","prompt":"p"}');
      const envelope = Buffer.concat([Buffer.from([0, 0, 0, 0, call.length]), call]);
      const fields: Fields = [['content-type', 'application/connect+json'], ...AUTHORIZED];
      client.end(client.post(STREAM_INFER, fields, envelope));
      let before = -1;
      while (yielded > before) {
        before = yielded;
        await settle();
      }
    },
  };
}

function open(row: Row, tls: TlsPair | null = null): Promise<Server> {
  return RPC.includes(row) ? openRpc(tls) : openRaw(tls);
}

/** The end is there, and nothing behind it but a reset without an error. */
function expectWhole(frames: readonly Frame[]): void {
  expect(frames.at(0)?.type).toBe(FrameType.headers);
  expect((frames.at(-2)?.flags ?? 0) & END_STREAM).toBe(END_STREAM);
  expect(frames.at(-1)?.payload).toEqual(Buffer.alloc(4));
}

describe('an answer to a client that still sends', () => {
  test.each([...RPC, ...WHOLE, ...PIECES])('arrives whole before the stream is reset: $name', async (row) => {
    const client = await Client.open((await open(row)).port);
    expectWhole(await client.untilReset(client.post(row.path, row.fields, row.piece)));
  });

  test.each([...RPC, ...WHOLE, ...PIECES])(
    'and when it has to wait for another answer: $name',
    async (row) => {
      const server = await open(row);
      const client = await Client.open(server.port);
      await server.block(client);
      const stream = client.post(row.path, row.fields, row.piece);
      await settle();
      client.takeAgain();
      expectWhole(await client.untilReset(stream));
    },
  );

  // Each write of TLS takes a turn of the event loop, and what comes meanwhile waits in nghttp2.
  test.each([...RPC, ...WHOLE, ...PIECES])('and when many get one at once, over TLS: $name', async (row) => {
    const tls = selfSignedCertificate();
    const client = await Client.open((await open(row, tls)).port, tls);
    const sending: number[] = [];
    const sent: number[] = [];
    client.together(() => {
      for (let i = 0; i < 10; i++) {
        const stream = client.post(row.path, row.fields, row.piece);
        for (let more = 0; more < 3; more++) client.more(stream, Buffer.alloc(16_384));
        if (i % 2 === 0) client.end(stream);
        (i % 2 === 0 ? sent : sending).push(stream);
      }
    });
    for (const stream of sending) expectWhole(await client.untilReset(stream));
    for (const stream of sent) {
      const frames = await client.untilOver(stream);
      expect((frames.at(-1)?.flags ?? 0) & END_STREAM).toBe(END_STREAM);
    }
  });

  // Clients of connect-go are some: an end before the announced length is an error, for which nghttp2 resets the stream.
  test.each([...RPC, ...WHOLE])(
    'and when it ends the body short as soon as it has a head: $name',
    async (row) => {
      const client = await Client.open((await open(row)).port);
      const stream = client.post(row.path, [...row.fields, ['content-length', '1000']], row.piece);
      await client.until(() => client.frames(stream).length > 0);
      client.end(stream);
      const frames = await client.untilReset(stream);
      expect((frames.at(-2)?.flags ?? 0) & END_STREAM).toBe(END_STREAM);
    },
  );

  test.each([...RPC, ...WHOLE])('leaves in one piece: $name', async (row) => {
    const client = await Client.open((await open(row)).port);
    const stream = client.post(row.path, row.fields, row.piece);
    await client.until(() => client.frames(stream).length > 0);
    expect(client.frames(stream).some(({ flags }) => (flags & END_STREAM) !== 0)).toBe(true);
  });
});
