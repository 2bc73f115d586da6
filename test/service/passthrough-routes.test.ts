import { toJson } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { PassthroughEndpointSchema } from '../../gen/sluice/v1/passthrough_pb.ts';
import { refusal, startRoutes } from './passthrough-routes-fixture.ts';

const ALL = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'];

const FILE = `general_settings:
  pass_through_endpoints:
    - path: /v1/rerank
      target: https://api.cohere.com/v1/rerank?api_key=0123456789abcdef
      methods: [POST]
      headers:
        Authorization: bearer co-0123456789abcdef
        accept: application/json
        litellm_user_api_key: X-My-Key
      cost_per_request: 0.5
    - { path: /adapted, target: callbacks.adapter_instance }
`;

describe('a created route', () => {
  test('has the defaults of the API: a key is asked for, subpaths go where the target has no path', async () => {
    const { client, routes } = await startRoutes();
    const { endpoints } = await client.createEndpoint({ path: '/bria/', target: 'https://BRIA.example' });
    const [endpoint] = endpoints;
    expect(endpoint && toJson(PassthroughEndpointSchema, endpoint, { useProtoFieldName: true })).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/),
      path: '/bria',
      target: 'https://bria.example',
      include_subpath: true,
      methods: ALL,
      auth: true,
      timeout: 600,
    });
    expect(routes.routes()).toEqual([
      {
        path: '/bria',
        target: { kind: 'url', url: 'https://bria.example' },
        includeSubpath: true,
        methods: ALL,
        headers: [],
        forwardHeaders: false,
        auth: true,
        keyHeader: null,
        defaultQueryParams: {},
        costPerRequest: null,
        timeouts: { connectTimeoutMs: 5_000, firstByteTimeoutMs: 600_000, idleTimeoutMs: 600_000 },
        guarded: true,
        line: null,
      },
    ]);
  });

  test('has every field that was given, and is listed like that', async () => {
    const { client, routes } = await startRoutes();
    const given = {
      path: '/a',
      target: 'http://127.0.0.1:8000/x?y=1',
      headers: {
        'x-one': '1',
        LANGFUSE_PUBLIC_KEY: 'pk-lf',
        LANGFUSE_SECRET_KEY: 'sk-lf',
        user_api_key: 'X-My-Key',
      },
      includeSubpath: true,
      methods: ['get', 'POST', 'GET'],
      forwardHeaders: true,
      auth: false,
      defaultQueryParams: { version: '2' },
      costPerRequest: 0.25,
      timeout: 1.5,
    };
    const created = await client.createEndpoint(given);
    const { id = '' } = created.endpoints[0] ?? {};
    expect(created.endpoints[0]).toMatchObject({
      ...given,
      headers: { ...given.headers, LANGFUSE_PUBLIC_KEY: '****', LANGFUSE_SECRET_KEY: '****' },
      methods: ['GET', 'POST'],
      isFromConfig: false,
    });
    expect(routes.routes()[0]).toMatchObject({
      headers: ['x-one', '1', 'Authorization', 'Basic cGstbGY6c2stbGY='],
      keyHeader: 'x-my-key',
      costPerRequest: 0.25,
      timeouts: { connectTimeoutMs: 5_000, firstByteTimeoutMs: 1_500, idleTimeoutMs: 600_000 },
      guarded: true,
    });
    expect((await client.listEndpoints({ endpointId: id })).endpoints).toEqual(created.endpoints);
    expect((await client.listEndpoints({})).endpoints).toEqual(created.endpoints);
  });

  test.each([
    ['http://127.0.0.1:8000'],
    ['http://localhost'],
    ['http://[::1]:8000'],
    ['http://10.0.0.1'],
    ['http://192.168.1.1'],
    ['http://gpu.internal:8000'],
  ])('may go to %s, where models are served', async (target) => {
    const { client } = await startRoutes();
    expect(await refusal(client.createEndpoint({ path: '/a', target }))).toBe('answered');
  });

  // A pattern that looked for the end of such a value took hours, and the process with it.
  test.each([
    [
      'a header',
      { headers: { a: `x${' '.repeat(2_000_000)}x` } },
      'headers.a: is longer than 8192 characters',
    ],
    ['a header’s name', { headers: { ['x'.repeat(8_193)]: 'x' } }, 'headers: has a name that is longer than'],
    [
      'a parameter',
      { defaultQueryParams: { a: 'x'.repeat(8_193) } },
      'default_query_params.a: is longer than 8192 characters',
    ],
  ])('is refused with %s that is too long for anything', async (_what, fields, told) => {
    const { client } = await startRoutes();
    const said = await refusal(client.createEndpoint({ path: '/a', target: 'https://h', ...fields }));
    expect(said).toContain(`InvalidArgument: ${told}`);
  });

  test('is gone when it is deleted, and another may have its path', async () => {
    const { client, routes } = await startRoutes();
    const given = { path: '/a', target: 'https://h' };
    const [created] = (await client.createEndpoint(given)).endpoints;
    const endpointId = created?.id ?? '';
    expect((await client.deleteEndpoint({ endpointId })).endpoints).toMatchObject([
      { id: endpointId, path: '/a' },
    ]);
    expect(routes.routes()).toEqual([]);
    const gone = `NotFound: No route has the id "${endpointId}".`;
    expect(await refusal(client.deleteEndpoint({ endpointId }))).toBe(gone);
    expect(await refusal(client.updateEndpoint({ endpointId, auth: false }))).toBe(gone);
    expect(await refusal(client.listEndpoints({ endpointId }))).toBe(gone);
    expect(await refusal(client.createEndpoint(given))).toBe('answered');
  });
});

