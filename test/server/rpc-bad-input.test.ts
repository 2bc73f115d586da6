import { once } from 'node:events';
import { gzipSync } from 'node:zlib';
import { create, toBinary } from '@bufbuild/protobuf';
import { base64Encode } from '@bufbuild/protobuf/wire';
import { describe, expect, test } from 'vitest';
import { ConfigureModelRequestSchema } from '../../gen/sluice/v1/model_service_pb.ts';
import { openHttp2 } from './port-fixture.ts';
import { type RpcFixture, startRpc } from './rpc-fixture.ts';

const MODEL = {
  configureModel: () => ({ configId: 'c' }),
  getConfiguration: () => ({}),
  infer: () => ({ response: 'a' }),
  async *streamInfer() {
    yield { response: 'a' };
  },
};

interface Answered {
  readonly code: string;
  readonly message: string;
}

/** Unary methods in Connect, and all in the other protocols, with their one message in an envelope. */
async function call(
  { baseUrl }: RpcFixture,
  { type, method, message, gzip = false }: Asked,
): Promise<Answered> {
  const isEnveloped = type !== 'application/json' && type !== 'application/proto';
  const bytes = gzip ? gzipSync(message) : Buffer.from(message);
  const prefix = Buffer.from([gzip ? 1 : 0, 0, 0, 0, 0]);
  prefix.writeUInt32BE(bytes.length, 1);
  const encoding = type.includes('grpc') ? 'grpc-encoding' : 'connect-content-encoding';
  const answer = await fetch(`${baseUrl}/sluice.v1.ModelService/${method}`, {
    method: 'POST',
    headers: {
      'content-type': type,
      ...(gzip && { [isEnveloped ? encoding : 'content-encoding']: 'gzip' }),
    },
    body: isEnveloped ? Buffer.concat([prefix, bytes]) : bytes,
  });
  return failureIn(type, answer.headers, Buffer.from(await answer.arrayBuffer()));
}

interface Asked {
  readonly type: string;
  readonly method: string;
  readonly message: string | Uint8Array;
  readonly gzip?: boolean;
}

const NONE: Answered = { code: 'none', message: '' };
const GRPC_CODES: Readonly<Record<string, string>> = { 0: 'none', 3: 'invalid_argument', 13: 'internal' };

function failureIn(type: string, headers: Headers, body: Buffer): Answered {
  if (type.startsWith('application/grpc')) {
    const lines = new Map(
      [...headers, ...body.toString().matchAll(/(grpc-\w+): (.*?)\r\n/g)].map((line) =>
        line.length === 2 ? (line as [string, string]) : ([line[1], line[2]] as [string, string]),
      ),
    );
    const message = decodeURIComponent(lines.get('grpc-message') ?? '');
    return { code: GRPC_CODES[lines.get('grpc-status') ?? ''] ?? 'another', message };
  }
  if (!type.startsWith('application/connect+')) {
    const told = body.toString();
    return told.includes('"code"') ? (JSON.parse(told) as Answered) : NONE;
  }
  let end = body;
  while (end[0] === 0) end = end.subarray(5 + end.readUInt32BE(1));
  return (JSON.parse(end.subarray(5).toString()) as { error?: Answered }).error ?? NONE;
}

const VALID = '"model_id":"m","model_name":"n","model_type":"vllm"';
const deep = (levels: number): string =>
  `{${VALID},"model_kwargs":${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}}`;

const TAKEN: readonly (readonly [what: string, text: string])[] = [
  ['the names of the proto', `{${VALID}}`],
  ['those of its JSON', '{"modelId":"m","modelName":"n","modelType":"vllm"}'],
  ['white space', ` \n{ ${VALID}\t}\r\n`],
  ['a byte order mark', `\ufeff{${VALID}}`],
  ['nulls', `{${VALID},"model_kwargs":null}`],
  ['99 levels', deep(98)],
  ['a double', `{${VALID},"model_kwargs":{"a":1e300}}`],
];

