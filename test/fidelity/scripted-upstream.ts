import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { Inbox } from './inbox.ts';
import type { Message } from './wire.ts';

/** An upstream that records what it gets, to the byte, and answers what it is told, to the byte. */
export interface ScriptedUpstream {
  readonly port: number;
  /** Every request since the last call. */
  take(): readonly Message[];
  /** What the next requests are answered with. */
  answer(pieces: readonly (string | Buffer)[], closes: boolean): void;
  close(): Promise<void>;
}

export async function startScriptedUpstream(): Promise<ScriptedUpstream> {
  const sockets = new Set<Socket>();
  let received: Message[] = [];
  let pieces: readonly (string | Buffer)[] = [];
  let closes = false;

  async function respond(socket: Socket): Promise<void> {
    for (const [i, piece] of pieces.entries()) {
      if (i > 0) await new Promise(setImmediate);
      socket.write(typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece);
    }
    if (closes) socket.end();
  }

  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    const inbox = new Inbox(socket);
    continueWhereExpected(socket, inbox);
    inbox.each({ kind: 'request' }, (message) => {
      received.push(message);
      void respond(socket);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    take() {
      const taken = received;
      received = [];
      return taken;
    },
    answer(next, closing) {
      pieces = next;
      closes = closing;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

const MAX_HEAD_BYTES = 8_192;

/** A client that waits for `100 Continue` gets it. */
function continueWhereExpected(socket: Socket, inbox: Inbox): void {
  socket.on('data', () => {
    if (inbox.length > MAX_HEAD_BYTES) return;
    const head = inbox.rest.toString('latin1');
    if (head.endsWith('\r\n\r\n') && /\r\nexpect: *100-continue\r\n/i.test(head))
      socket.write('HTTP/1.1 100 Continue\r\n\r\n');
  });
}
