import { constants } from 'node:http2';
import { Code, createClient } from '@connectrpc/connect';
import { describe, expect, test } from 'vitest';
import { Health } from '../../gen/grpc/health/v1/health_pb.ts';
import { ModelService } from '../../gen/sluice/v1/model_service_pb.ts';
import { openHttp2 } from './port-fixture.ts';
import { RawConnection } from './port-raw-connection.ts';
import { clientFor, MASTER_KEY, refusalOf, startRpc, transportTo, WIRES } from './rpc-fixture.ts';

const PATH = '/sluice.v1.ModelService/LoadModel';
const MODEL = { loadModel: () => ({ message: 'ok' }), listLoadedModels: () => ({ modelIds: ['a'] }) };

describe.each(WIRES)('$protocol over HTTP/$httpVersion', (wire) => {
  test('refuses who shows no key, or another', async () => {
    const fixture = await startRpc({ model: MODEL, masterKey: MASTER_KEY });
    const client = clientFor(ModelService, fixture, wire);
    const none = await refusalOf(client.loadModel({ configId: 'x' }));
    expect(none.code).toBe(Code.Unauthenticated);
    expect(none.rawMessage).toBe('no API key passed in: send Authorization: Bearer sk-…');
    expect(none.metadata.get('www-authenticate')).toBe('Bearer');
    const other = await refusalOf(
      client.loadModel({ configId: 'x' }, { headers: { authorization: 'Bearer sk-other' } }),
    );
    expect(other.code).toBe(Code.Unauthenticated);
    const records = await fixture.recorded(2);
    expect(records).toMatchObject([
      { status: 401, outcome: 'refused', why: 'missing_key', route: 'rpc sluice.v1.ModelService/LoadModel' },
      { status: 401, outcome: 'refused', why: 'unknown_key' },
    ]);
  });

  test('lets the master key in', async () => {
    const fixture = await startRpc({ model: MODEL, masterKey: MASTER_KEY });
    const client = clientFor(ModelService, fixture, wire);
    const headers = { authorization: `Bearer ${MASTER_KEY}` };
    expect((await client.loadModel({ configId: 'x' }, { headers })).message).toBe('ok');
    expect((await client.listLoadedModels({}, { headers })).modelIds).toEqual(['a']);
  });

  test('asks nobody for a key who asks for health', async () => {
    const fixture = await startRpc({ masterKey: MASTER_KEY });
    expect((await clientFor(Health, fixture, wire).check({})).status).toBe(1);
  });
});

test('fact 2: refuses before any of the body has come', async () => {
  const fixture = await startRpc({ model: MODEL, masterKey: MASTER_KEY });
  const connection = await RawConnection.open(fixture.port.address.port);
  connection.send(
    `POST ${PATH} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n`,
  );
  const text = await connection.until((got) => got.includes('"code":"unauthenticated"'));
  expect(text).toMatch(/^HTTP\/1\.1 401 /);
  const [record] = await fixture.recorded(1);
  expect(record).toMatchObject({ status: 401, bytesIn: 0 });
});

test('fact 2: never asks for the body of a refused call whose client waits for 100-continue', async () => {
  const fixture = await startRpc({ model: MODEL, masterKey: MASTER_KEY });
  const head = (key: string) =>
    `POST ${PATH} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nAuthorization: Bearer ${key}\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n`;
  const refused = await RawConnection.open(fixture.port.address.port);
  refused.send(head('sk-no'));
  expect(await refused.untilClosed()).toMatch(/^HTTP\/1\.1 401 /);
  const admitted = await RawConnection.open(fixture.port.address.port);
  admitted.send(head(MASTER_KEY));
  await admitted.until((text) => text.startsWith('HTTP/1.1 100 Continue\r\n\r\n'));
  admitted.send('{"configId":"x"}');
  expect(await admitted.until((text) => text.endsWith('}'))).toContain('HTTP/1.1 200 OK');
  admitted.socket.destroy();
});

test('fact 4: answers first and then closes the connection of a refused HTTP/1.1 call that goes on sending', async () => {
  const fixture = await startRpc({ model: MODEL, masterKey: MASTER_KEY });
  const connection = await RawConnection.open(fixture.port.address.port);
  connection.send(
    `POST ${PATH} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`,
  );
  const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`;
  let sent = 0;
  while (!connection.socket.destroyed && sent < 2_000) {
    sent++;
    await new Promise((resolve) => connection.socket.write(chunk, resolve));
  }
  const text = await connection.untilClosed();
  expect(text).toMatch(/^HTTP\/1\.1 401 [\s\S]*\r\nconnection: close\r\n[\s\S]*"code":"unauthenticated"/i);
  // 125 MB would have been read and thrown away.
  expect(sent).toBeLessThan(2_000);
  expect((await fixture.recorded(1))[0]).toMatchObject({ bytesIn: 0 });
});

test('fact 4: keeps the HTTP/1.1 connection of a refused call whose body is there', async () => {
  const fixture = await startRpc({ model: MODEL, masterKey: MASTER_KEY });
  const connection = await RawConnection.open(fixture.port.address.port);
  const call = `POST ${PATH} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{"configId":"x"}`;
  connection.send(call);
  await connection.until((text) => text.includes('unauthenticated'));
  connection.send(call);
  const text = await connection.until((got) => got.split('"code"').length === 3);
  expect(text).not.toMatch(/connection: close/i);
  connection.socket.destroy();
});

test('fact 4: closes the HTTP/2 stream of a refused call that goes on sending, and no other', async () => {
  const fixture = await startRpc({ model: MODEL, masterKey: MASTER_KEY });
  const session = openHttp2(fixture.port);
  const stream = session.request({ ':method': 'POST', ':path': PATH, 'content-type': 'application/json' });
  const status = new Promise((resolve) => stream.on('response', (head) => resolve(head[':status'])));
  stream.write('{"configId"');
  stream.resume();
  const closed = new Promise<number | undefined>((resolve) =>
    stream.on('close', () => resolve(stream.rstCode)),
  );
  expect(await status).toBe(401);
  expect(await closed).toBe(constants.NGHTTP2_NO_ERROR);
  const client = createClient(Health, transportTo(fixture.baseUrl, { protocol: 'grpc', httpVersion: '2' }));
  expect((await client.check({})).status).toBe(1);
  expect(session.destroyed).toBe(false);
  await fixture.idle();
});