describe('routes of the file', () => {
  test('are listed first, with an id that stays and without their credentials', async () => {
    const one = await startRoutes(FILE);
    await one.client.createEndpoint({ path: '/a', target: 'https://h' });
    const { endpoints } = await one.client.listEndpoints({});
    expect(endpoints.map(({ path }) => path)).toEqual(['/v1/rerank', '/adapted', '/a']);
    expect(endpoints[0]).toMatchObject({
      id: expect.stringMatching(/^file-[0-9a-f]{16}$/),
      target: 'https://api.cohere.com/v1/rerank?api_key=****cdef',
      headers: {
        Authorization: 'bearer ****cdef',
        accept: 'application/json',
        litellm_user_api_key: 'x-my-key',
      },
      methods: ['POST'],
      auth: true,
      costPerRequest: 0.5,
      isFromConfig: true,
    });
    expect(endpoints[1]).toMatchObject({ target: 'callbacks.adapter_instance', isFromConfig: true });
    const two = await startRoutes(FILE.replace('general_settings:', '\n\ngeneral_settings:'));
    expect((await two.client.listEndpoints({})).endpoints[0]?.id).toBe(endpoints[0]?.id);
  });

  test('can’t be changed or deleted here', async () => {
    const { client, routes } = await startRoutes(FILE);
    const before = routes.routes();
    const endpointId = routes.list()[0]?.id ?? '';
    const said =
      'FailedPrecondition: The route /v1/rerank stands in the configuration file: edit it there (config.yaml:3).';
    expect(await refusal(client.updateEndpoint({ endpointId, auth: false }))).toBe(said);
    expect(await refusal(client.deleteEndpoint({ endpointId }))).toBe(said);
    expect(routes.routes()).toEqual(before);
  });

  test('keep their paths for the methods that they take', async () => {
    const { client, routes } = await startRoutes(FILE);
    const said = (methods: string) =>
      `AlreadyExists: ${methods} on /v1/rerank is taken by the configuration file (config.yaml:3).`;
    const create = (path: string, methods: string[]) =>
      client.createEndpoint({ path, target: 'https://h', methods });
    expect(await refusal(create('/v1/rerank', []))).toBe(said('POST'));
    expect(await refusal(create('/v1/rerank/', ['get', 'post']))).toBe(said('POST'));
    expect(await refusal(create('/v1/rerank', ['GET']))).toBe('answered');
    const endpointId = routes.list()[2]?.id ?? '';
    expect(await refusal(client.updateEndpoint({ endpointId, methods: ['POST'] }))).toBe(said('POST'));
    expect((await client.listEndpoints({ endpointId })).endpoints[0]?.methods).toEqual(['GET']);
  });
});