const REFUSED: readonly (readonly [what: string, text: string, message: RegExp | string])[] = [
  ['no JSON', '{', /^the message is not JSON: it ends at character 2, where a key/],
  ['nothing', '', /^the message is not JSON: it ends at character 1, where a value is expected$/],
  ['a list', '[]', 'the message must be an object, not an array'],
  ['a null', 'null', 'the message must be an object, not null'],
  ['an unknown field', `{${VALID},"model_nam":"x"}`, /^field "model_nam" is not known; there are model_id,/],
  ['a field of a prototype', `{${VALID},"__proto__":{}}`, /^field "__proto__" is not known/],
  ['a field twice', `{${VALID},"model_id":"x"}`, 'field "model_id" is given twice'],
  [
    'a field in both spellings',
    `{${VALID},"modelId":"x"}`,
    'field "model_id" is given twice, as "model_id" and as "modelId"',
  ],
  [
    'a key twice further down',
    `{${VALID},"model_kwargs":{"a":[{"b":1,"b":2}]}}`,
    'field "model_kwargs.a[0].b" is given twice',
  ],
  [
    'an integer above 2^53',
    `{${VALID},"model_kwargs":{"seed":9007199254740993}}`,
    'field "model_kwargs.seed" is an integer that a JSON number holds only roughly: send it as a string',
  ],
  ['another type', '{"model_id":1}', 'field "model_id" must be a string, not a number'],
  [
    'a list for an object',
    `{${VALID},"model_kwargs":[1]}`,
    /^field "model_kwargs" must be an object, not an/,
  ],
  ['half a surrogate pair', '{"model_id":"\\ud800"}', /^field "model_id" has half of a surrogate pair/],
  ['a nesting bomb', deep(200), /^field "model_kwargs\.a\.a.*" is nested more than 100 levels deep$/],
  ['a larger one', `{${VALID},"model_kwargs":${'['.repeat(200_000)}`, /is nested more than 100 levels deep$/],
];

const UNARY_JSON = ['application/json', 'application/grpc-web+json'];

describe.each(UNARY_JSON)('JSON as %s', (type) => {
  test.each(TAKEN)('may have %s', async (_, message) => {
    const fixture = await startRpc({ model: MODEL });
    expect(await call(fixture, { type, method: 'ConfigureModel', message })).toEqual(NONE);
  });

  test.each(REFUSED)('is refused for %s, and its place named', async (_, message, words) => {
    const fixture = await startRpc({ model: MODEL });
    const failed = await call(fixture, { type, method: 'ConfigureModel', message });
    expect(failed.code).toBe('invalid_argument');
    if (typeof words === 'string') expect(failed.message).toBe(words);
    else expect(failed.message).toMatch(words);
    const [record] = await fixture.recorded(1);
    expect(record).toMatchObject({ outcome: 'refused', why: 'invalid_argument', cause: null });
  });
});

test.each(['application/connect+json', 'application/grpc-web+json'])(
  'reads the messages of a stream as strictly: %s',
  async (type) => {
    const fixture = await startRpc({ model: MODEL });
    const asked = { type, method: 'StreamInfer' };
    expect(await call(fixture, { ...asked, message: '{"model_id":"m","prompt":"p"}' })).toEqual(NONE);
    expect(
      await call(fixture, { ...asked, message: '{"model_id":"m","prompt":"p","seed":1}' }),
    ).toMatchObject({
      code: 'invalid_argument',
      message: expect.stringMatching(/^field "seed" is not known; there are /),
    });
  },
);

test('reads compressed messages as strictly', async () => {
  const fixture = await startRpc({ model: MODEL });
  for (const type of ['application/json', 'application/grpc-web+json']) {
    const asked = { type, method: 'ConfigureModel', gzip: true };
    expect(await call(fixture, { ...asked, message: `{${VALID}}` })).toEqual(NONE);
    const failed = await call(fixture, { ...asked, message: `{${VALID},"none":1}` });
    expect(failed).toMatchObject({
      code: 'invalid_argument',
      message: expect.stringMatching(/^field "none"/),
    });
  }
});

test('reads the message in the query of a GET as strictly', async () => {
  const { baseUrl } = await startRpc({ model: MODEL });
  const get = async (message: string): Promise<unknown> => {
    const query = new URLSearchParams({ connect: 'v1', encoding: 'json', message });
    return (await fetch(`${baseUrl}/sluice.v1.ModelService/GetConfiguration?${query}`)).json();
  };
  expect(await get('{"config_id":"c"}')).toEqual({});
  expect(await get('{"config_id":"c","config":"d"}')).toMatchObject({
    code: 'invalid_argument',
    message: 'field "config" is not known; there are config_id',
  });
});

