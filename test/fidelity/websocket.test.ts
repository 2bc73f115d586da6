import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  actualHandshake,
  actualResponse,
  expectedHandshake,
  expectedResponse,
  type ResponseView,
  type View,
} from './allowed-differences.ts';
import { DECLINED_WEBSOCKETS, WEBSOCKETS, type WebSocketExchange } from './corpus/websockets.ts';
import { WAYS, type Way } from './exchange.ts';
import { type Fixture, startFixture } from './fixture.ts';
import { Inbox } from './inbox.ts';
import { type ClientView, connected } from './raw-exchange.ts';
import { requestBytes } from './request-text.ts';
import type { Message } from './wire.ts';

/* Websockets are compared by their bytes: handshake, then each direction to its end. */

const SWITCH =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
  'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n';
const HANDSHAKE = [
  'Host: {host}',
  'Connection: keep-alive, Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
];

/** What one side of the upstream saw. */
interface Seen {
  readonly handshake: Message;
  /** Everything that the client sent behind it. */
  readonly bytes: Buffer;
}

let fixture: Fixture;
let current: WebSocketExchange;
let seen: PromiseWithResolvers<Seen>;

beforeAll(async () => {
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    void serve(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  fixture = await startFixture({
    port: (server.address() as AddressInfo).port,
    take: () => [],
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  });
});

afterAll(() => fixture.close());

async function serve(socket: Socket): Promise<void> {
  const inbox = new Inbox(socket);
  const exchange = current;
  const result = seen;
  const handshake = await inbox.message({ kind: 'request' });
  const [first = Buffer.alloc(0), ...rest] = exchange.fromUpstream;
  socket.write(Buffer.concat([Buffer.from(exchange.answer ?? SWITCH, 'latin1'), first]));
  await writeAll(socket, rest);
  const bytes = await inbox.bytes(Buffer.concat(exchange.fromClient).length);
  socket.end();
  await inbox.ended;
  result.resolve({ handshake, bytes: Buffer.concat([bytes, inbox.rest]) });
}

async function writeAll(socket: Socket, pieces: readonly Buffer[]): Promise<void> {
  for (const piece of pieces) {
    await new Promise(setImmediate);
    socket.write(piece);
  }
}

interface Result {
  readonly seen: Seen;
  readonly client: ClientView;
  /** Everything that came behind the answer. */
  readonly bytes: Buffer;
}

async function run(exchange: WebSocketExchange, way: Way | 'direct'): Promise<Result> {
  current = exchange;
  seen = Promise.withResolvers();
  const filling = fixture.filling(way);
  const path = (exchange.path ?? '/v1/realtime').replace('{model}', filling.model);
  const { head } = requestBytes({ path, fields: [...HANDSHAKE, ...(exchange.fields ?? [])] }, filling);
  const socket = await connected(way === 'direct' ? fixture.upstream.port : fixture.gatewayPort);
  const inbox = new Inbox(socket);
  try {
    const early = exchange.early ?? 0;
    socket.write(Buffer.concat([head, ...exchange.fromClient.slice(0, early)]));
    const response = await inbox.message({ kind: 'response' });
    await writeAll(socket, exchange.fromClient.slice(early));
    await inbox.ended;
    socket.end();
    return { seen: await seen.promise, client: { interim: [], response }, bytes: inbox.rest };
  } finally {
    socket.destroy();
  }
}

interface Sides {
  readonly request: View;
  readonly response: ResponseView;
  readonly fromClient: string;
  readonly fromUpstream: string;
}

function rows(exchanges: readonly WebSocketExchange[]): [string, Way, WebSocketExchange][] {
  return exchanges.flatMap((exchange) =>
    WAYS.map((way): [string, Way, WebSocketExchange] => [exchange.name, way, exchange]),
  );
}

describe('a websocket is the same with and without the gateway', () => {
  test.each(rows([...WEBSOCKETS, ...DECLINED_WEBSOCKETS]))(
    '%s, on the way of %s',
    async (_name, way, exchange) => {
      const direct = await run(exchange, 'direct');
      expect(direct.seen.bytes).toEqual(Buffer.concat(exchange.fromClient));
      const through = await run(exchange, way);
      const expected: Sides = {
        request: expectedHandshake(direct.seen.handshake),
        response: expectedResponse(direct.client),
        fromClient: direct.seen.bytes.toString('latin1'),
        fromUpstream: direct.bytes.toString('latin1'),
      };
      const actual: Sides = {
        request: actualHandshake(through.seen.handshake),
        response: actualResponse(through.client, expected.response),
        fromClient: through.seen.bytes.toString('latin1'),
        fromUpstream: through.bytes.toString('latin1'),
      };
      expect(actual, exchange.why).toEqual(expected);
    },
  );
});
