import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Code, createClient } from '@connectrpc/connect';
import { describe, expect, test } from 'vitest';
import { KeyService } from '../../gen/sluice/v1/key_service_pb.ts';
import { hashKey } from '../../src/access/mint.ts';
import { ask, errorOf, PROTOCOLS } from '../helpers/ask.ts';
import { startTestGateway, type TestGateway } from '../helpers/gateway.ts';
import { temporaryFolder } from '../helpers/program.ts';
import { refusalOf, transportTo, WIRES } from '../server/rpc-fixture.ts';
import { type ControlPlane, controlPlaneAt, errorIn } from './models-fixture.ts';

const MASTER = 'sk-1234';
const SECRET_SHAPE = /^sk-[\w-]{22}$/;

type Keys = TestGateway & Pick<ControlPlane, 'rest'>;

async function startKeys(env: Readonly<Record<string, string>> = {}): Promise<Keys> {
  const gateway = await startTestGateway(`general_settings: { master_key: ${MASTER} }\n`, {
    level: 'debug',
    env,
  });
  const { rest } = controlPlaneAt(gateway.url, MASTER);
  return { ...gateway, rest };
}

/** Makes a key over REST. */
async function generate({ rest }: Pick<Keys, 'rest'>, body: unknown = {}) {
  const { status, json, text } = await rest('POST', '/key/generate', { body });
  if (status !== 200) throw new Error(text);
  return json as Readonly<Record<string, unknown>> & { readonly key: string; readonly token: string };
}

const run = promisify(execFile);

describe('document 002: Advanced - Use with Virtual Keys', () => {
  // As printed, but for the port.
  const GENERATE = `curl -X POST 'http://0.0.0.0:4000/key/generate' \\
-H 'Authorization: Bearer sk-1234' \\
-H 'Content-Type: application/json' \\
-d '{}'
`;

  test.each(['', 'sk-1234'])('generates a key with DHEERA_AI_MASTER_KEY="%s"', async (masterKey) => {
    const { port, rest } = await (async () => {
      const gateway = await startTestGateway('general_settings: {}\n', {
        env: { DATABASE_URL: '', DHEERA_AI_MASTER_KEY: masterKey, SLUICE_DATA_DIR: temporaryFolder() },
      });
      return { ...gateway, rest: controlPlaneAt(gateway.url, MASTER).rest };
    })();
    const { stdout } = await run('sh', ['-c', GENERATE.replace(':4000', `:${port}`)]);
    const { key, token } = JSON.parse(stdout);
    expect(key).toMatch(SECRET_SHAPE);
    expect((await rest('GET', `/key/info?key=${key}`)).json).toMatchObject({ key: token, info: { token } });
  });
});

