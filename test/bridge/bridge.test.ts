import { createRegistry, type DescService } from '@bufbuild/protobuf';
import { DurationSchema } from '@bufbuild/protobuf/wkt';
import {
  Code,
  ConnectError,
  createContextKey,
  createContextValues,
  type HandlerContext,
  type Transport,
} from '@connectrpc/connect';
import { describe, expect, test } from 'vitest';
import { type Bridge, type BridgeOptions, createBridge } from '../../src/bridge/bridge.ts';
import { ask, askBridge, type Implementation, transportFor } from './bridge-fixture.ts';
import { buildProtos, buildTestProtos, messageOf, serviceOf } from './protos.ts';

const registry = buildTestProtos('library.proto');
const service = serviceOf(registry, 'bridge.test.v1.LibraryService');

function bridgeFor(implementation: Implementation, options: Partial<BridgeOptions> = {}): Bridge {
  return createBridge({ services: [service], transport: transportFor(service, implementation), ...options });
}

describe('the bridge', () => {
  test('answers in the proto’s names, with every field that has no presence', async () => {
    const bridge = bridgeFor({ getBook: ({ id }: { id: string }) => ({ id }) });
    const answered = await ask(bridge, 'GET', '/books/b1');
    expect(answered.status).toBe(200);
    expect(answered.headers.get('content-type')).toBe('application/json');
    expect(answered.text).toBe('{"id":"b1","size":"0","borrowed":false,"tags":[],"labels":{},"price":0}');
  });

  test('answers what is set', async () => {
    const bridge = bridgeFor({
      getBook: () => ({
        size: 2n ** 60n,
        subtitle: '',
        price: Number.NaN,
        place: { case: 'room', value: '' },
        labels: { a: 'b' },
        shelf: {},
      }),
    });
    expect((await ask(bridge, 'GET', '/books/b1')).json).toEqual({
      id: '',
      size: '1152921504606846976',
      borrowed: false,
      tags: [],
      subtitle: '',
      shelf: { books: [], names: [], labels: {}, count: 0, total: '0', title: '' },
      labels: { a: 'b' },
      price: 'NaN',
      room: '',
    });
  });

  test.for([
    ['books', '[]', '[{"id":"b1"'],
    ['names', '[]', '["n"]'],
    ['labels', '{}', '{"l":"v"}'],
    ['count', '0', '5'],
    ['total', '"0"', '"6"'],
    ['title', '""', '"t"'],
    ['note', 'null', '""'],
    ['featured', 'null', '{"id":"b2"'],
  ] as const)('answers with the field %s alone: %s when it is empty', async ([field, empty, full]) => {
    const nothing = bridgeFor({ unpacked: () => ({}) });
    expect((await ask(nothing, 'GET', `/unpacked/${field}`)).text).toBe(empty);
    const shelf = {
      books: [{ id: 'b1' }],
      names: ['n'],
      labels: { l: 'v' },
      count: 5,
      total: 6n,
      title: 't',
      note: '',
      featured: { id: 'b2' },
    };
    const something = bridgeFor({ unpacked: () => shelf });
    expect((await ask(something, 'GET', `/unpacked/${field}`)).text).toMatch(
      new RegExp(`^${full.replace(/[[{]/g, '\\$&')}`),
    );
  });

  test('has nothing for other paths, and 405 with Allow for other methods', async () => {
    const bridge = bridgeFor({ getBook: () => ({}) });
    expect(await askBridge(bridge, 'GET', '/books')).toBeNull();
    expect(await askBridge(bridge, 'POST', '/bridge.test.v1.LibraryService/Unbound')).toBeNull();
    const answered = await ask(bridge, 'DELETE', '/books/b1', { body: 'never read' });
    expect(answered.status).toBe(405);
    expect(answered.headers.get('allow')).toBe('GET, HEAD');
    expect(answered.bodyRead).toBe(false);
    expect(answered.message).toBe('DELETE is not allowed here; it takes GET, HEAD.');
  });

  test('answers HEAD as GET, for its server to leave the body out', async () => {
    const bridge = bridgeFor({ getBook: ({ id }: { id: string }) => ({ id }) });
    expect((await ask(bridge, 'HEAD', '/books/b1')).text).toContain('"b1"');
  });

  test('serves a method that is added to the proto without knowing it', async () => {
    const added = serviceOf(
      buildProtos({
        'new.proto': `syntax = "proto3"; package n;
          import "google/api/annotations.proto";
          service New { rpc Brand(In) returns (Out) {
            option (google.api.http) = {post: "/new/{who}:greet" body: "*" response_body: "greeting"}; } }
          message In { string who = 1; int32 times = 2; }
          message Out { string greeting = 1; }`,
      }),
      'n.New',
    );
    const transport = transportFor(added, {
      brand: ({ who, times }: { who: string; times: number }) => ({ greeting: who.repeat(times) }),
    });
    const bridge = createBridge({ services: [service, added], transport });
    const { text } = await ask(bridge, 'POST', '/new/hi%20:greet', { body: '{"times":2}' });
    expect(text).toBe('"hi hi "');
  });
});

