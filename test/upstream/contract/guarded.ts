import type { LookupFunction } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { describe, expect } from 'vitest';
import type { Origin } from '../../../src/upstream/client.ts';
import { targetFrom } from '../../../src/upstream/origin.ts';
import { selfSignedCertificate } from '../../helpers/certificate.ts';
import { post, send, settled, upload } from './recorder.ts';
import { answering, type ScriptedUpstream, scriptedUpstream } from './scripted-upstream.ts';
import type { Rows } from './subject.ts';

const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi';
const METADATA = '169.254.169.254';
const certificate = selfSignedCertificate();

interface Resolver {
  readonly lookup: LookupFunction;
  /** Names that were asked for. */
  readonly asked: string[];
}

/** A name server that gives one of its answers after the other, and the last one for ever. */
function resolver(...answers: readonly (readonly string[])[]): Resolver {
  const asked: string[] = [];
  return {
    asked,
    lookup: (hostname, options, callback) => {
      const answer = answers[Math.min(asked.length, answers.length - 1)] ?? [];
      asked.push(hostname);
      const found = answer.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
      setImmediate(() => {
        if (options.all === true) callback(null, found);
        else callback(null, found[0]?.address ?? '', found[0]?.family);
      });
    },
  };
}

/** The upstream under a name that no system resolves. */
function named({ origin }: ScriptedUpstream, name = 'api.test'): Origin {
  return targetFrom(`${origin.tls ? 'https' : 'http'}://${name}:${origin.port}`).origin;
}