describe('keys over REST', () => {
  test('live from their generation to their deletion', async () => {
    const { rest } = await startKeys();
    const request = {
      key_alias: 'alice',
      duration: '30s',
      models: ['qwen', 'openai/*'],
      allowed_routes: ['/vllm'],
      rpm_limit: 10,
      tpm_limit: 1000,
      max_parallel_requests: 2,
      max_budget: 0.5,
      budget_duration: '7d',
      user_id: 'u',
      team_id: 't',
      metadata: { purpose: 'tests' },
      tags: ['x'],
      blocked: false,
    };
    const generated = await generate({ rest }, request);
    const moment = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z$/);
    const { key, duration, ...info } = generated;
    expect(generated).toEqual({
      ...request,
      key: expect.stringMatching(SECRET_SHAPE),
      token: hashKey(key),
      key_name: `sk-...${key.slice(-4)}`,
      spend: 0,
      expires: moment,
      budget_reset_at: moment,
      created_at: moment,
      updated_at: moment,
    });
    expect(duration).toBe('30s');
    const { token } = info;
    const lifetime = Date.parse(String(info.expires)) - Date.parse(String(info.created_at));
    expect(lifetime).toBe(30_000);

    expect((await rest('GET', `/key/info?key=${key}`)).json).toEqual({ key: token, info });
    expect((await rest('GET', `/key/info?key=${token}`)).json).toEqual({ key: token, info });
    for (const filter of ['', '?user_id=u', '?team_id=t&page=1&size=100', '?key_alias=alice']) {
      expect((await rest('GET', `/key/list${filter}`)).json).toEqual({
        keys: [info],
        total_count: 1,
        current_page: 1,
        total_pages: 1,
      });
    }
    expect((await rest('GET', '/key/list?user_id=v')).json).toEqual({
      keys: [],
      total_count: 0,
      current_page: 1,
      total_pages: 0,
    });

    // `null` is proto3's "not given": it changes nothing, the mask does.
    const kept = await rest('POST', '/key/update', { body: { key, rpm_limit: null, tpm_limit: 5 } });
    expect(kept.json).toEqual({ ...info, tpm_limit: 5, updated_at: moment });
    const mask = { update_mask: 'rpm_limit,maxBudget,duration' };
    const removed = await rest('POST', '/key/update', { body: { key_alias: 'alice', ...mask } });
    const { rpm_limit, max_budget, expires, ...rest_ } = info as Record<string, unknown>;
    expect(removed.json).toEqual({ ...rest_, tpm_limit: 5, updated_at: moment });

    expect((await rest('POST', '/key/block', { body: { key } })).json).toMatchObject({
      token,
      blocked: true,
    });
    expect((await rest('POST', '/key/unblock', { body: { key: token } })).json.blocked).toBe(false);

    const path = `/key/${key}/regenerate`;
    const regenerated = (await rest('POST', path, { body: { grace_period: '1h' } })).json;
    expect(regenerated).toEqual({
      key: expect.stringMatching(SECRET_SHAPE),
      info: expect.objectContaining({ key_alias: 'alice', tpm_limit: 5 }),
    });
    const newToken = hashKey(String(regenerated.key));
    expect((await rest('GET', `/key/info?key=${key}`)).json.key).toBe(newToken);
    // Without a body, too.
    const again = await rest('POST', `/key/${newToken}/regenerate`);
    expect([again.status, again.json.key]).toEqual([200, expect.stringMatching(SECRET_SHAPE)]);
    expect((await rest('GET', `/key/info?key=${key}`)).status).toBe(404);

    const secret = String(again.json.key);
    expect((await rest('POST', '/key/delete', { body: { keys: [secret] } })).json).toEqual({
      deleted_keys: [secret],
    });
    expect((await rest('GET', `/key/info?key=${secret}`)).status).toBe(404);
  });

  test('keep metadata as it was sent, whatever its names', async () => {
    const { rest } = await startKeys();
    const metadata =
      '{"__proto__":{"polluted":true},"constructor":{"prototype":1},"":[],"a b":{"$ref":"x"},"ünï":"\\ud83d\\udd11"}';
    const { token } = await generate({ rest }, `{"metadata":${metadata}}`);
    const { text } = await rest('GET', `/key/info?key=${token}`);
    const read = JSON.parse(text.slice(text.indexOf('"metadata":') + 11, text.indexOf(',"tags"')));
    const entries = (value: object) => Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    expect(entries(read)).toEqual(entries(JSON.parse(metadata)));
    expect({}).not.toHaveProperty('polluted');
  });

  const missing = 'sk-nobody-has-this-9999';
  test.each([
    ['/key/generate', { duration: '1 hour' }, 400, 'invalid_request', 'duration'],
    ['/key/generate', { budget_duration: '1.5d' }, 400, 'invalid_request', 'budget_duration'],
    ['/key/generate', { rpm_limit: -1 }, 400, 'invalid_request', 'rpm_limit'],
    ['/key/generate', { tpm_limit: -1 }, 400, 'invalid_request', 'tpm_limit'],
    ['/key/generate', { max_parallel_requests: -1 }, 400, 'invalid_request', 'max_parallel_requests'],
    ['/key/generate', { max_budget: -0.1 }, 400, 'invalid_request', 'max_budget'],
    ['/key/generate', { rpm_limit: 1.5 }, 400, 'invalid_request', 'rpm_limit'],
    ['/key/generate', { rpm_limit: 2 ** 31 }, 400, 'invalid_request', 'rpm_limit'],
    ['/key/generate', { max_budget: 'much' }, 400, 'invalid_request', 'max_budget'],
    ['/key/generate', { rpm_limits: 1 }, 400, 'invalid_request', 'rpm_limits'],
    ['/key/generate', { key: 'pk-12345678' }, 400, 'invalid_request', 'key'],
    ['/key/generate', { key: 'sk-1234567' }, 400, 'invalid_request', 'key'],
    ['/key/generate', { metadata: [] }, 400, 'invalid_request', 'metadata'],
    ['/key/generate', { models: ['a', ''] }, 400, 'invalid_request', 'models[1]'],
    ['/key/generate', { allowed_routes: ['vllm'] }, 400, 'invalid_request', 'allowed_routes[0]'],
    ['/key/generate', '{"key_alias":"a","key_alias":"b"}', 400, 'invalid_request', 'key_alias'],
    ['/key/generate', { key_alias: 'taken' }, 409, 'already_exists', 'key_alias'],
    ['/key/generate', { key: 'sk-taken-already' }, 409, 'already_exists', 'key'],
    ['/key/update', { key: 'sk-taken-already', key_alias: 'taken' }, 409, 'already_exists', 'key_alias'],
    ['/key/update', { rpm_limit: 1 }, 400, 'invalid_request', 'key'],
    ['/key/update', { key: missing }, 404, 'key_not_found', 'key'],
    ['/key/update', { key_alias: 'nobody' }, 404, 'key_not_found', 'key_alias'],
    ['/key/update', { key_alias: 'taken', spend: -1 }, 400, 'invalid_request', 'spend'],
    ['/key/update', { key_alias: 'taken', update_mask: 'key' }, 400, 'invalid_request', 'update_mask'],
    ['/key/update', { key_alias: 'taken', token: 'x' }, 400, 'invalid_request', 'token'],
    ['/key/delete', {}, 400, 'invalid_request', 'keys'],
    ['/key/delete', { keys: ['sk-taken-already', missing] }, 404, 'key_not_found', 'keys[1]'],
    ['/key/delete', { key_aliases: ['taken', 'nobody'] }, 404, 'key_not_found', 'key_aliases[1]'],
    ['/key/delete', { keys: 'sk-taken-already' }, 400, 'invalid_request', 'keys'],
    ['/key/block', {}, 400, 'invalid_request', 'key'],
    ['/key/block', { key: missing }, 404, 'key_not_found', 'key'],
    ['/key/unblock', { key: missing }, 404, 'key_not_found', 'key'],
    [`/key/${missing}/regenerate`, {}, 404, 'key_not_found', 'key'],
    ['/key/nonsense/regenerate', {}, 400, 'invalid_request', 'key'],
    ['/key/sk-taken-already/regenerate', { grace_period: '1' }, 400, 'invalid_request', 'grace_period'],
    ['/key/sk-taken-already/regenerate', { key: 'sk-other-key' }, 400, 'invalid_request', 'key'],
    ['GET /key/info', null, 400, 'invalid_request', 'key'],
    [`GET /key/info?key=${missing}`, null, 404, 'key_not_found', 'key'],
    ['GET /key/info?key=nonsense', null, 400, 'invalid_request', 'key'],
    ['GET /key/info?keys=x', null, 400, 'invalid_request', 'keys'],
    ['GET /key/list?page=-1', null, 400, 'invalid_request', 'page'],
    ['GET /key/list?size=101', null, 400, 'invalid_request', 'size'],
    ['GET /key/list?size=many', null, 400, 'invalid_request', 'size'],
  ] as const)('%s %j is refused with %d %s', async (request, body, status, code, param) => {
    const keys = await startKeys();
    await generate(keys, { key_alias: 'taken' });
    const { token } = await generate(keys, { key: 'sk-taken-already' });
    const [method, path] = request.startsWith('GET ') ? ['GET', request.slice(4)] : ['POST', request];
    const answer = await keys.rest(method, path, body === null ? {} : { body });
    const types = { 400: 'invalid_request_error', 404: 'not_found_error', 409: 'invalid_request_error' };
    expect([answer.status, errorIn(answer)]).toEqual([
      status,
      { message: expect.any(String), type: types[status], param, code },
    ]);
    for (const secret of [missing, 'sk-taken-already']) expect(answer.text).not.toContain(secret);
    // Nothing has changed.
    expect((await keys.rest('GET', '/key/list')).json.total_count).toBe(2);
    expect((await keys.rest('GET', '/key/info?key=sk-taken-already')).json.key).toBe(token);
  });
});