describe('headers', () => {
  function headersSeen(): { bridge: Bridge; seen: () => Record<string, string> } {
    let header = new Headers();
    const bridge = bridgeFor({
      getBook: (_: never, context: HandlerContext) => {
        header = context.requestHeader;
        return {};
      },
    });
    return { bridge, seen: () => Object.fromEntries(header) };
  }

  test('go on to the RPC, but those of the connection and of the body', async () => {
    const { bridge, seen } = headersSeen();
    await ask(bridge, 'GET', '/books/b1', {
      headers: [
        ...['Host', 'h', 'Authorization', 'Bearer k', 'X-Mine', 'a', 'x-mine', 'b', 'Cookie', 'c=1'],
        ...['User-Agent', 'me', 'Traceparent', '00-1', 'X-Bytes-Bin', 'AQID', 'X-High', 'caf\u00e9'],
        ...['Connection', 'close, X-Hop', 'X-Hop', '1', 'Keep-Alive', '1', 'TE', 'trailers', 'Trailer', 'x'],
        ...[
          'Upgrade',
          'h2c',
          'HTTP2-Settings',
          'x',
          'Transfer-Encoding',
          'chunked',
          'Expect',
          '100-continue',
        ],
        ...['Proxy-Authorization', 'p', 'Proxy-Connection', 'q', 'Accept', '*/*', 'Accept-Encoding', 'br'],
        ...['Content-Type', 'text/plain', 'Content-Length', '0', 'Content-Language', 'de'],
        ...['Grpc-Encoding', 'gzip', 'Connect-Protocol-Version', '9', 'Grpc-Accept-Encoding', 'gzip'],
      ],
    });
    const { 'content-type': _type, 'connect-protocol-version': version, ...rest } = seen();
    // The transport's own.
    expect(version).not.toBe('9');
    expect(rest).toEqual({
      host: 'h',
      authorization: 'Bearer k',
      'x-mine': 'a, b',
      cookie: 'c=1',
      'user-agent': 'me',
      traceparent: '00-1',
      'x-bytes-bin': 'AQID',
      'x-high': 'caf\u00e9',
    });
  });

  test('that the implementation sets come back, trailers too', async () => {
    const bridge = bridgeFor({
      getBook: (_: never, { responseHeader, responseTrailer }: HandlerContext) => {
        responseHeader.set('x-sluice-request-id', 'r1');
        responseHeader.append('Set-Cookie', 'a=1');
        responseHeader.append('Set-Cookie', 'b=2');
        responseHeader.set('Cache-Control', 'no-store');
        responseHeader.set('Connection', 'close');
        responseTrailer.set('X-Cost', '5');
        return {};
      },
    });
    const { headers } = await ask(bridge, 'GET', '/books/b1');
    expect([...headers]).toEqual([
      ['cache-control', 'no-store'],
      ['content-type', 'application/json'],
      ['set-cookie', 'a=1'],
      ['set-cookie', 'b=2'],
      ['x-cost', '5'],
      ['x-sluice-request-id', 'r1'],
    ]);
  });

  test.for([
    [['Connect-Timeout-Ms', '30000'], 30_000],
    [['grpc-timeout', '30S'], 30_000],
    [['grpc-timeout', '2M'], 120_000],
    [['grpc-timeout', '1H'], 3_600_000],
    [['grpc-timeout', '45000m'], 45_000],
    [['grpc-timeout', '30000000u'], 30_000],
    [['grpc-timeout', '99999999n'], 100],
    [['connect-timeout-ms', '30000', 'grpc-timeout', '1H'], 30_000],
    [[], undefined],
  ] as const)('%j is a deadline of %s ms', async ([headers, expected]) => {
    const seen: (number | undefined)[] = [];
    const transport: Transport = {
      unary: (_method, _signal, timeoutMs) => {
        seen.push(timeoutMs);
        throw new ConnectError('enough', Code.Unavailable);
      },
      stream: () => Promise.reject(new Error('unused')),
    };
    const bridge = createBridge({ services: [service], transport });
    expect((await ask(bridge, 'GET', '/books/b1', { headers })).status).toBe(503);
    expect(seen).toEqual([expected]);
  });

  test('a deadline that passes is 504', async () => {
    const bridge = bridgeFor({
      getBook: (_: never, { signal }: HandlerContext) =>
        new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    });
    const headers = ['connect-timeout-ms', '1'];
    const answered = await ask(bridge, 'GET', '/books/b1', { headers });
    expect(answered.status).toBe(504);
    expect(answered.json).toMatchObject({ error: { code: 504, status: 'DEADLINE_EXCEEDED' } });
  });

  test.for([
    [['connect-timeout-ms', '1.5'], 'connect-timeout-ms must be milliseconds, 1 to 10 digits'],
    [['connect-timeout-ms', '12345678901'], 'connect-timeout-ms must be milliseconds, 1 to 10 digits'],
    [['grpc-timeout', '30'], 'grpc-timeout must be 1 to 8 digits and a unit of H, M, S, m, u or n'],
    [['grpc-timeout', '123456789S'], 'grpc-timeout must be 1 to 8 digits and a unit of H, M, S, m, u or n'],
    [['x-mine', 'a\u0000b'], 'the header "x-mine" can\'t be passed on'],
  ] as const)('%j is refused', async ([headers, message]) => {
    const answered = await ask(bridgeFor({}), 'GET', '/books/b1', { headers });
    expect([answered.status, answered.message]).toEqual([400, message]);
  });
});