test('refuses text that is not UTF-8', async () => {
  const fixture = await startRpc({ model: MODEL });
  const message = Buffer.from('{"model_id":"\xe9"}', 'latin1');
  expect(await call(fixture, { type: 'application/json', method: 'ConfigureModel', message })).toEqual({
    code: 'invalid_argument',
    message: 'the message is not UTF-8',
  });
});

/** Field 4 of ConfigureModelRequest, a Struct, and in it structs in structs. */
function deepBinary(levels: number): Uint8Array {
  let bytes = Buffer.alloc(0);
  const wrap = (tag: number): void => {
    let length = bytes.length;
    const varint: number[] = [];
    for (; length > 127; length >>>= 7) varint.push((length & 127) | 128);
    bytes = Buffer.from([tag, ...varint, length, ...bytes]);
  };
  for (let level = 0; level < levels; level++) {
    // Value.struct_value, the entry's value, Struct.fields.
    wrap(0x2a);
    wrap(0x12);
    wrap(0x0a);
  }
  wrap(0x22);
  return bytes;
}

describe('binary that is no message', () => {
  const whole = toBinary(
    ConfigureModelRequestSchema,
    create(ConfigureModelRequestSchema, { modelId: 'my-secret', modelName: 'n', modelType: 'vllm' }),
  );
  const BAD: readonly (readonly [what: string, bytes: Uint8Array, message: string])[] = [
    [
      'cut short',
      whole.subarray(0, 5),
      'the message is not the binary form of sluice.v1.ConfigureModelRequest',
    ],
    [
      'with a tag that does not exist',
      Buffer.concat([whole, Buffer.from([0x07])]),
      'the message is not the binary form of sluice.v1.ConfigureModelRequest',
    ],
    [
      'text',
      Buffer.from('my-secret'),
      'the message is not the binary form of sluice.v1.ConfigureModelRequest',
    ],
    ['nested too deep', deepBinary(60), 'the message is nested more than 100 levels deep'],
  ];

  const TYPES = ['application/proto', 'application/grpc-web', 'application/grpc-web+proto'];
  describe.each(TYPES)('as %s', (type) => {
    test.each(BAD)("is its sender's fault: %s", async (_, message, words) => {
      const fixture = await startRpc({ model: MODEL });
      const failed = await call(fixture, { type, method: 'ConfigureModel', message });
      expect(failed).toEqual({ code: 'invalid_argument', message: words });
      const [record] = await fixture.recorded(1);
      expect(record).toMatchObject({ outcome: 'refused', why: 'invalid_argument', cause: null });
    });

    test('is taken when it is whole', async () => {
      const fixture = await startRpc({ model: MODEL });
      expect(await call(fixture, { type, method: 'ConfigureModel', message: whole })).toEqual(NONE);
    });
  });

  test.each(['application/connect+proto', 'application/grpc-web+proto'])(
    'in a stream as %s',
    async (type) => {
      const fixture = await startRpc({ model: MODEL });
      expect(await call(fixture, { type, method: 'StreamInfer', message: 'my-secret' })).toEqual({
        code: 'invalid_argument',
        message: 'the message is not the binary form of sluice.v1.StreamInferRequest',
      });
    },
  );

  test('in a stream both ways, after one that was whole', async () => {
    const { port } = await startRpc({ model: MODEL });
    const stream = openHttp2(port).request({
      ':method': 'POST',
      ':path': '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
      'content-type': 'application/grpc',
    });
    const ended = once(stream, 'trailers');
    // `list_services: ""`.
    stream.write(Buffer.from([0, 0, 0, 0, 2, 0x3a, 0]));
    await once(stream, 'data');
    stream.end(Buffer.from([0, 0, 0, 0, 2, 0x0a, 0x7f]));
    const [trailers] = await ended;
    expect(trailers).toMatchObject({
      'grpc-status': '3',
      'grpc-message': 'the message is not the binary form of grpc.reflection.v1.ServerReflectionRequest',
    });
  });

  test('in a query', async () => {
    const { baseUrl } = await startRpc({ model: MODEL });
    const message = base64Encode(Buffer.from('my-secret'), 'url');
    const query = new URLSearchParams({ connect: 'v1', encoding: 'proto', base64: '1', message });
    const answer = await fetch(`${baseUrl}/sluice.v1.ModelService/GetConfiguration?${query}`);
    expect([answer.status, await answer.json()]).toEqual([
      400,
      {
        code: 'invalid_argument',
        message: 'the message is not the binary form of sluice.v1.GetConfigurationRequest',
      },
    ]);
  });
});