describe('keys by RPC', () => {
  test.each(WIRES)('work over $protocol on HTTP/$httpVersion', async (wire) => {
    const { url } = await startKeys();
    const client = createClient(
      KeyService,
      transportTo(url, wire, {
        interceptors: [
          (next) => (request) => {
            request.header.set('authorization', `Bearer ${MASTER}`);
            return next(request);
          },
        ],
      }),
    );
    const { key, token } = await client.generateKey({ keyAlias: 'alice', metadata: { a: { b: [1] } } });
    expect(key).toMatch(SECRET_SHAPE);
    const { info } = await client.getKeyInfo({ key });
    expect(info).toMatchObject({ token, keyAlias: 'alice', metadata: { a: { b: [1] } } });
    expect((await client.updateKey({ key, rpmLimit: 0 })).info?.rpmLimit).toBe(0);
    expect((await client.blockKey({ key })).info?.blocked).toBe(true);
    expect((await client.unblockKey({ key })).info?.blocked).toBe(false);
    expect((await client.listKeys({})).keys.map((each) => each.token)).toEqual([token]);
    const next = await client.regenerateKey({ key });
    expect(next.info?.rpmLimit).toBe(0);
    const bad = await refusalOf(client.generateKey({ duration: 'x' }));
    expect(bad.code).toBe(Code.InvalidArgument);
    expect((await refusalOf(client.generateKey({ rpmLimit: -1 }))).code).toBe(Code.InvalidArgument);
    expect((await refusalOf(client.generateKey({ keyAlias: 'alice' }))).code).toBe(Code.AlreadyExists);
    const gone = await refusalOf(client.deleteKeys({ keys: [next.key, key] }));
    expect([gone.code, gone.rawMessage]).toEqual([Code.NotFound, `There is no key sk-...${key.slice(-4)}.`]);
    expect((await client.deleteKeys({ keyAliases: ['alice'] })).deletedKeys).toEqual(['alice']);
  });
});

