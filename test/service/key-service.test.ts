import { type JsonObject, toJson } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { VirtualKeySchema } from '../../gen/sluice/v1/key_pb.ts';
import { GenerateKeyResponseSchema } from '../../gen/sluice/v1/key_service_pb.ts';
import { hashKey } from '../../src/access/mint.ts';
import { startKeys } from './key-service-fixture.ts';
import { refusal } from './passthrough-routes-fixture.ts';

const EVERYTHING = {
  keyAlias: 'alice',
  duration: '2w',
  models: ['qwen', 'openai/*', 'qwen'],
  allowedRoutes: ['/vllm', '/bria/'],
  rpmLimit: 60,
  tpmLimit: 0,
  maxParallelRequests: 2_147_483_647,
  maxBudget: 12.5,
  budgetDuration: '1mo',
  userId: 'u-1',
  teamId: 't-1',
  metadata: { note: 'hello', nested: { list: [1, null, true] } },
  tags: ['a', 'b', 'a'],
  blocked: true,
};

const json = { useProtoFieldName: true, alwaysEmitImplicit: true };

describe('a generated key', () => {
  test('needs nothing, and is unlimited then', async () => {
    const keys = await startKeys();
    const response = await keys.client.generateKey({});
    expect(response.key).toMatch(/^sk-[A-Za-z0-9_-]{22}$/);
    expect(toJson(GenerateKeyResponseSchema, response, json)).toEqual({
      key: response.key,
      token: hashKey(response.key),
      key_name: `sk-...${response.key.slice(-4)}`,
      key_alias: '',
      duration: '',
      models: [],
      allowed_routes: [],
      budget_duration: '',
      spend: 0,
      user_id: '',
      team_id: '',
      metadata: {},
      tags: [],
      blocked: false,
      created_at: '2026-11-20T14:00:00.123Z',
      updated_at: '2026-11-20T14:00:00.123Z',
    });
    expect(keys.changes).toBe(1);
  });

  test('has every field that was given, and is read like that', async () => {
    const { client } = await startKeys();
    const response = await client.generateKey(EVERYTHING);
    const { key, duration, ...shown } = toJson(GenerateKeyResponseSchema, response, json) as JsonObject;
    expect(shown).toEqual({
      token: hashKey(response.key),
      key_name: `sk-...${response.key.slice(-4)}`,
      key_alias: 'alice',
      models: ['qwen', 'openai/*'],
      allowed_routes: ['/vllm', '/bria/'],
      rpm_limit: 60,
      tpm_limit: 0,
      max_parallel_requests: 2_147_483_647,
      max_budget: 12.5,
      budget_duration: '1mo',
      budget_reset_at: '2026-12-20T14:00:00.123Z',
      spend: 0,
      user_id: 'u-1',
      team_id: 't-1',
      metadata: { note: 'hello', nested: { list: [1, null, true] } },
      tags: ['a', 'b', 'a'],
      blocked: true,
      expires: '2026-12-04T14:00:00.123Z',
      created_at: '2026-11-20T14:00:00.123Z',
      updated_at: '2026-11-20T14:00:00.123Z',
    });
    expect([key, duration]).toEqual([response.key, '2w']);
    for (const name of [response.key, response.token]) {
      const { key: token, info } = await client.getKeyInfo({ key: name });
      expect(token).toBe(response.token);
      expect(info && toJson(VirtualKeySchema, info, json)).toEqual(shown);
    }
  });

  test('keeps metadata whatever its names', async () => {
    const { client } = await startKeys();
    const metadata = JSON.parse(
      '{"__proto__": {"x": 1}, "constructor": "c", "": 0, "a.b": [{}], "ключ 🔑": "\\u0000 \\n", "toString": null}',
    ) as JsonObject;
    const { token, metadata: answered } = await client.generateKey({ metadata });
    expect(JSON.stringify(answered)).toBe(JSON.stringify(metadata));
    const { info } = await client.getKeyInfo({ key: token });
    expect(sorted(info?.metadata ?? {})).toBe(sorted(metadata));
    expect(Object.keys({})).toEqual([]);
  });

  test('can have a secret that the caller brings, once', async () => {
    const { client } = await startKeys();
    const { key, keyName } = await client.generateKey({ key: 'sk-my-own-secret_1' });
    expect([key, keyName]).toEqual(['sk-my-own-secret_1', 'sk-...et_1']);
    expect(await refusal(client.generateKey({ key: 'sk-my-own-secret_1' }))).toBe(
      'AlreadyExists: This key exists already.',
    );
  });

  test.each([
    [{ duration: '5 minutes' }, 'duration: not a duration, say 30s, 5m, 2h, 7d, 2w or 1mo, up to 100 years'],
    [{ duration: '-1h' }, 'duration: not a duration'],
    [{ duration: '0s' }, 'duration: not a duration'],
    [{ budgetDuration: 'monthly' }, 'budget_duration: not a duration'],
    [{ key: 'hunter2-hunter2' }, "key: it must begin with 'sk-'"],
    [{ key: 'sk-short' }, "key: behind 'sk-' it must have 8 to 252 characters"],
    [{ rpmLimit: -1 }, 'rpm_limit: '],
    [{ tpmLimit: -1 }, 'tpm_limit: '],
    [{ maxParallelRequests: -1 }, 'max_parallel_requests: '],
    [{ maxBudget: -0.01 }, 'max_budget: '],
    [{ maxBudget: Number.NaN }, 'max_budget: '],
    [{ maxBudget: Number.POSITIVE_INFINITY }, 'max_budget: '],
    [{ models: ['a', ''] }, 'models[1]: '],
    [{ models: ['*'] }, 'models[0]: all models are allowed by naming none'],
    [{ models: ['a', 'gpt-*'] }, "models[1]: a * stands at the end alone, behind a slash: 'openai/*'"],
    [{ models: ['*/*'] }, 'models[0]: a *'],
    [{ allowedRoutes: ['vllm'] }, 'allowed_routes[0]: '],
    [{ allowedRoutes: ['/vllm', '/bria/*'] }, 'allowed_routes[1]: it is the beginning of paths'],
    [{ keyAlias: 'x'.repeat(257) }, 'key_alias: '],
  ])('%j is refused', async (request, words) => {
    const keys = await startKeys();
    const told = await refusal(keys.client.generateKey(request));
    expect(told.startsWith(`InvalidArgument: ${words}`), told).toBe(true);
    expect(told).not.toContain('hunter2');
    expect((await keys.client.listKeys({})).totalCount).toBe(0);
    expect(keys.changes).toBe(0);
  });

  test('may not have the alias of another', async () => {
    const { client } = await startKeys();
    await client.generateKey({ keyAlias: 'alice' });
    expect(await refusal(client.generateKey({ keyAlias: 'alice' }))).toBe(
      'AlreadyExists: Another key has the alias "alice" already.',
    );
    // None is no alias.
    await client.generateKey({});
    await client.generateKey({ keyAlias: '' });
    expect((await client.listKeys({})).totalCount).toBe(3);
  });
});