describe('admit', () => {
  const nameKey = createContextKey('nobody');

  test('sees method and headers, and what it returns goes to the RPC', async () => {
    const seen: string[] = [];
    const transport: Transport = {
      unary: (method, _signal, _timeoutMs, _header, _input, values) => {
        seen.push(`${method.name} for ${values?.get(nameKey)}`);
        throw new ConnectError('enough', Code.Unavailable);
      },
      stream: () => Promise.reject(new Error('unused')),
    };
    const bridge = createBridge({
      services: [service],
      transport,
      admit: async (method, headers, values) => {
        seen.push(`${method.name} asked`);
        return values.set(nameKey, headers.get('x-name') ?? 'none');
      },
    });
    await ask(bridge, 'PUT', '/files/f', { headers: ['X-Name', 'ann'], body: 'b' });
    expect(seen).toEqual(['Upload asked', 'Upload for ann']);
  });

  test('refuses before any byte of the body is read, and before the request is looked at', async () => {
    const bridge = bridgeFor(
      {},
      {
        admit: () => {
          throw new ConnectError('who are you?', Code.Unauthenticated);
        },
      },
    );
    for (const target of ['/watch', '/watch?none=1']) {
      const answered = await ask(bridge, 'POST', target, { body: 'not json', unknownLength: true });
      expect([answered.status, answered.bodyRead, answered.message]).toEqual([401, false, 'who are you?']);
    }
  });

  test('isn’t asked for a path or method that is none', async () => {
    const bridge = bridgeFor(
      {},
      {
        admit: () => {
          throw new Error('asked');
        },
      },
    );
    expect(await askBridge(bridge, 'GET', '/none')).toBeNull();
    expect((await ask(bridge, 'PUT', '/books/b1')).status).toBe(405);
  });

  test('is told of the values of the request', async () => {
    const seen: string[] = [];
    const bridge = bridgeFor(
      { getBook: () => ({}) },
      {
        admit: (_method, _headers, values) => {
          seen.push(values.get(nameKey));
          return createContextValues();
        },
      },
    );
    const match = bridge.match('GET', '/books/b1');
    if (match === null) throw new Error('no match');
    const { signal } = new AbortController();
    const request = { query: '', headers: [], body: null, signal };
    await bridge.handle(match, { ...request, values: createContextValues().set(nameKey, 'bob') });
    await bridge.handle(match, request);
    expect(seen).toEqual(['bob', 'nobody']);
  });
});