/** As `Rows`; what a request may reach whose target was given through the API. */
export function guarded(rows: Pick<Rows, 'row' | 'client'>): void {
  const { row } = rows;

  describe('a guarded request', () => {
    for (const host of [METADATA, '[fe80::1]', '[::ffff:a9fe:a9fe]', '0.0.0.0', 'metadata.google.internal']) {
      row(`fails with forbidden_address at ${host}, and asks no name server`, async () => {
        const { lookup, asked } = resolver(['127.0.0.1']);
        const client = rows.client({ lookup });
        const { origin } = targetFrom(`http://${host}:9`);
        const { recorder } = send(client, origin, { guarded: true });
        const failure = await recorder.failed();
        expect(failure.kind).toBe('forbidden_address');
        expect(recorder.events).toEqual(['error']);
        expect(asked).toEqual([]);
      });
    }

    for (const [name, addresses] of [
      ['the metadata service', [METADATA]],
      ['its IPv4-mapped spelling', [`::ffff:${METADATA}`]],
      ['nothing else', [METADATA, 'fe80::1', 'fd00:ec2::254']],
    ] as const) {
      for (const scheme of ['http', 'https'] as const) {
        row(`fails with forbidden_address when its name resolves to ${name} (${scheme})`, async () => {
          const client = rows.client({ lookup: resolver(addresses).lookup });
          const { origin } = targetFrom(`${scheme}://api.test:9`);
          const { recorder } = send(client, origin, { guarded: true });
          expect((await recorder.failed()).kind).toBe('forbidden_address');
        });
      }
    }

    row('fails with connect when no name server knows its name', async () => {
      const lookup: LookupFunction = (hostname, _options, callback) => {
        const error = new Error(`getaddrinfo ENOTFOUND ${hostname}`);
        setImmediate(() => callback(Object.assign(error, { code: 'ENOTFOUND' }), ''));
      };
      const { origin } = targetFrom('http://api.test:9');
      const { recorder } = send(rows.client({ lookup }), origin, { guarded: true });
      expect((await recorder.failed()).kind).toBe('connect');
    });

    row('fails with forbidden_address when it streams a body, or has a whole one', async () => {
      const client = rows.client({ lookup: resolver([METADATA]).lookup });
      for (const host of ['api.test', METADATA]) {
        const { origin } = targetFrom(`http://${host}:9`);
        const streamed = send(client, origin, { ...upload(origin, null), guarded: true });
        streamed.call.write(Buffer.from('hello'));
        streamed.call.end();
        expect((await streamed.recorder.failed()).kind).toBe('forbidden_address');
        const whole = send(client, origin, { ...post(origin, 'hello'), guarded: true });
        expect((await whole.recorder.failed()).kind).toBe('forbidden_address');
      }
    });

    row('fails with forbidden_address when it asks for a switch of protocols', async () => {
      const client = rows.client({ lookup: resolver([METADATA]).lookup });
      for (const host of ['api.test', METADATA]) {
        const { origin } = targetFrom(`http://${host}:9`);
        const headers = ['Host', origin.host, 'Connection', 'Upgrade', 'Upgrade', 'websocket'];
        const { recorder } = send(client, origin, { headers, upgrade: true, guarded: true });
        expect((await recorder.failed()).kind).toBe('forbidden_address');
      }
    });

    row('reports nothing once it was given up', async () => {
      const { lookup, asked } = resolver([METADATA]);
      const client = rows.client({ lookup });
      for (const host of ['api.test', METADATA]) {
        const { call, recorder } = send(client, targetFrom(`http://${host}:9`).origin, { guarded: true });
        recorder.abandoned = true;
        call.abort();
      }
      await settled();
      expect(asked.length).toBeLessThanOrEqual(1);
    });

    row('reaches loopback, by address and by name', async () => {
      const upstream = await answering(ANSWER);
      const { lookup, asked } = resolver(['127.0.0.1']);
      const client = rows.client({ lookup });
      for (const origin of [upstream.origin, named(upstream)]) {
        const { recorder } = send(client, origin, { guarded: true });
        expect((await recorder.ended()).body.toString()).toBe('hi');
      }
      expect(asked).toEqual(['api.test']);
    });

    row(
      'connects to an allowed address among forbidden ones, resolved once, and stays with its name',
      async () => {
        const heads: string[] = [];
        const upstream = await scriptedUpstream(async (peer) => {
          heads.push(await peer.readHead());
          peer.write(ANSWER);
        });
        const { lookup, asked } = resolver([METADATA, '127.0.0.1', 'fe80::1'], [METADATA]);
        const origin = named(upstream);
        await send(rows.client({ lookup }), origin, { guarded: true }).recorder.ended();
        expect(asked).toEqual(['api.test']);
        expect(heads[0]).toMatch(new RegExp(`\r\nhost: api\\.test:${origin.port}\r\n`, 'i'));
      },
    );

    row('names its host in SNI, and is held to its certificate', async () => {
      const upstream = await answering(ANSWER, { tls: certificate });
      const client = rows.client({ lookup: resolver(['127.0.0.1']).lookup, ca: certificate.cert });
      await send(client, named(upstream, 'localhost'), { guarded: true }).recorder.ended();
      expect((upstream.peers[0]?.socket as TLSSocket | undefined)?.servername).toBe('localhost');
      const { recorder } = send(client, named(upstream, 'other.test'), { guarded: true });
      expect((await recorder.failed()).kind).toBe('tls');
    });

    row('switches protocols with an allowed address', async () => {
      const upstream = await scriptedUpstream(async (peer) => {
        await peer.readHead();
        peer.write('HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n');
      });
      const origin = named(upstream);
      const client = rows.client({ lookup: resolver(['127.0.0.1']).lookup });
      const headers = ['Host', origin.host, 'Connection', 'Upgrade', 'Upgrade', 'websocket'];
      const { recorder } = send(client, origin, { headers, upgrade: true, guarded: true });
      expect((await recorder.ended()).events).toEqual(['upgrade']);
    });

    row('keeps its connection when the name moves to a forbidden address, and opens no other', async () => {
      const upstream = await scriptedUpstream(async (peer) => {
        for (let round = 0; round < 2; round++) {
          await peer.readRequest();
          peer.write(ANSWER);
        }
        peer.end();
      });
      const { lookup, asked } = resolver(['127.0.0.1'], [METADATA]);
      const client = rows.client({ lookup });
      for (let round = 0; round < 2; round++) {
        await send(client, named(upstream), { guarded: true }).recorder.ended();
        await settled();
      }
      await upstream.peers[0]?.gone;
      const { recorder } = send(client, named(upstream), { guarded: true });
      expect((await recorder.failed()).kind).toBe('forbidden_address');
      expect(asked.length).toBe(2);
      expect(upstream.peers.length).toBe(1);
    });

    row('is checked anew when it is sent again in the place of a dead connection', async () => {
      const upstream = await scriptedUpstream(async (peer) => {
        await peer.readRequest();
        peer.write(ANSWER);
        await peer.readRequest();
        peer.socket.destroy();
      });
      const client = rows.client({ lookup: resolver(['127.0.0.1'], [METADATA]).lookup });
      await send(client, named(upstream), { guarded: true }).recorder.ended();
      await settled();
      const { recorder } = send(client, named(upstream), { guarded: true });
      expect((await recorder.failed()).kind).toBe('forbidden_address');
    });

    row('is never lent a connection that was opened without a guard, nor lends its own', async () => {
      const upstream = await answering(ANSWER);
      const client = rows.client({ lookup: resolver(['127.0.0.1']).lookup });
      for (const isGuarded of [false, true, false, true]) {
        await send(client, named(upstream), { guarded: isGuarded }).recorder.ended();
        await settled();
      }
      expect(upstream.peers.length).toBe(2);
    });
  });

  describe('a request without a guard', () => {
    row('goes where its name leads', async () => {
      const upstream = await answering(ANSWER);
      const { lookup, asked } = resolver(['127.0.0.1']);
      const { recorder } = send(rows.client({ lookup }), named(upstream));
      expect((await recorder.ended()).body.toString()).toBe('hi');
      expect(asked).toEqual(['api.test']);
    });
  });
}
