import { describe, expect, test } from 'vitest';
import { ask, errorOf, PROTOCOLS } from '../helpers/ask.ts';
import { startTestGateway } from '../helpers/gateway.ts';
import { startUpstream } from '../helpers/scripted-upstream.ts';

const TWO = `
model_list:
  - {model_name: b, litellm_params: {model: hosted_vllm/x, api_base: "http://127.0.0.1:1"}}
  - {model_name: org/a, litellm_params: {model: hosted_vllm/y, api_base: "http://127.0.0.1:1"}}
  - {model_name: b, litellm_params: {model: hosted_vllm/z, api_base: "http://127.0.0.1:1"}}
`;
const KEYED = `${TWO}general_settings: {master_key: sk-master}\n`;

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test.each([
    ['/v1/models', 'GET', 401, 'missing_key'],
    ['/health', 'POST', 405, 'method_not_allowed'],
  ])('a refusal at %s is in the log under the id that the client got', async (path, method, status, why) => {
    const { port, line } = await startTestGateway(KEYED);
    const answer = await ask(protocol, port, { method, path });
    const id = answer.header('x-sluice-request-id');
    expect(answer.status).toBe(status);
    expect(await line(({ request }) => request === id)).toMatchObject({
      path,
      status,
      why,
      outcome: 'refused',
    });
  });

  test.each(['/v1/models', '/v1/models/', '/models', '/v1/models?x=1'])(
    '%s lists each name once',
    async (path) => {
      const { port } = await startTestGateway(TWO);
      const answer = await ask(protocol, port, { path });
      const { object, data } = JSON.parse(answer.body.toString());
      expect([answer.status, answer.header('content-type'), object]).toEqual([
        200,
        'application/json',
        'list',
      ]);
      expect(data.map(({ id }: { id: string }) => id)).toEqual(['b', 'org/a']);
      expect(data[0]).toEqual({ id: 'b', object: 'model', created: expect.any(Number), owned_by: 'sluice' });
      expect(answer.header('x-sluice-request-id')).not.toBeNull();
    },
  );

  test.each(['/v1/models/org/a', '/v1/models/org%2Fa'])('%s tells of one', async (path) => {
    const { port } = await startTestGateway(TWO);
    const answer = await ask(protocol, port, { path });
    expect(JSON.parse(answer.body.toString())).toMatchObject({ id: 'org/a', object: 'model' });
  });

  test('HEAD has the headers of GET and no body', async () => {
    const { port } = await startTestGateway(TWO);
    const get = await ask(protocol, port, { path: '/v1/models' });
    const head = await ask(protocol, port, { method: 'HEAD', path: '/v1/models' });
    expect([head.status, head.body.length]).toEqual([200, 0]);
    expect(head.header('content-length')).toBe(get.header('content-length'));
  });

  test('the list needs a key, health does not', async () => {
    const { port } = await startTestGateway(KEYED);
    const refused = await ask(protocol, port, { path: '/v1/models' });
    expect([refused.status, errorOf(refused).code, refused.header('www-authenticate')]).toEqual([
      401,
      'missing_key',
      'Bearer',
    ]);
    expect(refused.header('x-sluice-request-id')).not.toBeNull();
    const headers = ['Authorization', 'Bearer sk-master'];
    expect((await ask(protocol, port, { path: '/v1/models', headers })).status).toBe(200);
    expect((await ask(protocol, port, { path: '/health' })).status).toBe(200);
  });

  test("without configured models the list is the upstream's own", async () => {
    const upstream = await startUpstream('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\ntheirs');
    const { port } = await startTestGateway('general_settings: {}', {
      env: { HOSTED_VLLM_API_BASE: upstream.url },
    });
    const answer = await ask(protocol, port, { path: '/v1/models' });
    expect(answer.body.toString()).toBe('theirs');
    expect(upstream.exchanges[0]?.target).toBe('/v1/models');
  });

  test("an operator's route at /v1/models wins", async () => {
    const upstream = await startUpstream('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\ntheirs');
    const route = `general_settings: {pass_through_endpoints: [{path: /v1/models, target: "${upstream.url}/m"}]}`;
    const { port } = await startTestGateway(`${TWO}${route}`);
    expect((await ask(protocol, port, { path: '/v1/models' })).body.toString()).toBe('theirs');
  });

  test('tells what it is, and whether it serves', async () => {
    const { port } = await startTestGateway(TWO);
    const ready = await ask(protocol, port, { path: '/health/readiness?x' });
    expect(JSON.parse(ready.body.toString())).toEqual({ status: 'ready', version: '0.0.0-test' });
    const alive = await ask(protocol, port, { path: '/health/liveliness' });
    expect(JSON.parse(alive.body.toString())).toBe("I'm alive!");
  });

  test('a health check with a body is answered without reading it all', async () => {
    const { port } = await startTestGateway(TWO);
    const answer = await ask(protocol, port, { path: '/health', body: 'x'.repeat(100_000) });
    expect([answer.status, answer.whole]).toEqual([200, true]);
  });
});
