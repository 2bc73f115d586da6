import type { MessageInitShape } from '@bufbuild/protobuf';
import { Code } from '@connectrpc/connect';
import { describe, expect, test } from 'vitest';
import type { ConfigureModelRequestSchema } from '../../gen/sluice/v1/model_service_pb.ts';
import { refusalOf, WIRES } from '../server/rpc-fixture.ts';
import { errorIn, startModels } from './models-fixture.ts';

const HEAD = '"model_id":"m","model_name":"n","model_type":"vllm"';
const kwargs = (text: string): string => `{${HEAD},"model_kwargs":${text}}`;
const nested = (levels: number): string => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`;

/** A place too deep to be spelled out. */
const DEEP = expect.stringMatching(/…$|\.a\.a|\[0\]\[0\]/) as unknown as string;

/** What a body of configure_model is refused for: its `param`, and words of its message. */
const BODIES: readonly (readonly [what: string, body: string, param: string | null, words: RegExp])[] = [
  // the JSON
  ['no JSON', '{', null, /not JSON/],
  ['a list', '[]', null, /must be a JSON object/],
  ['null', 'null', null, /must be a JSON object/],
  ['a nesting bomb', '['.repeat(100_000), DEEP, /nested more than 100 levels/],
  ['a nesting bomb inside', kwargs(nested(200)), DEEP, /"model_kwargs\.a\.a.*nested more than 100 levels/],
  [
    'half a surrogate pair',
    '{"model_id":"\\ud800","model_name":"n","model_type":"vllm"}',
    'model_id',
    /surrogate/,
  ],
  // its fields
  ['an unknown field', `{${HEAD},"model_nam":"x"}`, 'model_nam', /not known; there are model_id, model_name/],
  ['a field of a prototype', `{${HEAD},"__proto__":{}}`, '__proto__', /not known/],
  ['a field twice', `{${HEAD},"model_id":"x"}`, 'model_id', /given twice/],
  [
    'a field in both spellings',
    `{${HEAD},"modelId":"x"}`,
    'model_id',
    /given twice, as "model_id" and as "modelId"/,
  ],
  ['a kwarg twice', kwargs('{"seed":1,"seed":2}'), 'model_kwargs.seed', /given twice/],
  [
    'a number for a text',
    '{"model_id":1,"model_name":"n","model_type":"vllm"}',
    'model_id',
    /must be a string, not a number/,
  ],
  ['a list for a mapping', kwargs('[1]'), 'model_kwargs', /must be an object, not an array/],
  ['a text for a mapping', kwargs('"{}"'), 'model_kwargs', /must be an object/],
  [
    'an integer above 2^53',
    kwargs('{"seed":9007199254740993}'),
    'model_kwargs.seed',
    /only roughly: send it as a string/,
  ],
  ['a number beyond doubles', kwargs('{"seed":1e400}'), 'model_kwargs.seed', /too large/],
  // their rules
  ['no body', '', 'model_id', /model_id: .*; model_name: .*; model_type: /],
  ['a field missing', '{"model_id":"m","model_name":"n"}', 'model_type', /model_type: must not be empty/],
  [
    'a long id',
    `{"model_id":"${'a'.repeat(257)}","model_name":"n","model_type":"vllm"}`,
    'model_id',
    /model_id: must have at most 256 characters/,
  ],
  [
    'a control character',
    '{"model_id":"a\\u0000","model_name":"n","model_type":"vllm"}',
    'model_id',
    /model_id: must have no control characters/,
  ],
  [
    'an option for a name',
    '{"model_id":"m","model_name":"--help","model_type":"vllm"}',
    'model_name',
    /model_name: must not begin with a dash/,
  ],
  [
    'an unknown type',
    '{"model_id":"m","model_name":"n","model_type":"vlm"}',
    'model_type',
    /"vlm" is not known; did you mean vllm\? known are openai, vllm/,
  ],
];

/** What model_kwargs are refused for. */
const KWARGS: readonly (readonly [body: Readonly<Record<string, unknown>>, param: string, words: RegExp])[] =
  [
    [{ port: 80 }, 'model_kwargs.port', /the gateway picks a free one/],
    [{ host: '0.0.0.0' }, 'model_kwargs.host', /loopback/],
    [
      { middleware: 'os.system' },
      'model_kwargs.middleware',
      /loads code by its name.*vllm_allowed_arguments/,
    ],
    [{ middlew: 'os.system' }, 'model_kwargs.middlew', /short for middleware/],
    [{ 'trust-remote-code': true }, 'model_kwargs.trust-remote-code', /runs code/],
    [{ compilation_config: '{"backend":"evil.module"}' }, 'model_kwargs.compilation_config', /loads code/],
    [{ 'a b': 1 }, 'model_kwargs.a b', /no name of an argument/],
    [{ hf_token: 1 }, 'model_kwargs.hf_token', /must be the token/],
    [{ keep_alive: 'soon' }, 'model_kwargs.keep_alive', /must be a duration like "30s"/],
    [{ keep_alive: 0 }, 'model_kwargs.keep_alive', /above 0/],
    [{ load_on_request: 'yes' }, 'model_kwargs.load_on_request', /must be true or false/],
    [{ api_key: '***' }, 'model_kwargs.api_key', /placeholder of a key that was redacted/],
    [
      { api_key: 'sk-upstream' },
      'model_kwargs.api_key',
      /can't be set: the vLLM that the gateway starts gets a key of its own; .* give its api_base/,
    ],
    [{ api_key: 'os.environ/HOME' }, 'model_kwargs.api_key', /only the configuration file/],
    [{ api_base: 'http://169.254.169.254/' }, 'model_kwargs.api_base', /metadata/],
    [{ api_base: 'http://[fe80::1]/' }, 'model_kwargs.api_base', /link-local/],
    [{ api_base: 'ftp://a' }, 'model_kwargs.api_base', /must begin with http/],
    [
      { api_base: 'http://127.0.0.1:1', tensor_parallel_size: 2 },
      'model_kwargs.tensor_parallel_size',
      /no engine arguments/,
    ],
    [{ messages: [] }, 'model_kwargs.messages', /part of each request/],
  ];

/** Requests that are refused for their method, path or query. */
const REQUESTS: readonly (readonly [
  request: string,
  body: string | null,
  status: number,
  param: string | null,
  words: RegExp,
])[] = [
  ['GET /llm/configurations?x=1', null, 400, 'x', /query parameter "x" is not known/],
  ['GET /llm/configuration/a?config_id=b', null, 400, 'config_id', /given by the path already/],
  ['POST /llm/load_model/a?config_id=b', null, 400, 'config_id', /given by the path already/],
  ['POST /llm/inference?model_id=x', '{"model_id":"m","prompt":"x"}', 400, 'model_id', /not taken/],
  ['POST /llm/load_model/a', '{}', 400, null, /takes no request body/],
  ['DELETE /llm/configuration/a', '{"config_id":"b"}', 400, null, /takes no request body/],
  ['POST /llm/load_model/a', null, 404, 'config_id', /There is no configuration "a"/],
  ['POST /llm/load_model/a%2Fb', null, 404, 'config_id', /There is no configuration "a\/b"/],
  ['GET /llm/load_model/a/events', null, 404, 'config_id', /There is no configuration "a"/],
  ['DELETE /llm/configuration/a', null, 404, 'config_id', /There is no configuration "a"/],
  ['POST /llm/unload_model/a', null, 404, 'model_id', /The model "a" does not exist here/],
  ['GET /llm/load_model/a', null, 405, null, /it takes POST/],
  ['PUT /llm/configuration/a', '{}', 405, null, /it takes GET, DELETE|it takes DELETE, GET/],
  ['POST /llm/load_model/', null, 404, null, /Nothing is served/],
  [
    'GET /llm/nothing',
    null,
    404,
    null,
    /^Nothing is served at \/llm\/nothing\. .* one of the control plane's \(see \/docs\)\.$/,
  ],
  ['POST /llm/inference', '{"model_id":"m","prompt":""}', 400, 'prompt', /prompt: must not be empty/],
  ['POST /llm/inference', '{"model_id":"nonesuch","prompt":"x"}', 404, 'model', /"nonesuch" does not exist/],
  [
    'POST /llm/inference',
    '{"model_id":"m","prompt":"x","inference_kwargs":{"stream":true}}',
    400,
    'inference_kwargs.stream',
    /set by the gateway/,
  ],
];

describe('over REST', () => {
  test('configure_model refuses what is not its message, names the place, and stores nothing', async () => {
    const gateway = await startModels();
    for (const [what, body, param, words] of BODIES) {
      const answer = await gateway.rest('POST', '/llm/configure_model/', { body });
      const error = {
        message: expect.stringMatching(words),
        type: 'invalid_request_error',
        param,
        code: 'invalid_request',
      };
      expect.soft([answer.status, errorIn(answer)], what).toEqual([400, error]);
    }
    expect((await gateway.rest('GET', '/llm/configurations')).json).toEqual([]);
  });

  test('configure_model refuses model_kwargs that its driver can’t have, names them, and stores nothing', async () => {
    const gateway = await startModels();
    for (const [modelKwargs, param, words] of KWARGS) {
      const body = { model_id: 'm', model_name: 'n', model_type: 'vllm', model_kwargs: modelKwargs };
      const answer = await gateway.rest('POST', '/llm/configure_model/', { body });
      const what = JSON.stringify(modelKwargs);
      const error = { message: expect.stringMatching(words), param, code: 'invalid_request' };
      expect.soft([answer.status, errorIn(answer)], what).toMatchObject([400, error]);
      expect.soft(errorIn(answer).message, what).toContain(`${param}: `);
    }
    expect((await gateway.rest('GET', '/llm/configurations')).json).toEqual([]);
  });

  test('configure_model tells every fault of model_kwargs at once', async () => {
    const gateway = await startModels();
    const answer = await gateway.rest('POST', '/llm/configure_model/', {
      body: kwargs('{"port":1,"middleware":"x","grpc":true}'),
    });
    expect(
      errorIn(answer)
        .message.split('\n')
        .map((line) => line.split(':')[0]),
    ).toEqual(['model_kwargs.port', 'model_kwargs.middleware', 'model_kwargs.grpc']);
  });

  test('methods, paths, parameters and bodies that don’t fit are refused, and what is missing named', async () => {
    const gateway = await startModels();
    for (const [request, body, status, param, words] of REQUESTS) {
      const [method = '', path = ''] = request.split(' ');
      const answer = await gateway.rest(method, path, body === null ? {} : { body });
      const error = { message: expect.stringMatching(words), param };
      expect.soft([answer.status, errorIn(answer)], request).toMatchObject([status, error]);
      expect.soft(answer.headers.get('x-sluice-request-id'), request).toMatch(/./);
    }
  });

  test('a body must say that it is JSON, so that no form of another page can send one', async () => {
    const gateway = await startModels();
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
    ]) {
      const answer = await gateway.rest('POST', '/llm/configure_model/', {
        body: `{${HEAD}}`,
        headers: { 'content-type': type },
      });
      expect([answer.status, errorIn(answer).code]).toEqual([415, 'unsupported_media_type']);
    }
  });
});

type Request = MessageInitShape<typeof ConfigureModelRequestSchema>;
const VALID: Request = { modelId: 'm', modelName: 'n', modelType: 'vllm' };

describe.each(WIRES)('over $protocol on HTTP/$httpVersion', (wire) => {
  test('ConfigureModel refuses what breaks a rule, and names the field', async () => {
    const gateway = await startModels();
    const client = gateway.client(wire);
    const refused: readonly (readonly [Request, RegExp])[] = [
      [{}, /^model_id: .*; model_name: .*; model_type: /],
      [{ ...VALID, modelType: '' }, /^model_type: must not be empty/],
      [{ ...VALID, modelId: 'a'.repeat(257) }, /^model_id: must have at most 256 characters/],
      [{ ...VALID, modelId: 'a\u0000' }, /^model_id: must have no control characters/],
      [{ ...VALID, modelName: '-x' }, /^model_name: must not begin with a dash/],
      [{ ...VALID, modelType: 'vlm' }, /^model_type: "vlm" is not known; did you mean vllm\?/],
      [{ ...VALID, modelKwargs: { seed: Number.NaN } }, /^model_kwargs\.seed: must be a finite number/],
      ...KWARGS.map(([modelKwargs, param, words]): readonly [Request, RegExp] => [
        { ...VALID, modelKwargs: modelKwargs as Record<string, string> },
        new RegExp(`${param.replaceAll(/[.]/g, '\\.')}: .*(?:${words.source})`, 's'),
      ]),
    ];
    for (const [request, words] of refused) {
      const { code, rawMessage } = await refusalOf(client.configureModel(request));
      expect([Code[code], rawMessage]).toEqual(['InvalidArgument', expect.stringMatching(words)]);
    }
    expect((await client.listConfigurations({})).configurations).toEqual([]);
  });

  test('unknown ids are NOT_FOUND, and named', async () => {
    const gateway = await startModels();
    const client = gateway.client(wire);
    const calls: readonly (() => Promise<unknown>)[] = [
      () => client.loadModel({ configId: 'a' }),
      () => client.getConfiguration({ configId: 'a' }),
      () => client.deleteConfiguration({ configId: 'a' }),
      () => client.watchLoad({ configId: 'a' })[Symbol.asyncIterator]().next(),
      () => client.unloadModel({ modelId: 'a' }),
      () => client.infer({ modelId: 'a', prompt: 'x' }),
    ];
    for (const call of calls) {
      const { code, rawMessage } = await refusalOf(call());
      expect([Code[code], rawMessage]).toEqual(['NotFound', expect.stringContaining('"a"')]);
    }
  });
});

describe('over Connect with JSON', () => {
  test('ConfigureModel is refused what REST is, in the same words', async () => {
    const gateway = await startModels();
    for (const [what, body, param, words] of BODIES) {
      // What is no object at all is the body there and the message here, and no body is no message.
      if (param === null || body === '') continue;
      const answer = await gateway.rest('POST', '/sluice.v1.ModelService/ConfigureModel', { body });
      const error = { code: 'invalid_argument', message: expect.stringMatching(words) };
      expect.soft([answer.status, answer.json], what).toMatchObject([400, error]);
      const overRest = await gateway.rest('POST', '/llm/configure_model', { body });
      expect.soft(errorIn(overRest).message, what).toBe(answer.json.message);
    }
  });
});

describe('secrets', () => {
  test('of model_kwargs neither come back over any protocol nor stand in the log', async () => {
    const own = await startModels();
    const modelKwargs = {
      hf_token: 'hf_SECRET1',
      hf_overrides: {
        auth: { access_token: 'SECRET3', api_key: 'sk-SECRET2' },
        url: 'https://user:SECRET4@host/x',
      },
      sim_fail_loading: true,
      sim_loading_ms: 10,
    };
    const configId = await own.configure('m', modelKwargs);
    const failed = await own.load(configId);
    expect(failed.status).toBe(503);
    const answers = [
      failed,
      await own.rest('GET', '/llm/configurations/'),
      await own.rest('GET', `/llm/configuration/${configId}`),
      await own.rest('GET', '/llm/model_statuses'),
    ].map(({ text }) => text);
    for (const wire of WIRES) {
      const { configurations } = await own.client(wire).listConfigurations({});
      const { configuration } = await own.client(wire).getConfiguration({ configId });
      expect(configurations).toEqual([configuration]);
      answers.push(JSON.stringify(configuration));
    }
    for (const answer of answers) expect(answer).not.toMatch(/SECRET[123]/);
    expect(answers[2]).toContain('"hf_token":"***"');
    expect(answers[2]).toContain('"https://***@host/x"');
    expect(JSON.stringify(own.lines)).not.toMatch(/SECRET[123]/);
  });
});
