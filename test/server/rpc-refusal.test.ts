import { describe, expect, test } from 'vitest';
import { openHttp2 } from './port-fixture.ts';
import { exchange } from './port-raw-connection.ts';
import { startRpc } from './rpc-fixture.ts';

async function ask(
  url: string,
  init: RequestInit,
): Promise<{ status: number; headers: Headers; body: string }> {
  const answer = await fetch(url, init);
  return { status: answer.status, headers: answer.headers, body: await answer.text() };
}

describe('a path that names no method', () => {
  const paths = [
    '/sluice.v1.ModelService/Nothing',
    '/sluice.v1.ModelService/',
    '/sluice.v1.ModelService/LoadModel/',
    '/sluice.v1.ModelService/../ModelService/LoadModel',
    '/sluice.v1.Unknown/X',
    '/sluice.v2.ModelService/LoadModel',
    '/grpc.channelz.v1.Channelz/GetServers',
  ];

  test.each(paths)('%s is 404 to Connect', async (path) => {
    const fixture = await startRpc();
    const text = await exchange(
      fixture.port.address.port,
      `POST ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}`,
    );
    expect(text).toMatch(/^HTTP\/1\.1 404 /);
    expect(text).toMatch(/\r\nx-sluice-request-id: /);
    expect(text).toMatch(/\{"code":"unimplemented","message":"There is no such method here\."\}$/);
    expect((await fixture.recorded(1))[0]).toMatchObject({
      path,
      route: null,
      status: 404,
      outcome: 'refused',
      why: 'unimplemented',
    });
  });

  test.each(['application/grpc', 'application/grpc+proto', 'application/grpc-web+proto'])(
    'is UNIMPLEMENTED to %s, as trailers alone',
    async (type) => {
      const fixture = await startRpc();
      const stream = openHttp2(fixture.port).request({
        ':method': 'POST',
        ':path': '/sluice.v1.ModelService/Nothing',
        'content-type': type,
      });
      const answer = new Promise<{ head: Record<string, unknown>; isEnd: boolean }>((resolve) =>
        stream.on('response', (head, flags) => resolve({ head, isEnd: (flags & 1) === 1 })),
      );
      stream.end(Buffer.from([0, 0, 0, 0, 0]));
      stream.resume();
      const { head, isEnd } = await answer;
      expect(isEnd).toBe(true);
      expect(head).toMatchObject({
        ':status': 200,
        'content-type': type,
        'grpc-status': '12',
        'grpc-message': 'There is no such method here.',
      });
      expect((await fixture.recorded(1))[0]).toMatchObject({
        status: 501,
        outcome: 'refused',
        why: 'unimplemented',
      });
      await fixture.idle();
    },
  );

  test.each(['/sluice', '/grpc', '/v1/models', '/Sluice.v1.ModelService/LoadModel', '/', '/sluicex.v1.X/Y'])(
    '%s is not for RPC at all',
    async (raw) => {
      const { rpc } = await startRpc();
      expect(rpc.handles({ raw, query: '' })).toBe(false);
    },
  );
});

test('refuses another HTTP method with 405 and says which it takes', async () => {
  const { baseUrl, recorded } = await startRpc();
  const load = await ask(`${baseUrl}/sluice.v1.ModelService/LoadModel`, { method: 'GET' });
  expect(load.status).toBe(405);
  expect(load.headers.get('allow')).toBe('POST');
  expect(load.headers.get('x-sluice-request-id')).toBeTruthy();
  // Plain text: clients take the code from the status.
  expect(load.headers.get('content-type')).toBe('text/plain; charset=utf-8');
  expect(load.body).toBe('LoadModel is called with POST.\n');
  const list = await ask(`${baseUrl}/sluice.v1.ModelService/ListLoadedModels`, { method: 'DELETE' });
  expect(list.headers.get('allow')).toBe('POST, GET');
  expect(await recorded(2)).toMatchObject([
    { method: 'GET', status: 405, outcome: 'refused', route: 'rpc sluice.v1.ModelService/LoadModel' },
    { method: 'DELETE', status: 405, outcome: 'refused' },
  ]);
});

test('refuses another content type with 415 and says which it takes', async () => {
  const { baseUrl } = await startRpc();
  const method = 'POST';
  for (const type of ['text/plain', 'application/connect+json', 'application/grpc-web-text']) {
    const headers = { 'content-type': type };
    const answer = await ask(`${baseUrl}/sluice.v1.ModelService/LoadModel`, { method, headers, body: '{}' });
    expect(answer.status).toBe(415);
    expect(answer.headers.get('accept-post')).toContain(
      'application/json, application/proto, application/grpc,',
    );
    expect(answer.body).toContain("The content type isn't one of application/json");
  }
  const headers = { 'content-type': 'application/json' };
  const stream = await ask(`${baseUrl}/sluice.v1.ModelService/StreamInfer`, { method, headers, body: '{}' });
  expect(stream.status).toBe(415);
  expect(stream.headers.get('accept-post')).toContain('application/connect+json');
});

test('refuses a call that streams both ways over HTTP/1.1 with 505', async () => {
  const { baseUrl } = await startRpc();
  const answer = await ask(`${baseUrl}/grpc.reflection.v1.ServerReflection/ServerReflectionInfo`, {
    method: 'POST',
    headers: { 'content-type': 'application/grpc-web' },
    body: Buffer.alloc(5),
  });
  expect(answer.status).toBe(505);
  expect(JSON.parse(answer.body)).toMatchObject({
    message: 'ServerReflectionInfo streams both ways, which takes HTTP/2.',
  });
});

test('says what is wrong with a body, once', async () => {
  const { baseUrl, recorded } = await startRpc();
  const url = `${baseUrl}/sluice.v1.ModelService/LoadModel`;
  const headers = { 'content-type': 'application/json' };
  const answer = await ask(url, { method: 'POST', headers, body: '{"configId":5}' });
  expect(answer.status).toBe(400);
  const { code, message } = JSON.parse(answer.body) as { code: string; message: string };
  expect(code).toBe('invalid_argument');
  expect(message).not.toContain('[invalid_argument]');
  expect((await recorded(1))[0]).toMatchObject({ status: 400, outcome: 'refused', why: 'invalid_argument' });
});

test.each(['application/json', 'application/connect+json'])(
  'keeps what it cannot parse as %s out of the log',
  async (type) => {
    const { baseUrl, recorded } = await startRpc({
      model: {
        infer: () => ({}),
        async *streamInfer() {
          yield {};
        },
      },
    });
    const text = '"my prompt';
    const isUnary = type === 'application/json';
    const method = isUnary ? 'Infer' : 'StreamInfer';
    const body = isUnary ? text : `\0\0\0\0${String.fromCharCode(text.length)}${text}`;
    const headers = { 'content-type': type };
    await ask(`${baseUrl}/sluice.v1.ModelService/${method}`, { method: 'POST', headers, body });
    const [record] = await recorded(1);
    expect(record).toMatchObject({ outcome: 'refused', why: 'invalid_argument', cause: null });
  },
);

test('answers gRPC on HTTP/1.1 with trailers', async () => {
  const { port } = await startRpc({ model: { loadModel: () => ({ message: 'ok' }) } });
  const text = await exchange(
    port.address.port,
    'POST /sluice.v1.ModelService/LoadModel HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: close\r\nContent-Type: application/grpc\r\nContent-Length: 8\r\n\r\n\0\0\0\0\x03\x0a\x01x',
  );
  expect(text).toContain('\0\0\0\0\x04\x0a\x02ok\r\n0\r\ngrpc-status: 0\r\n\r\n');
});
