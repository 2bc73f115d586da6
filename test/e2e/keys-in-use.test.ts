import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Code, createClient, type Interceptor } from '@connectrpc/connect';
import { describe, expect, onTestFinished, test } from 'vitest';
import { KeyService } from '../../gen/sluice/v1/key_service_pb.ts';
import { ask, errorOf, PROTOCOLS } from '../helpers/ask.ts';
import { startTestGateway } from '../helpers/gateway.ts';
import { temporaryFolder } from '../helpers/program.ts';
import { refusalOf, transportTo, WIRES } from '../server/rpc-fixture.ts';
import { startVllmSim } from '../vllm-sim/index.ts';
import { controlPlaneAt } from './models-fixture.ts';

const MASTER = 'sk-1234';
const run = promisify(execFile);

async function simulator() {
  const sim = await startVllmSim({ chunkIntervalMs: 1 });
  onTestFinished(() => sim.close());
  return sim;
}

/** A gateway before a vLLM server, started by the three variables of document 002. */
async function start(masterKey = MASTER) {
  const sim = await simulator();
  const gateway = await startTestGateway('general_settings: {}\n', {
    env: {
      DATABASE_URL: '',
      DHEERA_AI_MASTER_KEY: masterKey,
      HOSTED_VLLM_API_BASE: sim.url,
      SLUICE_DATA_DIR: temporaryFolder(),
    },
  });
  const { rest } = controlPlaneAt(gateway.url, MASTER);
  const generate = async (body: unknown = {}) => {
    const { json } = await rest('POST', '/key/generate', { body });
    return json as { readonly key: string; readonly token: string };
  };
  const statusWith = async (key: string): Promise<number> => {
    const headers = ['Authorization', `Bearer ${key}`];
    return (await ask('HTTP/1.1', gateway.port, { path: '/vllm/metrics', headers })).status;
  };
  return { ...gateway, sim, rest, generate, statusWith };
}

describe('document 002: Advanced - Use with Virtual Keys', () => {
  // As printed, but for the port and the key that was generated.
  const GENERATE = `curl -X POST 'http://0.0.0.0:4000/key/generate' \\
-H 'Authorization: Bearer sk-1234' \\
-H 'Content-Type: application/json' \\
-d '{}'
`;
  const CHAT = `curl -L -X POST 'http://0.0.0.0:4000/vllm/chat/completions' \\
-H 'Content-Type: application/json' \\
-H 'Authorization: Bearer sk-1234ewknldferwedojwojw' \\
  --data '{
    "messages": [
        {
            "role": "user",
            "content": "I am going to Paris, what should I see?"
        }
    ],
    "max_tokens": 2048,
    "temperature": 0.8,
    "top_p": 0.1,
    "model": "qwen2.5-7b-instruct",
}'
`;

  test.each(['', 'sk-1234'])('all its steps, with DHEERA_AI_MASTER_KEY="%s"', async (masterKey) => {
    const { port, sim } = await start(masterKey);
    const printed = async (command: string) => {
      const { stdout } = await run('sh', ['-c', command.replace(':4000', `:${port}`)]);
      return JSON.parse(stdout);
    };
    const { key } = await printed(GENERATE);
    const answer = await printed(CHAT.replace('sk-1234ewknldferwedojwojw', key));
    expect(answer.object).toBe('chat.completion');
    expect(sim.requests[0]?.url).toBe('/chat/completions');
    expect(sim.requests[0]?.rawHeaders.join('\n')).not.toContain(key);
    if (masterKey === '') return;
    const refused = await printed(CHAT);
    expect(refused.error).toMatchObject({ type: 'authentication_error', code: 'unknown_key' });
    expect(sim.requests).toHaveLength(1);
  });
});

describe('a virtual key', () => {
  test('works from its generation to its deletion, each change at once', async () => {
    const { generate, rest, statusWith } = await start();
    expect(await statusWith('sk-not-generated-yet')).toBe(401);
    const { key, token } = await generate({ key: 'sk-not-generated-yet' });
    expect(await statusWith(key)).toBe(200);
    await rest('POST', '/key/block', { body: { key: token } });
    expect(await statusWith(key)).toBe(401);
    await rest('POST', '/key/unblock', { body: { key: token } });
    expect(await statusWith(key)).toBe(200);
    await rest('POST', '/key/update', { body: { key, allowed_routes: ['/v1'] } });
    expect(await statusWith(key)).toBe(403);
    await rest('POST', '/key/update', { body: { key, update_mask: 'allowed_routes' } });
    expect(await statusWith(key)).toBe(200);
    const graceful = await rest('POST', `/key/${key}/regenerate`, { body: { grace_period: '1h' } });
    const second = String(graceful.json.key);
    expect([await statusWith(key), await statusWith(second)]).toEqual([200, 200]);
    const { json } = await rest('POST', `/key/${second}/regenerate`, { body: {} });
    const third = String(json.key);
    expect([await statusWith(key), await statusWith(second), await statusWith(third)]).toEqual([
      401, 401, 200,
    ]);
    await rest('POST', '/key/delete', { body: { keys: [third] } });
    expect(await statusWith(third)).toBe(401);
  });

  test('reads itself over REST, and manages nothing', async () => {
    const { port, generate } = await start();
    const { key, token } = await generate({ key_alias: 'own' });
    const other = await generate();
    for (const protocol of PROTOCOLS) {
      const asked = (method: string, path: string) =>
        ask(protocol, port, { method, path, headers: ['Authorization', `Bearer ${key}`] });
      for (const path of ['/key/info', `/key/info?key=${token}`, `/key/info?key=${key}`]) {
        const { status, body } = await asked('GET', path);
        expect([status, JSON.parse(body.toString()).info.key_alias]).toEqual([200, 'own']);
      }
      for (const request of [
        `GET /key/info?key=${other.token}`,
        `GET /key/info?key=${other.key}`,
        'GET /key/info?key=sk-nobody-has-this',
        'POST /key/generate',
        'GET /key/list',
        'POST /key/update',
        'POST /key/delete',
        'POST /key/block',
        'POST /key/unblock',
        `POST /key/${token}/regenerate`,
        'GET /llm/configurations/',
        'GET /config/pass_through_endpoint',
      ]) {
        const [method = '', path = ''] = request.split(' ');
        const answer = await asked(method, path);
        expect
          .soft([answer.status, errorOf(answer)], request)
          .toMatchObject([403, { type: 'permission_error', code: 'master_key_required' }]);
      }
    }
  });

  test.each(WIRES)('reads itself over $protocol on HTTP/$httpVersion, and manages nothing', async (wire) => {
    const { url, generate } = await start();
    const { key } = await generate({ key_alias: 'own' });
    const other = await generate();
    const withKey: Interceptor = (next) => (request) => {
      request.header.set('authorization', `Bearer ${key}`);
      return next(request);
    };
    const client = createClient(KeyService, transportTo(url, wire, { interceptors: [withKey] }));
    expect((await client.getKeyInfo({})).info?.keyAlias).toBe('own');
    for (const call of [
      () => client.getKeyInfo({ key: other.token }),
      () => client.generateKey({}),
      () => client.listKeys({}),
      () => client.updateKey({ key, rpmLimit: 1_000 }),
      () => client.deleteKeys({ keys: [key] }),
      () => client.blockKey({ key }),
      () => client.unblockKey({ key }),
      () => client.regenerateKey({ key }),
    ]) {
      expect.soft((await refusalOf(call())).code).toBe(Code.PermissionDenied);
    }
    expect((await client.getKeyInfo({})).info?.rpmLimit).toBeUndefined();
  });
});
