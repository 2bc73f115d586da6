import { once } from 'node:events';
import type { TLSSocket } from 'node:tls';
import { describe, expect } from 'vitest';
import { selfSignedCertificate } from '../../helpers/certificate.ts';
import { BIG, generous, pausesAndResumes } from './backpressure.ts';
import { post, send } from './recorder.ts';
import {
  answering,
  type ScriptedUpstream,
  scriptedUpstream,
  type UpstreamOptions,
} from './scripted-upstream.ts';
import type { Rows } from './subject.ts';

const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi';
const localhost = selfSignedCertificate();

function tlsSocket({ peers }: ScriptedUpstream, index: number): TLSSocket {
  const peer = peers[index];
  if (peer === undefined) throw new Error(`no connection ${index}`);
  return peer.socket as TLSSocket;
}

/** As `Rows`, the client made with the certificate of the upstream as its only root. */
export function tls(rows: Pick<Rows, 'row' | 'client'>): void {
  const { row } = rows;
  const secure: UpstreamOptions = { tls: localhost, hostname: 'localhost' };
  const trusting = () => rows.client({ ca: localhost.cert });

  describe('over TLS', () => {
    row('fails with tls at a certificate nobody vouches for, and sends it nothing', async (client) => {
      const sent: Buffer[] = [];
      const upstream = await scriptedUpstream((peer) => {
        peer.socket.on('data', (bytes: Buffer) => sent.push(bytes));
      }, secure);
      const { recorder } = send(client, upstream.origin, post(upstream.origin, 'secret'));
      expect((await recorder.failed()).kind).toBe('tls');
      await upstream.peers[0]?.gone;
      expect(Buffer.concat(sent).toString()).toBe('');
    });

    row('fails with tls when the certificate is for another name', async () => {
      const upstream = await answering(ANSWER, { tls: localhost, hostname: '127.0.0.2' });
      const failure = await send(trusting(), upstream.origin).recorder.failed();
      expect(failure.kind).toBe('tls');
      expect(failure.message).toContain('127.0.0.2');
    });

    row('fails with tls when the upstream speaks cleartext', async (client) => {
      const upstream = await scriptedUpstream((peer) => {
        peer.write('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n');
      });
      const origin = { ...upstream.origin, tls: true, key: upstream.origin.key.replace('http:', 'https:') };
      expect((await send(client, origin).recorder.failed()).kind).toBe('tls');
    });

    row('fails with connect_timeout when the handshake is never answered', async (client) => {
      const upstream = await scriptedUpstream(() => {});
      const origin = { ...upstream.origin, tls: true, key: upstream.origin.key.replace('http:', 'https:') };
      const timeouts = { connectTimeoutMs: 150, firstByteTimeoutMs: 50, idleTimeoutMs: 50 };
      expect((await send(client, origin, { timeouts }).recorder.failed()).kind).toBe('connect_timeout');
      await upstream.peers[0]?.gone;
    });

    row('accepts the certificates it was given', async () => {
      const upstream = await answering(ANSWER, secure);
      const client = trusting();
      for (let round = 0; round < 3; round++) {
        expect((await send(client, upstream.origin).recorder.ended()).body.toString()).toBe('hi');
      }
      expect(upstream.peers.length).toBe(1);
    });

    row('accepts any certificate when told not to verify', async () => {
      const upstream = await answering(ANSWER, {
        tls: selfSignedCertificate('whoever'),
        hostname: '127.0.0.1',
      });
      const client = rows.client({ verifyTls: false });
      expect((await send(client, upstream.origin).recorder.ended()).body.toString()).toBe('hi');
    });

    row('names the host in SNI, and none for an address', async () => {
      const client = trusting();
      for (const [hostname, expected] of [
        ['localhost', 'localhost'],
        ['127.0.0.1', false],
      ] as const) {
        const upstream = await answering(ANSWER, { tls: localhost, hostname });
        const headers = ['Host', 'somebody.else'];
        await send(client, upstream.origin, { headers }).recorder.ended();
        expect(tlsSocket(upstream, 0).servername).toBe(expected);
      }
    });

    row('asks for HTTP/1.1 by ALPN', async () => {
      const upstream = await answering(ANSWER, {
        tls: { ...localhost, ALPNProtocols: ['h2', 'http/1.1'] },
        hostname: 'localhost',
      });
      await send(trusting(), upstream.origin).recorder.ended();
      expect(tlsSocket(upstream, 0).alpnProtocol).toBe('http/1.1');
    });

    row('resumes a session on the next connection', async () => {
      const upstream = await answering(
        'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi',
        secure,
      );
      const client = trusting();
      for (let round = 0; round < 2; round++) {
        await send(client, upstream.origin).recorder.ended();
        await upstream.peers[round]?.gone;
      }
      const reused = [0, 1].map((index) => tlsSocket(upstream, index).isSessionReused());
      expect(reused).toEqual([false, true]);
    });

    row('carries 10 MB both ways', async () => {
      const body = Buffer.alloc(10_000_000);
      for (let i = 0; i < body.length; i += 4) body.writeUInt32LE(i, i);
      const upstream = await scriptedUpstream(async (peer) => {
        await peer.readHead();
        const got = await peer.read(body.length);
        peer.write(`HTTP/1.1 200 OK\r\nContent-Length: ${got.length}\r\n\r\n`);
        peer.write(got);
      }, secure);
      const { recorder } = send(trusting(), upstream.origin, post(upstream.origin, body));
      expect((await recorder.ended()).body.equals(body)).toBe(true);
    });

    row('stops reading when onData says so', async () => {
      await pausesAndResumes(trusting(), await generous(BIG, secure));
    });

    row('fails with reset when the connection ends too early', async () => {
      const upstream = await scriptedUpstream(async (peer) => {
        await peer.readRequest();
        peer.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel');
        peer.end();
      }, secure);
      expect((await send(trusting(), upstream.origin).recorder.failed()).kind).toBe('reset');
    });

    row('replaces a dead connection', async () => {
      const upstream = await scriptedUpstream(async (peer) => {
        await peer.readRequest();
        peer.write(ANSWER);
        if (peer.index > 0) return;
        await peer.readRequest();
        peer.socket.destroy();
      }, secure);
      const client = trusting();
      await send(client, upstream.origin).recorder.ended();
      const { recorder } = send(client, upstream.origin, post(upstream.origin, 'hello'));
      expect((await recorder.ended()).body.toString()).toBe('hi');
      expect(upstream.peers.length).toBe(2);
    });

    row('hands over a connection that switched protocols', async () => {
      const upstream = await scriptedUpstream(async (peer) => {
        await peer.readHead();
        peer.write('HTTP/1.1 101 x\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nearly');
        peer.write(await peer.readUntil('!'));
      }, secure);
      const headers = ['Host', upstream.origin.host, 'Connection', 'Upgrade', 'Upgrade', 'x'];
      const { recorder } = send(trusting(), upstream.origin, { headers, upgrade: true });
      const { upgraded } = await recorder.ended();
      expect(upgraded?.rest.toString()).toBe('early');
      upgraded?.socket.write('hello!');
      const [echo] = await once(upgraded?.socket as TLSSocket, 'data');
      expect(String(echo)).toBe('hello!');
    });
  });
}
