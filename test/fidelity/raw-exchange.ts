import { connect, type Socket } from 'node:net';
import { Inbox } from './inbox.ts';
import type { RequestBytes } from './request-text.ts';
import { fieldValue, type Message } from './wire.ts';

/** All that a client gets to see of an exchange. */
export interface ClientView {
  /** 1xx before the response. */
  readonly interim: readonly Message[];
  readonly response: Message;
}

/** Sends one request on a connection of its own and reads the answer to its end. */
export async function rawExchange(port: number, request: RequestBytes, cut?: number): Promise<ClientView> {
  const socket = await connected(port);
  const inbox = new Inbox(socket);
  try {
    const waits = /\r\nexpect: *100-continue\r\n/i.test(request.head.toString('latin1'));
    const interim: Message[] = [];
    if (waits) {
      await write(socket, request.head, cut);
      const first = await readResponse(inbox, request);
      if (!isInterim(first)) return { interim, response: first };
      interim.push(first);
      await write(socket, request.body, cut);
    } else await write(socket, Buffer.concat([request.head, request.body]), cut);
    let response = await readResponse(inbox, request);
    while (isInterim(response)) {
      interim.push(response);
      response = await readResponse(inbox, request);
    }
    if (inbox.rest.length > 0) throw new Error(`bytes behind the response: ${inbox.rest.toString('latin1')}`);
    return { interim, response };
  } finally {
    socket.destroy();
  }
}

/** Sends several requests at once on one connection and reads their answers, in order. */
export async function pipelined(port: number, requests: readonly RequestBytes[]): Promise<Message[]> {
  const socket = await connected(port);
  const inbox = new Inbox(socket);
  try {
    socket.write(Buffer.concat(requests.flatMap(({ head, body }) => [head, body])));
    const responses: Message[] = [];
    for (const request of requests) responses.push(await readResponse(inbox, request));
    return responses;
  } finally {
    socket.destroy();
  }
}

export async function connected(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', () => resolve());
    socket.once('error', reject);
  });
  return socket;
}

function readResponse(inbox: Inbox, { method }: RequestBytes): Promise<Message> {
  return inbox.message({ kind: 'response', bodyless: method === 'HEAD' });
}

function isInterim({ start, fields }: Message): boolean {
  return / 1[0-9][0-9](?: |$)/.test(start) && fieldValue(fields, 'upgrade') === null;
}

async function write(socket: Socket, bytes: Buffer, cut = bytes.length): Promise<void> {
  if (bytes.length === 0) return;
  for (let at = 0; at < bytes.length && !socket.destroyed; at += cut) {
    socket.write(bytes.subarray(at, at + cut));
    if (cut < bytes.length) await new Promise(setImmediate);
  }
}
