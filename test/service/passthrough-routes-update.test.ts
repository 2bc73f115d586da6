import type { MessageInitShape } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import type { UpdateEndpointRequestSchema } from '../../gen/sluice/v1/passthrough_service_pb.ts';
import { refusal, startRoutes } from './passthrough-routes-fixture.ts';

type Change = MessageInitShape<typeof UpdateEndpointRequestSchema>;

const SECRET = 'Bearer sk-0123456789abcdef';

const GIVEN = {
  path: '/a',
  target: 'https://h/x?token=0123456789abcdef&v=1',
  headers: { Authorization: SECRET, 'x-plain': 'plain' },
  includeSubpath: true,
  methods: ['GET'],
  forwardHeaders: true,
  auth: false,
  defaultQueryParams: { key: 'k-0123456789abcdef', v: '2' },
  costPerRequest: 0.5,
  timeout: 5,
};

async function startWithRoute() {
  const fixture = await startRoutes();
  const [created] = (await fixture.client.createEndpoint(GIVEN)).endpoints;
  const endpointId = created?.id ?? '';
  return {
    ...fixture,
    created,
    update: async (change: Change) =>
      (await fixture.client.updateEndpoint({ endpointId, ...change })).endpoints[0],
    stored: async () => (await fixture.store.routes())[0],
  };
}

describe('an update', () => {
  test.each<[string, Change]>([
    ['path', { path: '/b' }],
    ['target', { target: 'https://h/other' }],
    ['headers', { headers: { 'x-new': 'y' } }],
    ['includeSubpath', { includeSubpath: false }],
    ['methods', { methods: ['PUT'] }],
    ['forwardHeaders', { forwardHeaders: false }],
    ['auth', { auth: true }],
    ['defaultQueryParams', { defaultQueryParams: { a: 'b' } }],
    ['costPerRequest', { costPerRequest: 0 }],
    ['timeout', { timeout: 0.5 }],
  ])('of %s changes it alone, at once', async (_field, change) => {
    const { created, update, client, routes } = await startWithRoute();
    const before = routes.routes();
    const updated = await update(change);
    expect(updated).toEqual({ ...created, ...change });
    expect((await client.listEndpoints({})).endpoints).toEqual([updated]);
    expect(routes.routes()).not.toBe(before);
    expect(routes.routes()).toHaveLength(1);
  });

  test('of nothing changes nothing', async () => {
    const { created, update, routes } = await startWithRoute();
    const before = routes.routes();
    expect(await update({})).toEqual(created);
    expect(routes.routes()).toBe(before);
  });

  test('with a mask empties what it names, and leaves the rest although it is given', async () => {
    const { created, update, stored } = await startWithRoute();
    const paths = ['headers', 'methods', 'default_query_params', 'cost_per_request', 'timeout'];
    const updated = await update({ updateMask: { paths }, path: '/ignored', auth: true });
    const { costPerRequest, ...rest } = created ?? {};
    expect(costPerRequest).toBe(0.5);
    expect(updated).toEqual({
      ...rest,
      headers: {},
      methods: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'],
      defaultQueryParams: {},
      timeout: 600,
    });
    expect(await stored()).toMatchObject({ methods: [], costPerRequest: null, timeoutMs: null });
  });

  test('with a mask restores defaults: auth on, headers not forwarded, subpaths by the target', async () => {
    const { update, stored } = await startWithRoute();
    const paths = ['auth', 'forward_headers', 'include_subpath', 'auth'];
    expect(await update({ updateMask: { paths } })).toMatchObject({
      auth: true,
      forwardHeaders: false,
      includeSubpath: false,
    });
    expect(await stored()).toMatchObject({ includeSubpath: null });
  });

  test('with the mask * replaces all of it', async () => {
    const { update } = await startWithRoute();
    const paths = ['*'];
    expect(await update({ updateMask: { paths }, path: '/b', target: 'https://h' })).toMatchObject({
      path: '/b',
      target: 'https://h',
      headers: {},
      includeSubpath: true,
      auth: true,
      timeout: 600,
    });
  });

  test.each([
    [['header'], 'update_mask: "header" is no field that can be changed; did you mean headers?'],
    [
      ['includeSubpath'],
      'update_mask: "includeSubpath" is no field that can be changed; did you mean include_subpath?',
    ],
    [
      ['auth', 'endpoint_id'],
      'update_mask: "endpoint_id" is no field that can be changed; known are path, target, headers, include_subpath, methods, forward_headers, auth, default_query_params, cost_per_request, timeout',
    ],
    [
      ['headers.Authorization'],
      'update_mask: "headers.Authorization" is no field that can be changed; known are path, target, headers, include_subpath, methods, forward_headers, auth, default_query_params, cost_per_request, timeout',
    ],
    [['path'], "update_mask: names path, but no path is given, and a route can't be without one"],
    [['target'], "update_mask: names target, but no target is given, and a route can't be without one"],
  ])('with the mask %j is refused', async (paths, problem) => {
    const { update, created, client } = await startWithRoute();
    expect(await refusal(update({ updateMask: { paths } }))).toBe(`InvalidArgument: ${problem}`);
    expect((await client.listEndpoints({})).endpoints).toEqual([created]);
  });

  test('needs an id', async () => {
    const { client } = await startRoutes();
    expect(await refusal(client.updateEndpoint({ auth: true }))).toMatch(/^InvalidArgument: endpoint_id: /);
    expect(await refusal(client.deleteEndpoint({}))).toMatch(/^InvalidArgument: endpoint_id: /);
  });
});

