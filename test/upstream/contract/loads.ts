import { describe, expect, onTestFinished } from 'vitest';
import { post, send, settled, upload } from './recorder.ts';
import { answering, scriptedUpstream } from './scripted-upstream.ts';
import type { Rows } from './subject.ts';

const TEN_MB = 10_000_000;

function countedBytes(): Buffer {
  const body = Buffer.alloc(TEN_MB);
  for (let i = 0; i < body.length; i += 4) body.writeUInt32LE(i, i);
  return body;
}

function openSockets(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
}

export function loads({ row }: Pick<Rows, 'row'>): void {
  describe('under load', () => {
    row('carries 10 MB both ways, byte for byte', async (client) => {
      const upstream = await scriptedUpstream(async (peer) => {
        await peer.readHead();
        const got = await peer.read(TEN_MB);
        peer.write(`HTTP/1.1 200 OK\r\nContent-Length: ${got.length}\r\n\r\n`);
        peer.write(got);
      });
      const body = countedBytes();
      const { recorder } = send(client, upstream.origin, post(upstream.origin, body));
      expect((await recorder.ended()).body.equals(body)).toBe(true);
    });

    row('carries 10 MB both ways at the same time, in chunks', async (client) => {
      const upstream = await scriptedUpstream(async (peer) => {
        const head = await peer.readHead();
        expect(head).toMatch(/transfer-encoding: chunked/i);
        peer.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
        for (;;) {
          const line = await peer.readUntil('\r\n');
          const size = Number.parseInt(line, 16);
          peer.write(line);
          peer.write(await peer.read(size + 2));
          if (size === 0) return;
        }
      });
      const body = countedBytes();
      const { call, recorder } = send(client, upstream.origin, upload(upstream.origin, null));
      for (let at = 0; at < body.length; at += 65_536) {
        const { drains } = recorder;
        if (!call.write(body.subarray(at, at + 65_536))) await recorder.when((now) => now.drains > drains);
      }
      call.end();
      expect((await recorder.ended()).body.equals(body)).toBe(true);
    });

    row('keeps 200 exchanges at once apart', async (client) => {
      const upstream = await scriptedUpstream(async (peer) => {
        for (;;) {
          const body = (await peer.readRequest()).split('\r\n\r\n')[1] ?? '';
          await settled();
          peer.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`);
          await settled();
          peer.write(body);
        }
      });
      for (let round = 0; round < 2; round++) {
        const bodies = Array.from({ length: 200 }, (_, i) => `exchange ${i} of round ${round} `.repeat(20));
        const echoes = bodies.map(async (body) => {
          const { recorder } = send(client, upstream.origin, post(upstream.origin, body));
          return (await recorder.ended()).body.toString();
        });
        expect(await Promise.all(echoes)).toEqual(bodies);
        await settled();
      }
      expect(upstream.peers.length).toBeLessThanOrEqual(200);
    });

    row('leaks no socket and no listener over 1,000 exchanges', async (client) => {
      const warnings: Error[] = [];
      const warn = (warning: Error): void => void warnings.push(warning);
      process.on('warning', warn);
      onTestFinished(() => void process.off('warning', warn));
      const upstream = await answering('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi');
      let sockets = 0;
      for (let round = 0; round < 1_000; round++) {
        await send(
          client,
          upstream.origin,
          round % 2 === 0 ? {} : post(upstream.origin, 'x'),
        ).recorder.ended();
        if (round === 0) sockets = openSockets();
      }
      expect(openSockets()).toBeLessThanOrEqual(sockets);
      expect(upstream.peers.length).toBe(1);
      expect(warnings).toEqual([]);
    });

    row('leaks no socket over 200 exchanges that fail or are given up', async (client) => {
      const before = openSockets();
      const upstream = await scriptedUpstream(async (peer) => {
        await peer.readRequest();
        if (peer.index % 2 === 0) await peer.reset();
      });
      for (let round = 0; round < 200; round++) {
        const { call, recorder } = send(client, upstream.origin);
        if (round % 2 === 0) await recorder.failed();
        else {
          while (upstream.peers.length <= round) await settled();
          recorder.abandoned = true;
          call.abort();
          await upstream.peers[round]?.gone;
          upstream.peers[round]?.socket.destroy();
        }
      }
      await settled();
      expect(openSockets()).toBeLessThanOrEqual(before);
    });
  });
}