describe('who may manage keys', () => {
  const PATHS = [
    'POST /key/generate',
    'GET /key/info',
    'GET /key/list',
    'POST /key/update',
    'POST /key/delete',
    'POST /key/block',
    'POST /key/unblock',
    'POST /key/sk-some-secret-0000/regenerate',
  ];

  test.each(PROTOCOLS)('over %s nobody without a key, or with another', async (protocol) => {
    const { port } = await startKeys();
    for (const request of PATHS) {
      const [method = '', path = ''] = request.split(' ');
      for (const [headers, code] of [
        [[], 'missing_key'],
        [['Authorization', 'Bearer sk-another-secret'], 'unknown_key'],
        [['Authorization', 'Basic c2s6'], 'malformed_key'],
      ] as const) {
        const answer = await ask(protocol, port, { method, path, headers });
        const error = { code, type: 'authentication_error' };
        expect.soft([answer.status, errorOf(answer)], `${request} ${headers}`).toMatchObject([401, error]);
        expect.soft(answer.header('www-authenticate'), request).toBe('Bearer');
      }
    }
  });
});

describe('secrets', () => {
  test('stand in the answers that make them, and in no other answer, record or file', async () => {
    const folder = temporaryFolder();
    const keys = await startKeys({ DATABASE_URL: '', SLUICE_DATA_DIR: folder });
    const { rest, url, lines } = keys;
    const answers: string[] = [];
    const say = async (method: string, path: string, body?: unknown) => {
      const { text, json } = await rest(method, path, body === undefined ? {} : { body });
      answers.push(text);
      return json;
    };
    const brought = 'sk-brought-along-by-caller';
    const { key } = await generate(keys, { key_alias: 'alice', key: brought });
    const { key: regenerated } = await rest('POST', `/key/${key}/regenerate`, {
      body: { grace_period: '1h' },
    }).then(({ json }) => json as { key: string });
    const secrets = [brought, regenerated];
    for (const secret of secrets) {
      await say('GET', `/key/info?key=${secret}`);
      await say('POST', '/key/update', { key: secret, rpm_limit: 3 });
      await say('POST', '/key/block', { key: secret });
      await say('POST', '/key/unblock', { key: secret });
      await say('POST', `/key/${secret}/regenerate`, { grace_period: 'soon' });
      await say('POST', `/key/${secret}x/regenerate`, {});
      await say('POST', `/key/${secret.replace('sk-', '%73k%2D')}y/regenerate`, {});
      await say('GET', `/key/${secret}/regenerate`);
      await say('GET', `/key/${secret}`);
      await say('POST', '/key/delete', { keys: [secret, 'nonsense'] });
      await say('POST', '/key/generate', { key: brought });
      await say('POST', '/key/generate', { key: `${secret} with spaces` });
      await say('POST', '/key/update', { key: 7, rpm_limit: secret });
    }
    await say('GET', '/key/list');
    // A unary call without side effects may come as GET, its message in the query.
    const message = Buffer.from(JSON.stringify({ key: regenerated })).toString('base64url');
    const get = `${url}/sluice.v1.KeyService/GetKeyInfo?connect=v1&encoding=json&base64=1&message=${message}`;
    const got = await fetch(get, { headers: { authorization: `Bearer ${MASTER}` } });
    answers.push(await got.text());
    expect(got.status).toBe(200);

    const told = () => lines.filter(({ msg }) => msg === 'request').length;
    await expect.poll(told).toBe(answers.length + 2);
    const recorded = JSON.stringify(lines);
    for (const text of [...answers, recorded]) {
      for (const secret of [...secrets, message]) expect(text).not.toContain(secret);
      expect(text).not.toContain(MASTER);
    }
    const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((each) =>
      each.isFile(),
    );
    expect(files.length).toBeGreaterThan(0);
    for (const { parentPath, name } of files) {
      const bytes = readFileSync(join(parentPath, name));
      for (const secret of secrets) expect(bytes.includes(secret)).toBe(false);
    }
    const paths = lines.map(({ path }) => path);
    expect(paths).toContain('/key/…/regenerate');
  });
});
