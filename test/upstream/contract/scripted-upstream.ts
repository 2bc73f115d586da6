import { once } from 'node:events';
import { type AddressInfo, createServer, isIP, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { Worker } from 'node:worker_threads';
import { onTestFinished } from 'vitest';
import type { Origin } from '../../../src/upstream/client.ts';
import { targetFrom } from '../../../src/upstream/origin.ts';
import { Peer, PeerGone } from './peer.ts';

/** What an upstream does on one connection. It may wait for ever: that ends with the test. */
export type Script = (peer: Peer) => Promise<void> | void;

export interface ScriptedUpstream {
  readonly origin: Origin;
  /** Every connection so far, in the order they came. */
  readonly peers: readonly Peer[];
  /** Connections that are open at present. */
  openConnections(): Promise<number>;
}

export interface UpstreamOptions {
  readonly tls?: TlsOptions;
  /** The name or address by which clients shall call it; an address is also where it listens. */
  readonly hostname?: string;
}

/** Starts an upstream that runs `script` on each connection, until the test ends; a script's fault fails the test. */
export async function scriptedUpstream(
  script: Script,
  options: UpstreamOptions = {},
): Promise<ScriptedUpstream> {
  const peers: Peer[] = [];
  const sockets = new Set<Socket>();
  const faults: unknown[] = [];
  const accept = (socket: Socket): void => {
    const peer = new Peer(socket, peers.length);
    peers.push(peer);
    (async () => script(peer))().catch((fault: unknown) => {
      if (!(fault instanceof PeerGone)) faults.push(fault);
    });
  };
  const server: Server =
    options.tls === undefined
      ? createServer({ allowHalfOpen: true }, accept)
      : createTlsServer({ ...options.tls, allowHalfOpen: true }, accept);
  // Under TLS these are the raw sockets, which outlive a handshake that failed.
  server.on('connection', (socket: Socket) => sockets.add(socket));
  const { hostname = '127.0.0.1' } = options;
  server.listen(0, isIP(hostname) === 0 ? '127.0.0.1' : hostname);
  await once(server, 'listening');
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
    if (faults.length > 0) throw faults[0];
  });
  const { port } = server.address() as AddressInfo;
  const scheme = options.tls === undefined ? 'http' : 'https';
  return {
    origin: targetFrom(`${scheme}://${hostname}:${port}`).origin,
    peers,
    openConnections: () =>
      new Promise((resolve, reject) => {
        server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)));
      }),
  };
}

/** An upstream that answers every request on every connection with `response`. */
export function answering(response: string | Buffer, options?: UpstreamOptions): Promise<ScriptedUpstream> {
  return scriptedUpstream(async (peer) => {
    for (;;) {
      await peer.readRequest();
      peer.write(response);
    }
  }, options);
}

/** An origin on which nobody listens. */
export async function deadOrigin(): Promise<Origin> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return targetFrom(`http://127.0.0.1:${port}`).origin;
}

const LISTEN_AND_FREEZE = `
const { parentPort } = require('node:worker_threads');
const server = require('node:net').createServer();
server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
  parentPort.postMessage(server.address().port);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
});
`;

/**
 * An origin where connecting takes for ever: a thread listens and never accepts, and its queue is full (backlog 1
 * holds two connections), so the kernel drops every further SYN.
 */
export async function unreachableOrigin(scheme: 'http' | 'https' = 'http'): Promise<Origin> {
  const { connect } = await import('node:net');
  const worker = new Worker(LISTEN_AND_FREEZE, { eval: true });
  const [port] = (await once(worker, 'message')) as [number];
  const fillers = [connect(port, '127.0.0.1'), connect(port, '127.0.0.1')];
  onTestFinished(async () => {
    for (const filler of fillers) filler.destroy();
    await worker.terminate();
  });
  await Promise.all(fillers.map((filler) => once(filler, 'connect')));
  return targetFrom(`${scheme}://127.0.0.1:${port}`).origin;
}
