import fc from 'fast-check';
import { expect, test } from 'vitest';
import { exchange } from './port-raw-connection.ts';
import { startRpc } from './rpc-fixture.ts';

const TYPES = [
  'application/json',
  'application/proto',
  'application/grpc',
  'application/grpc-web',
  'application/grpc+json',
  'application/connect+json',
  'application/connect+proto',
];

const MODEL = {
  infer: () => ({ response: 'a' }),
  async *streamInfer() {
    yield { response: 'a' };
  },
};

test('answers whatever bytes a body has, and goes on', async () => {
  const fixture = await startRpc({ model: MODEL });
  const { port } = fixture.port.address;
  const bodies = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    // Envelopes of any flags and any length that fits, or doesn't.
    fc
      .tuple(fc.nat({ max: 255 }), fc.nat({ max: 40 }), fc.uint8Array({ maxLength: 40 }))
      .map(([flags, length, data]) => Uint8Array.from([flags, 0, 0, 0, length, ...data])),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...TYPES),
      fc.constantFrom('Infer', 'StreamInfer'),
      fc.constantFrom('gzip', 'identity', 'br', ''),
      bodies,
      async (type, method, encoding, body) => {
        const head = `POST /sluice.v1.ModelService/${method} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: ${type}\r\nContent-Encoding: ${encoding}\r\nGrpc-Encoding: ${encoding}\r\nConnect-Content-Encoding: ${encoding}\r\nContent-Length: ${body.length}\r\n\r\n`;
        const answer = await exchange(port, Buffer.concat([Buffer.from(head), body]));
        expect(answer).toMatch(/^HTTP\/1\.1 (?:200|400|415|429|500|501) /);
        // Compression without a name is INTERNAL with gRPC, whose specification wants it so, and with Connect.
        if (answer.startsWith('HTTP/1.1 500')) expect(answer).toMatch(/do not know how to decompress/);
        expect(answer).not.toContain('parse binary');
      },
    ),
    { numRuns: 300 },
  );
  expect(fixture.records.filter(({ cause }) => cause !== null)).toEqual([]);
});