describe('what can’t be a route', () => {
  const OK = { path: '/a', target: 'https://h' };
  const ENVIRONMENT =
    "os.environ/ works in the configuration file only: given through the API, it would read the gateway's own environment. Give the value itself";
  const METADATA =
    "target: is a link-local or metadata address, where this machine's credentials may be had; a route created through the API never goes there";

  test.each([
    [{ path: 'a' }, /^path: /],
    [{ path: '/a?b' }, 'path: must be a path alone, without a query or fragment, not "/a?b"'],
    [{ path: '/a/{b}' }, 'path: takes no patterns; include_subpath: true takes everything below a path'],
    [{ path: '/a b' }, 'path: has a character that must be percent-encoded'],
    [{ path: '//a' }, 'path: has an empty segment (two slashes in a row)'],
    [{ path: '/a/%2e%2E/b' }, 'path: has "." or ".." as a segment; no request ever matches it'],
    [{ path: '/key/generate' }, "path: is a path of Sluice's own control plane; take another"],
    [{ path: '/%63onfig/x' }, "path: is a path of Sluice's own control plane; take another"],
    [
      { path: '/sluice.v1.ModelService/Infer' },
      "path: is a path of Sluice's own control plane; take another",
    ],
    [{ target: '' }, /^target: /],
    [
      { target: 'api.cohere.com' },
      'target: not a URL: "api.cohere.com"; did you mean https://api.cohere.com?',
    ],
    [{ target: 'ftp://h' }, 'target: not a URL: "ftp://h"; it must begin with http:// or https://'],
    [{ target: 'https://u:p@h' }, 'target: has credentials in it; put them into headers, as Authorization'],
    [{ target: 'https://h#f' }, 'target: has a fragment (#…), which no server ever sees; remove it'],
    [
      { target: 'https://h/a/../b' },
      'target: has "." or ".." as a segment of its path; write the path without',
    ],
    [
      { target: 'callbacks.adapter_instance' },
      'target: must be an absolute http or https URL; only the configuration file can name an adapter',
    ],
    [{ target: 'http://169.254.169.254/latest' }, METADATA],
    [{ target: 'http://2852039166/' }, METADATA],
    [{ target: 'http://0xA9.0xFE.0xA9.0xFE' }, METADATA],
    [{ target: 'http://[::ffff:169.254.169.254]' }, METADATA],
    [{ target: 'http://[fe80::1]' }, METADATA],
    [{ target: 'http://[fd00:ec2::254]' }, METADATA],
    [{ target: 'http://100.100.100.200' }, METADATA],
    [{ target: 'https://Metadata.Google.Internal./computeMetadata' }, METADATA],
    [{ methods: ['PSOT'] }, 'methods[0]: is no method that can be relayed; did you mean POST?'],
    [
      { methods: ['GET', 'TRACE'] },
      'methods[1]: is no method that can be relayed; known are GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS',
    ],
    [{ headers: { 'a b': 'c' } }, 'headers["a b"]: "a b" can\'t be a header\'s name'],
    [{ headers: { '': 'c' } }, 'headers[""]: "" can\'t be a header\'s name'],
    [{ headers: { 'x-a': 'a', 'X-A': 'b' } }, 'headers.X-A: is the same header as "x-a" above'],
    [{ headers: { Host: 'h' } }, 'headers.Host: Host is set by Sluice for each request; remove it'],
    [
      { headers: { 'transfer-encoding': 'x' } },
      'headers.transfer-encoding: transfer-encoding is set by Sluice for each request; remove it',
    ],
    [
      { headers: { 'x-a': 'b\r\nc: d' } },
      'headers.x-a: has a line break, which no header can carry (a variable read from a file may end in one)',
    ],
    [{ headers: { 'x-a': '☃' } }, 'headers.x-a: has a character that no header can carry'],
    [{ headers: JSON.parse('{"__proto__":"x"}') }, "headers.__proto__: can't be a name here"],
    [
      { headers: { LANGFUSE_PUBLIC_KEY: 'a' } },
      'headers: has no LANGFUSE_SECRET_KEY: Langfuse wants both of its keys',
    ],
    [{ headers: { Authorization: 'Bearer os.environ/HOME' } }, `headers.Authorization: ${ENVIRONMENT}`],
    [{ target: 'https://h/os.environ/HOME' }, `target: ${ENVIRONMENT}`],
    [{ defaultQueryParams: { a: 'os.environ/' } }, `default_query_params.a: ${ENVIRONMENT}`],
    [
      { defaultQueryParams: JSON.parse('{"__proto__":"x"}') },
      "default_query_params.__proto__: can't be a name here",
    ],
    [
      { headers: { Authorization: 'Bearer ****cdef' } },
      'headers.Authorization: is redacted, and not what is stored under this name; give the whole value',
    ],
    [
      { defaultQueryParams: { key: '****' } },
      'default_query_params.key: is redacted, and not what is stored under this name; give the whole value',
    ],
    [
      { target: 'https://h?key=****cdef' },
      'target: is redacted, and not what is stored under this name; give the whole value',
    ],
    [{ timeout: 0 }, /^timeout: /],
    [{ timeout: 86_401 }, /^timeout: /],
    [{ costPerRequest: -1 }, /^cost_per_request: /],
    [{ costPerRequest: Number.POSITIVE_INFINITY }, /^cost_per_request: /],
  ])('%j', async (wrong, problem) => {
    const { client, routes, store } = await startRoutes();
    const said = await refusal(client.createEndpoint({ ...OK, ...wrong }));
    if (typeof problem === 'string') expect(said).toBe(`InvalidArgument: ${problem}`);
    else expect(said.replace('InvalidArgument: ', '')).toMatch(problem);
    expect(await store.routes()).toEqual([]);
    expect(routes.routes()).toEqual([]);
    // An update is judged alike.
    const [created] = (await client.createEndpoint(OK)).endpoints;
    const updated = await refusal(client.updateEndpoint({ endpointId: created?.id ?? '', ...wrong }));
    expect(updated).toBe(said);
    expect((await client.listEndpoints({})).endpoints).toEqual([created]);
  });

  test('no path, or one that is too long', async () => {
    const { client } = await startRoutes();
    expect(await refusal(client.createEndpoint({ target: 'https://h' }))).toMatch(/^InvalidArgument: path: /);
    const path = `/${'a'.repeat(1_024)}`;
    expect(await refusal(client.createEndpoint({ ...OK, path }))).toMatch(/^InvalidArgument: path: /);
  });

  test('several faults are told at once', async () => {
    const { client } = await startRoutes();
    const wrong = { path: '/ui', target: 'h', methods: ['X'], headers: { Host: 'h' } };
    expect(await refusal(client.createEndpoint(wrong))).toBe(
      [
        "InvalidArgument: path: is a path of Sluice's own control plane; take another",
        'target: not a URL: "h"; did you mean http://h?',
        'headers.Host: Host is set by Sluice for each request; remove it',
        'methods[0]: is no method that can be relayed; known are GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS',
      ].join('\n'),
    );
  });

  test('a path that another created route has for the same method', async () => {
    const { client } = await startRoutes();
    const create = (path: string, methods: string[]) =>
      client.createEndpoint({ path, target: 'https://h', methods });
    const [first] = (await create('/a', ['GET', 'POST'])).endpoints;
    const [second] = (await create('/a', ['PUT'])).endpoints;
    const said = `AlreadyExists: The route ${first?.id} takes POST on /a already.`;
    expect(await refusal(create('/a/', ['post']))).toBe(said);
    expect(await refusal(client.updateEndpoint({ endpointId: second?.id ?? '', methods: ['POST'] }))).toBe(
      said,
    );
  });
});
