import { gunzipSync, gzipSync } from 'node:zlib';
import { Code, createClient } from '@connectrpc/connect';
import { compressionBrotli, compressionGzip } from '@connectrpc/connect-node';
import { expect, test } from 'vitest';
import { ModelService } from '../../gen/sluice/v1/model_service_pb.ts';
import { openHttp2 } from './port-fixture.ts';
import { exchange } from './port-raw-connection.ts';
import { refusalOf, startRpc, transportTo } from './rpc-fixture.ts';

const LONG = 'long '.repeat(1_000);
const MODEL = {
  infer: ({ prompt }: { prompt: string }) => ({ response: prompt }),
  async *streamInfer({ prompt }: { prompt: string }) {
    yield { response: prompt };
  },
};

function body(prompt: string): string {
  return JSON.stringify({ modelId: 'm', prompt });
}

test.each([
  ['gzip, br', 'gzip'],
  ['br', null],
  ['br, gzip', 'gzip'],
])('fact 5: answers a unary call that accepts %s with %s', async (accepted, used) => {
  const fixture = await startRpc({ model: MODEL });
  const text = await exchange(
    fixture.port.address.port,
    `POST /sluice.v1.ModelService/Infer HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\nAccept-Encoding: ${accepted}\r\nContent-Length: ${body(LONG).length}\r\n\r\n${body(LONG)}`,
  );
  const [head = '', ...rest] = text.split('\r\n\r\n');
  expect(/\r\ncontent-encoding: (.*)/i.exec(head)?.[1] ?? null).toBe(used);
  const bytes = Buffer.from(rest.join('\r\n\r\n'), 'latin1');
  expect(JSON.parse((used === null ? bytes : gunzipSync(bytes)).toString())).toEqual({ response: LONG });
});

test('fact 5: takes a unary request in gzip, and none that would grow beyond the limit', async () => {
  const fixture = await startRpc({ model: MODEL });
  const send = { sendCompression: compressionGzip };
  const client = createClient(
    ModelService,
    transportTo(fixture.baseUrl, { protocol: 'grpc', httpVersion: '2' }, send),
  );
  expect((await client.infer({ modelId: 'm', prompt: LONG })).response).toBe(LONG);
  const bomb = gzipSync(body('x'.repeat(5 * 1024 * 1024)));
  const answer = await fetch(`${fixture.baseUrl}/sluice.v1.ModelService/Infer`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
    body: bomb,
  });
  expect(await answer.json()).toMatchObject({ code: 'resource_exhausted' });
});

test('takes what is not gzip for a fault of its client', async () => {
  const fixture = await startRpc({ model: MODEL });
  const whole = gzipSync(body(LONG));
  for (const bytes of [
    whole.subarray(0, 20),
    Buffer.from('{}'),
    Buffer.concat([whole.subarray(0, 40), whole]),
  ]) {
    const answer = await fetch(`${fixture.baseUrl}/sluice.v1.ModelService/Infer`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
      body: bytes,
    });
    expect([answer.status, await answer.json()]).toMatchObject([400, { code: 'invalid_argument' }]);
  }
});

test('fact 5: refuses brotli, and says what it takes', async () => {
  const fixture = await startRpc({ model: MODEL });
  const send = { sendCompression: compressionBrotli };
  const client = createClient(
    ModelService,
    transportTo(fixture.baseUrl, { protocol: 'grpc', httpVersion: '2' }, send),
  );
  const error = await refusalOf(client.infer({ modelId: 'm', prompt: LONG }));
  expect(error.code).toBe(Code.Unimplemented);
  expect(error.rawMessage).toContain('supported encodings are gzip');
});

test.each(['application/grpc', 'application/grpc-web', 'application/connect+proto'])(
  'fact 5: compresses no stream of %s, whatever its client accepts',
  async (type) => {
    const fixture = await startRpc({ model: MODEL });
    const stream = openHttp2(fixture.port).request({
      ':method': 'POST',
      ':path': '/sluice.v1.ModelService/StreamInfer',
      'content-type': type,
      'grpc-accept-encoding': 'gzip',
      'connect-accept-encoding': 'gzip',
      'accept-encoding': 'gzip',
    });
    const whole = new Promise((resolve) =>
      stream.on('response', (head) => resolve(head['content-encoding'])),
    );
    const prompt = Buffer.from(LONG);
    const length = [(prompt.length & 0x7f) | 0x80, prompt.length >> 7];
    const message = Buffer.concat([Buffer.from([0x0a, 1, 0x6d, 0x12, ...length]), prompt]);
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(message.length, 1);
    stream.end(Buffer.concat([prefix, message]));
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    const answer = Buffer.concat(chunks);
    expect(await whole).toBeUndefined();
    // The head may name gzip, which is allowed: it is each message's flag that says whether it is compressed.
    expect(answer[0]).toBe(0);
    expect(answer.includes(LONG)).toBe(true);
  },
);
