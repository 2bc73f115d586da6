import { describe, expect } from 'vitest';
import { type RequestParts, type Sent, send, settled } from './recorder.ts';
import { answering, scriptedUpstream } from './scripted-upstream.ts';
import type { Rows } from './subject.ts';

const SWITCH =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nCONNECTION: Upgrade\r\nX: y\r\n\r\n';

function handshake(host: string): RequestParts {
  return {
    headers: ['Host', host, 'Connection', 'Upgrade', 'Upgrade', 'websocket', 'Sec-WebSocket-Key', 'x'],
    upgrade: true,
  };
}

/** Reads `length` bytes from a socket that was handed over, beginning with what came behind the head. */
async function readFrom({ recorder }: Sent, length: number): Promise<string> {
  const { upgraded } = await recorder.when((now) => now.upgraded !== null || now.failure !== null);
  if (upgraded === null) throw recorder.failure;
  let text = upgraded.rest.toString();
  const enough = Promise.withResolvers<void>();
  upgraded.socket.on('data', (bytes: Buffer) => {
    text += bytes.toString();
    if (text.length >= length) enough.resolve();
  });
  if (text.length < length) await enough.promise;
  return text;
}

export function upgrades({ row }: Pick<Rows, 'row'>): void {
  describe('a switch of protocols', () => {
    row('asks with the headers of the request', async (client) => {
      const requests: string[] = [];
      const upstream = await scriptedUpstream(async (peer) => {
        requests.push(await peer.readHead());
        peer.write(SWITCH);
      });
      const { recorder } = send(client, upstream.origin, handshake(upstream.origin.host));
      await recorder.ended();
      const lines = (requests[0] ?? '').toLowerCase().split('\r\n');
      expect(lines).toEqual(
        expect.arrayContaining(['connection: upgrade', 'upgrade: websocket', 'sec-websocket-key: x']),
      );
    });

    row('hands over the head, early bytes and the connection', async (client) => {
      const upstream = await scriptedUpstream(async (peer) => {
        await peer.readHead();
        peer.write(`${SWITCH}early`);
        expect(await peer.readUntil('!')).toBe('hello!');
        peer.write(' and late');
      });
      const sent = send(client, upstream.origin, handshake(upstream.origin.host));
      await sent.recorder.ended();
      expect(sent.recorder.events).toEqual(['upgrade']);
      expect(sent.recorder.head).toMatchObject({
        status: 101,
        headers: ['Upgrade', 'websocket', 'CONNECTION', 'Upgrade', 'X', 'y'],
      });
      const text = readFrom(sent, 'early and late'.length);
      sent.recorder.upgraded?.socket.write('hello!');
      expect(await text).toBe('early and late');
    });

    row('reports the reason as it came', async (client) => {
      const upstream = await answering(
        'HTTP/1.1 101 Web Socket\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n',
      );
      const { recorder } = send(client, upstream.origin, handshake(upstream.origin.host));
      expect((await recorder.ended()).head?.reason).toBe('Web Socket');
    });

    row('loses no byte that comes between the head and the first listener', async (client) => {
      const upstream = await scriptedUpstream(async (peer) => {
        await peer.readHead();
        peer.write(SWITCH);
        for (let i = 0; i < 10; i++) peer.write('0123456789'.repeat(1_000));
      });
      const sent = send(client, upstream.origin, handshake(upstream.origin.host));
      expect(await readFrom(sent, 100_000)).toBe('0123456789'.repeat(10_000));
    });

    row('ends with the connection: a close reaches the new owner', async (client) => {
      const upstream = await scriptedUpstream(async (peer) => {
        await peer.readHead();
        peer.write(SWITCH);
        await peer.readUntil('x');
        peer.end();
      });
      const sent = send(client, upstream.origin, handshake(upstream.origin.host));
      await sent.recorder.ended();
      const socket = sent.recorder.upgraded?.socket;
      const closed = new Promise((resolve) => socket?.once('close', resolve));
      const ended = new Promise<void>((resolve) => socket?.once('end', resolve));
      socket?.on('data', () => {});
      socket?.write('x');
      await ended;
      await closed;
    });

    row('leaves a reset to the new owner', async (client) => {
      const upstream = await scriptedUpstream(async (peer) => {
        await peer.readHead();
        peer.write(SWITCH);
        await peer.readUntil('x');
        await peer.reset();
      });
      const sent = send(client, upstream.origin, handshake(upstream.origin.host));
      await sent.recorder.ended();
      const socket = sent.recorder.upgraded?.socket;
      const failed = new Promise<NodeJS.ErrnoException>((resolve) => socket?.once('error', resolve));
      socket?.on('data', () => {});
      socket?.write('x');
      expect((await failed).code).toBe('ECONNRESET');
    });

    row('is no business of the time limits', async (client) => {
      const upstream = await scriptedUpstream(async (peer) => {
        await peer.readHead();
        peer.write(SWITCH);
      });
      const timeouts = { connectTimeoutMs: 10_000, firstByteTimeoutMs: 100, idleTimeoutMs: 100 };
      const sent = send(client, upstream.origin, { ...handshake(upstream.origin.host), timeouts });
      await sent.recorder.ended();
      sent.call.pause();
      sent.call.resume();
      sent.call.abort();
      // A second exchange with the same limits fails, the connection that switched stays.
      const other = await scriptedUpstream(() => {});
      await send(client, other.origin, { timeouts }).recorder.failed();
      expect(sent.recorder.upgraded?.socket.destroyed).toBe(false);
    });

    row('can be declined like any other request', async (client) => {
      const upstream = await answering('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno');
      const { recorder } = send(client, upstream.origin, handshake(upstream.origin.host));
      await recorder.ended();
      expect(recorder.events).toEqual(['head', 'data', 'end']);
      expect(recorder.head?.status).toBe(403);
      expect(recorder.body.toString()).toBe('no');
    });

    row('takes no connection that others have used', async (client) => {
      const upstream = await scriptedUpstream(async (peer) => {
        await peer.readRequest();
        peer.write(peer.index === 0 ? 'HTTP/1.1 204 No Content\r\n\r\n' : SWITCH);
      });
      await send(client, upstream.origin).recorder.ended();
      await settled();
      await send(client, upstream.origin, handshake(upstream.origin.host)).recorder.ended();
      expect(upstream.peers.length).toBe(2);
    });

    row('can be given up before it is answered', async (client) => {
      const upstream = await scriptedUpstream(async (peer) => void (await peer.readHead()));
      const { call, recorder } = send(client, upstream.origin, handshake(upstream.origin.host));
      while (!upstream.peers[0]?.socket.bytesRead) await settled();
      recorder.abandoned = true;
      call.abort();
      await upstream.peers[0]?.gone;
    });
  });
}