describe('credentials', () => {
  test('are redacted wherever a route is answered', async () => {
    const { created, client, update } = await startWithRoute();
    const redacted = {
      target: 'https://h/x?token=****cdef&v=1',
      headers: { Authorization: 'Bearer ****cdef', 'x-plain': 'plain' },
      defaultQueryParams: { key: '****cdef', v: '2' },
    };
    expect(created).toMatchObject(redacted);
    expect(await update({ auth: true })).toMatchObject(redacted);
    expect((await client.listEndpoints({})).endpoints).toMatchObject([redacted]);
    expect((await client.deleteEndpoint({ endpointId: created?.id ?? '' })).endpoints).toMatchObject([
      redacted,
    ]);
  });

  test.each([
    ['Authorization', 'Basic dXNlcjpwYXNzd29yZA==', 'Basic ****'],
    ['authorization', 'sk-0123456789abcdef', '****cdef'],
    ['Authorization', 'bearer short', 'bearer ****'],
    ['Cookie', 'session=0123456789abcdef', '****'],
    ['x-api-key', '0123456789abcdef', '****cdef'],
    ['api_token', '0123456789abcde', '****'],
    ['Client-Secret', 'a', '****'],
    ['X-Password', '0123456789abcdefghij', '****'],
    ['x-upstream', 'Bearer 0123456789abcdef', 'Bearer ****cdef'],
    ['x-upstream', 'sk-0123456789abcdef', '****cdef'],
    ['x-api-key', '', ''],
    ['accept', 'application/json', 'application/json'],
    ['anthropic-version', '2023-06-01', '2023-06-01'],
    ['litellm_user_api_key', 'X-My-Own-Header', 'X-My-Own-Header'],
  ])('%s: %s is read as %s, and sent back like that it stays', async (name, value, shown) => {
    const { client, store } = await startRoutes();
    const [created] = (
      await client.createEndpoint({ path: '/a', target: 'https://h', headers: { [name]: value } })
    ).endpoints;
    expect(created?.headers).toEqual({ [name]: shown });
    await client.updateEndpoint({ endpointId: created?.id ?? '', headers: { [name]: shown, 'x-more': '1' } });
    expect((await store.routes())[0]?.headers).toEqual({ [name]: value, 'x-more': '1' });
  });

  test('stay when all of the route is sent back as it was read', async () => {
    const { created, update, stored } = await startWithRoute();
    const before = await stored();
    const {
      id: _id,
      isFromConfig: _isFromConfig,
      $typeName: _type,
      $unknown: _unknown,
      ...all
    } = created ?? {};
    expect(await update({ ...all, auth: true })).toEqual({ ...created, auth: true });
    expect(await stored()).toEqual({ ...before, auth: true });
  });

  test('stay under another case of their header’s name', async () => {
    const { update, stored } = await startWithRoute();
    await update({ headers: { authorization: 'Bearer ****cdef' } });
    expect((await stored())?.headers).toEqual({ authorization: SECRET });
  });

  test('don’t become asterisks when they are sent back under another name', async () => {
    const { update, stored } = await startWithRoute();
    expect(await refusal(update({ headers: { 'x-api-key': 'Bearer ****cdef' } }))).toBe(
      'InvalidArgument: headers.x-api-key: is redacted, and not what is stored under this name; give the whole value',
    );
    expect(await refusal(update({ target: 'https://other?token=****cdef' }))).toBe(
      'InvalidArgument: target: is redacted, and not what is stored under this name; give the whole value',
    );
    expect((await stored())?.headers).toEqual(GIVEN.headers);
  });

  test.each([
    ['alone', {}],
    [
      'with them as they were read',
      { headers: { authorization: 'Bearer ****cdef' }, defaultQueryParams: { key: '****cdef' } },
    ],
  ])('don’t go to another host by a new target %s', async (_, fields) => {
    const { update, stored } = await startWithRoute();
    const before = await stored();
    expect(await refusal(update({ ...fields, target: 'https://elsewhere/x' }))).toMatch(
      /^InvalidArgument: target: is on another host, and would be sent the stored [Aa]uthorization, key: give them again in clear/,
    );
    expect(await stored()).toEqual(before);
  });

  test('go to another host when they are said again, and to another path of the same host', async () => {
    const { update, stored } = await startWithRoute();
    await update({ target: 'https://h/y' });
    expect((await stored())?.headers).toEqual(GIVEN.headers);
    const headers = { authorization: SECRET };
    await update({ target: 'https://elsewhere/x', headers, defaultQueryParams: { v: '2' } });
    expect(await stored()).toMatchObject({ target: 'https://elsewhere/x', headers });
  });
});