describe('errors', () => {
  test.for([
    [Code.Canceled, 499, 'CANCELED'],
    [Code.Unknown, 500, 'UNKNOWN'],
    [Code.InvalidArgument, 400, 'INVALID_ARGUMENT'],
    [Code.DeadlineExceeded, 504, 'DEADLINE_EXCEEDED'],
    [Code.NotFound, 404, 'NOT_FOUND'],
    [Code.AlreadyExists, 409, 'ALREADY_EXISTS'],
    [Code.PermissionDenied, 403, 'PERMISSION_DENIED'],
    [Code.ResourceExhausted, 429, 'RESOURCE_EXHAUSTED'],
    [Code.FailedPrecondition, 400, 'FAILED_PRECONDITION'],
    [Code.Aborted, 409, 'ABORTED'],
    [Code.OutOfRange, 400, 'OUT_OF_RANGE'],
    [Code.Unimplemented, 501, 'UNIMPLEMENTED'],
    [Code.Internal, 500, 'INTERNAL'],
    [Code.Unavailable, 503, 'UNAVAILABLE'],
    [Code.DataLoss, 500, 'DATA_LOSS'],
    [Code.Unauthenticated, 401, 'UNAUTHENTICATED'],
  ] as const)('of code %i are %i, %s', async ([code, status, name]) => {
    const bridge = bridgeFor({
      getBook: () => {
        throw new ConnectError('why', code);
      },
    });
    const answered = await ask(bridge, 'GET', '/books/b1');
    expect(answered.status).toBe(status);
    expect(answered.headers.get('content-type')).toBe('application/json');
    expect(answered.json).toEqual({ error: { code: status, status: name, message: 'why', details: [] } });
  });

  test('bring their metadata as headers', async () => {
    const bridge = bridgeFor({
      getBook: () => {
        throw new ConnectError('later', Code.Unavailable, { 'Retry-After': '5', 'Content-Type': 'x/y' });
      },
    });
    const { headers } = await ask(bridge, 'GET', '/books/b1');
    expect([headers.get('retry-after'), headers.get('content-type')]).toEqual(['5', 'application/json']);
  });

  test('of no code tell nothing, and details go along', async () => {
    const failing = (thrown: unknown): Bridge =>
      createBridge({
        services: [service],
        transport: {
          unary: () => Promise.reject(thrown),
          stream: () => Promise.reject(thrown),
        },
      });
    const secret = await ask(failing(new Error('secret')), 'GET', '/books/b1');
    expect(secret.json).toEqual({
      error: { code: 500, status: 'INTERNAL', message: 'internal error', details: [] },
    });
    const details = [
      { desc: messageOf(registry, 'bridge.test.v1.GetBookRequest'), value: { id: 'b1' } },
      { desc: DurationSchema, value: { seconds: 1n } },
    ];
    const later = new ConnectError('later', Code.Unavailable, undefined, details);
    expect((await ask(failing(later), 'GET', '/books/b1')).json).toMatchObject({
      error: {
        details: [
          { '@type': 'type.googleapis.com/bridge.test.v1.GetBookRequest', id: 'b1' },
          { '@type': 'type.googleapis.com/google.protobuf.Duration', value: '1s' },
        ],
      },
    });
  });

  test('are encoded by whoever makes the bridge, if they like', async () => {
    const bridge = bridgeFor(
      {},
      { encodeError: () => ({ status: 418, headers: ['x-tea', 'yes'], error: { kind: 'pot' } }) },
    );
    const answered = await ask(bridge, 'PUT', '/books/b1');
    expect([answered.status, answered.headers.get('x-tea'), answered.text]).toEqual([
      418,
      'yes',
      '{"error":{"kind":"pot"}}',
    ]);
  });

  test('of a method without implementation are 501', async () => {
    expect((await ask(bridgeFor({}), 'GET', '/books/b1')).status).toBe(501);
  });
});