describe('info', () => {
  test('of what is no key is not found, and the secret stays unsaid', async () => {
    const { client } = await startKeys();
    const token = 'a'.repeat(64);
    expect(await refusal(client.getKeyInfo({ key: 'sk-nobody-has-this-1234' }))).toBe(
      'NotFound: There is no key sk-...1234.',
    );
    expect(await refusal(client.getKeyInfo({ key: token }))).toBe(`NotFound: There is no key ${token}.`);
    expect(await refusal(client.getKeyInfo({ key: 'alice' }))).toMatch(
      /^InvalidArgument: key: neither a key/,
    );
  });

  test('needs a name from who has no key of these', async () => {
    const { client } = await startKeys();
    expect(await refusal(client.getKeyInfo({}))).toMatch(/^InvalidArgument: key: say which key/);
  });

  test('shows a virtual key itself, by any of its names, and nothing else', async () => {
    const { client, clientWith } = await startKeys();
    const { key, token } = await client.generateKey({ keyAlias: 'own' });
    const other = await client.generateKey({});
    const own = clientWith(key);
    for (const name of ['', key, token]) {
      expect((await own.getKeyInfo({ key: name })).info?.keyAlias).toBe('own');
    }
    // Nor is it told which exist.
    const expected = 'PermissionDenied: A virtual key may read its own info alone.';
    for (const name of [other.key, other.token, 'sk-nobody-has-this', 'b'.repeat(64)]) {
      expect(await refusal(own.getKeyInfo({ key: name }))).toBe(expected);
    }
  });

  test('shows a budget that is due begun anew', async () => {
    const keys = await startKeys();
    const { token } = await keys.client.generateKey({
      maxBudget: 1,
      budgetDuration: '1h',
      spend: 0,
    } as object);
    await keys.client.updateKey({ key: token, spend: 0.75 });
    const spent = async (): Promise<readonly unknown[]> => {
      const { info } = await keys.client.getKeyInfo({ key: token });
      const { spend, budget_reset_at } = (info ? toJson(VirtualKeySchema, info, json) : {}) as JsonObject;
      return [spend, budget_reset_at];
    };
    expect(await spent()).toEqual([0.75, '2026-11-20T15:00:00.123Z']);
    keys.now += 3_600_000;
    expect(await spent()).toEqual([0, '2026-11-20T16:00:00.123Z']);
    // And a change doesn't bring the spending of before back.
    await keys.client.updateKey({
      key: token,
      budgetDuration: '',
      updateMask: { paths: ['budget_duration'] },
    });
    expect(await spent()).toEqual([0, undefined]);
  });
});

