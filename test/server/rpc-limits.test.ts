import { Code } from '@connectrpc/connect';
import { describe, expect, test } from 'vitest';
import { ModelService } from '../../gen/sluice/v1/model_service_pb.ts';
import { openHttp2 } from './port-fixture.ts';
import { RawConnection } from './port-raw-connection.ts';
import { clientFor, refusalOf, startRpc, WIRES } from './rpc-fixture.ts';

const INFER = '/sluice.v1.ModelService/Infer';
const MIB = 1024 * 1024;

/** An InferRequest with a prompt of `length` bytes, enveloped. */
function enveloped(length: number): Buffer {
  const varint: number[] = [];
  for (let rest = length; ; rest >>>= 7) {
    if (rest < 0x80) {
      varint.push(rest);
      break;
    }
    varint.push((rest & 0x7f) | 0x80);
  }
  const message = Buffer.concat([Buffer.from([0x0a, 1, 0x6d, 0x12, ...varint]), Buffer.alloc(length, 0x70)]);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

test.each(['application/grpc-web+proto', 'application/grpc', 'application/json'])(
  'fact 3: reads 60 KB of %s in chunks of one byte in less than a second of CPU',
  async (type) => {
    const fixture = await startRpc({
      model: { infer: ({ prompt }) => ({ response: String(prompt.length) }) },
    });
    const body =
      type === 'application/json'
        ? Buffer.from(JSON.stringify({ modelId: 'm', prompt: 'p'.repeat(60_000) }))
        : enveloped(60_000);
    const connection = await RawConnection.open(fixture.port.address.port);
    connection.send(
      `POST ${INFER} HTTP/1.1\r\nHost: a\r\nContent-Type: ${type}\r\nTransfer-Encoding: chunked\r\n\r\n`,
    );
    const chunked: Buffer[] = [];
    for (const byte of body) chunked.push(Buffer.from([0x31, 13, 10, byte, 13, 10]));
    const before = process.cpuUsage();
    connection.send(Buffer.concat([...chunked, Buffer.from('0\r\n\r\n')]));
    expect(await connection.until((text) => text.includes('60000'))).toContain('HTTP/1.1 200');
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1e6).toBeLessThan(1);
    connection.socket.destroy();
  },
);

test('fact 3: 20 streams that announce 4 GiB each are refused by their prefix and cost no memory', async () => {
  const fixture = await startRpc({ model: { infer: () => ({}) } });
  const session = openHttp2(fixture.port);
  const before = process.memoryUsage().rss;
  const codes = await Promise.all(
    Array.from({ length: 20 }, () => {
      const stream = session.request({
        ':method': 'POST',
        ':path': INFER,
        'content-type': 'application/grpc',
        te: 'trailers',
      });
      stream.write(Buffer.from([0, 0xff, 0xff, 0xff, 0xff]));
      stream.resume();
      return new Promise((resolve) => stream.on('response', (head) => resolve(head['grpc-status'])));
    }),
  );
  expect(codes).toEqual(Array.from({ length: 20 }, () => String(Code.ResourceExhausted)));
  expect(process.memoryUsage().rss - before).toBeLessThan(64 * MIB);
  const records = await fixture.recorded(20);
  expect(new Set(records.map(({ bytesIn }) => bytesIn))).toEqual(new Set([5]));
  expect(new Set(records.map(({ why }) => why))).toEqual(new Set(['body_too_large']));
  await fixture.idle();
});

describe.each(WIRES)('$protocol over HTTP/$httpVersion', (wire) => {
  test('fact 3: refuses messages above 4 MiB, both ways', async () => {
    const fixture = await startRpc({
      model: {
        infer: ({ prompt }) => ({
          response: prompt === 'more' ? 'x'.repeat(4 * MIB) : String(prompt.length),
        }),
      },
    });
    const client = clientFor(ModelService, fixture, wire);
    const prompt = 'x'.repeat(4 * MIB - 16);
    expect((await client.infer({ modelId: 'm', prompt })).response).toBe(String(prompt.length));
    const tooLong = await refusalOf(client.infer({ modelId: 'm', prompt: `${prompt}${'x'.repeat(16)}` }));
    expect(tooLong.code).toBe(Code.ResourceExhausted);
    const answer = await refusalOf(client.infer({ modelId: 'm', prompt: 'more' }));
    expect(answer.code).toBe(Code.ResourceExhausted);
    expect((await fixture.recorded(3)).map(({ outcome }) => outcome)).toEqual([
      'complete',
      'refused',
      'refused',
    ]);
  });
});

test('cuts a client that begins a message and does not go on', async () => {
  const fixture = await startRpc({ model: { infer: () => ({}) }, bodyTimeoutMs: 50 });
  const connection = await RawConnection.open(fixture.port.address.port);
  connection.send(
    `POST ${INFER} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{`,
  );
  const text = await connection.untilClosed();
  expect(text).toMatch(/^HTTP\/1\.1 504 [\s\S]*"code":"deadline_exceeded"[\s\S]*did not come in time/);
});

test('cuts a client that takes nothing of its answer', async () => {
  const left = Promise.withResolvers<void>();
  const fixture = await startRpc({
    bodyTimeoutMs: 50,
    model: {
      async *streamInfer() {
        try {
          for (;;) yield { response: 'x'.repeat(64 * 1024) };
        } finally {
          left.resolve();
        }
      },
    },
  });
  const connection = await RawConnection.open(fixture.port.address.port);
  connection.socket.pause();
  const body = '{"modelId":"m","prompt":"p"}';
  const prefix = Buffer.from([0, 0, 0, 0, body.length]);
  connection.send(
    `POST /sluice.v1.ModelService/StreamInfer HTTP/1.1\r\nHost: a\r\nContent-Type: application/connect+json\r\nContent-Length: ${body.length + 5}\r\n\r\n`,
  );
  connection.send(Buffer.concat([prefix, Buffer.from(body)]));
  await left.promise;
  expect((await fixture.recorded(1))[0]).toMatchObject({ outcome: 'client_left', status: 499 });
  connection.socket.destroy();
});

test.each(['/sluice.v1.ModelService/StreamInfer', '/sluice.v1.ModelService/Infer'])(
  'cuts a client that takes nothing of its answer on an HTTP/2 stream: %s',
  async (path) => {
    const fixture = await startRpc({
      bodyTimeoutMs: 50,
      model: {
        infer: () => ({ response: 'x'.repeat(3 * MIB) }),
        async *streamInfer() {
          for (;;) yield { response: 'x'.repeat(64 * 1024) };
        },
      },
    });
    const session = openHttp2(fixture.port);
    const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc' });
    stream.on('error', () => {});
    stream.end(enveloped(5));
    expect((await fixture.recorded(1))[0]).toMatchObject({ outcome: 'client_left', status: 499 });
    await fixture.idle();
    stream.resume();
  },
);