describe('google.api.HttpBody', () => {
  test('is the body as it is, both ways', async () => {
    const bridge = bridgeFor({
      upload: ({
        name,
        keep,
        content,
      }: {
        name: string;
        keep: boolean;
        content: { contentType: string; data: Uint8Array };
      }) => ({
        content: {
          contentType: content.contentType.toUpperCase(),
          data: Buffer.from(`${name} ${keep} ${Buffer.from(content.data).toString('latin1')}`),
        },
      }),
      raw: (body: { contentType: string; data: Uint8Array }) => body,
    });
    const uploaded = await ask(bridge, 'PUT', '/files/f%2F1?keep=true', {
      headers: ['content-type', 'image/png'],
      body: Buffer.from('{"not":json'),
    });
    expect(uploaded.text).toBe('f/1 true {"not":json');
    expect(uploaded.headers.get('content-type')).toBe('IMAGE/PNG');
    const raw = await ask(bridge, 'POST', '/raw', { headers: ['content-type', 'a/b'], body: '\0\u0001' });
    expect([raw.text, raw.headers.get('content-type')]).toEqual(['\0\u0001', 'a/b']);
    const untyped = await ask(bridge, 'POST', '/raw');
    expect([untyped.text, untyped.headers.get('content-type')]).toEqual(['', 'application/octet-stream']);
    const without = bridgeFor({ upload: () => ({}) });
    expect((await ask(without, 'PUT', '/files/f', { body: 'x' })).text).toBe('');
  });

  test('has its other fields in path and query alone', async () => {
    const bridge = bridgeFor({});
    const { message } = await ask(bridge, 'PUT', '/files/f?content.data=AQID', { body: 'x' });
    expect(message).toBe('query parameter "content.data" belongs into the request body');
  });
});

test('Any is known in JSON by the registry that is given', async () => {
  const registry = buildProtos({
    'any.proto': `syntax = "proto3"; package y;
      import "google/api/annotations.proto"; import "google/protobuf/any.proto";
      service Y { rpc Do(In) returns (In) { option (google.api.http) = {post: "/do" body: "any" response_body: "any"}; } }
      message In { google.protobuf.Any any = 1; }`,
  });
  const y: DescService = serviceOf(registry, 'y.Y');
  const transport = transportFor(y, { do: (request: unknown) => request });
  const body = '{"@type":"type.googleapis.com/google.protobuf.Duration","value":"1.500s"}';
  const unknown = createBridge({ services: [y], transport });
  expect((await ask(unknown, 'POST', '/do', { body })).message).toBe(
    'field "any" must be an object with an "@type" that is known here, not an object',
  );
  const known = createBridge({ services: [y], transport, registry: createRegistry(DurationSchema) });
  expect((await ask(known, 'POST', '/do', { body })).json).toEqual(JSON.parse(body));
});