describe('the list', () => {
  test('has pages, newest first, ten keys each unless it is said', async () => {
    const keys = await startKeys();
    expect(await keys.client.listKeys({})).toMatchObject({
      keys: [],
      totalCount: 0,
      currentPage: 1,
      totalPages: 0,
    });
    for (let index = 0; index < 12; index += 1) {
      keys.now += 1;
      await keys.client.generateKey({ keyAlias: `k${index}` });
    }
    const page = async (request: object): Promise<readonly unknown[]> => {
      const { keys: listed, totalCount, currentPage, totalPages } = await keys.client.listKeys(request);
      return [listed.map(({ keyAlias }) => keyAlias).join(' '), totalCount, currentPage, totalPages];
    };
    expect(await page({})).toEqual(['k11 k10 k9 k8 k7 k6 k5 k4 k3 k2', 12, 1, 2]);
    expect(await page({ page: 2 })).toEqual(['k1 k0', 12, 2, 2]);
    expect(await page({ page: 2, size: 5 })).toEqual(['k6 k5 k4 k3 k2', 12, 2, 3]);
    expect(await page({ page: 2_147_483_647, size: 100 })).toEqual(['', 12, 2_147_483_647, 1]);
    expect(await page({ keyAlias: 'k3' })).toEqual(['k3', 1, 1, 1]);
    expect(await refusal(keys.client.listKeys({ size: 101 }))).toMatch(/^InvalidArgument: size: /);
    expect(await refusal(keys.client.listKeys({ page: -1 }))).toMatch(/^InvalidArgument: page: /);
  });

  test('can be of one user, one team, or both', async () => {
    const { client } = await startKeys();
    for (const [userId, teamId] of [
      ['u', 't'],
      ['u', ''],
      ['', 't'],
    ] as const) {
      await client.generateKey({ userId, teamId });
    }
    const count = async (request: object): Promise<number> => (await client.listKeys(request)).totalCount;
    expect(await count({ userId: 'u' })).toBe(2);
    expect(await count({ teamId: 't' })).toBe(2);
    expect(await count({ userId: 'u', teamId: 't' })).toBe(1);
    expect(await count({ userId: 'x' })).toBe(0);
  });
});

/** Field order is no part of a Struct. */
function sorted(value: JsonObject): string {
  return JSON.stringify(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
