import { type JsonObject, toJson } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { VirtualKeySchema } from '../../gen/sluice/v1/key_pb.ts';
import { hashKey } from '../../src/access/mint.ts';
import { SluiceError } from '../../src/base/errors.ts';
import { startKeys } from './key-service-fixture.ts';
import { refusal } from './passthrough-routes-fixture.ts';

const HOUR = 3_600_000;

const LIMITED = {
  keyAlias: 'alice',
  duration: '1h',
  models: ['qwen'],
  allowedRoutes: ['/vllm'],
  rpmLimit: 1,
  tpmLimit: 2,
  maxParallelRequests: 3,
  maxBudget: 4,
  budgetDuration: '1d',
  userId: 'u',
  teamId: 't',
  metadata: { a: 1 },
  tags: ['x'],
  blocked: true,
};

const LIMITED_JSON = {
  key_alias: 'alice',
  models: ['qwen'],
  allowed_routes: ['/vllm'],
  rpm_limit: 1,
  tpm_limit: 2,
  max_parallel_requests: 3,
  max_budget: 4,
  budget_duration: '1d',
  budget_reset_at: '2026-11-21T14:00:00.123Z',
  spend: 0,
  user_id: 'u',
  team_id: 't',
  metadata: { a: 1 },
  tags: ['x'],
  blocked: true,
  expires: '2026-11-20T15:00:00.123Z',
};

/** A limited key, and what it is like after an update an hour later. */
async function limited() {
  const keys = await startKeys();
  const { key, token } = await keys.client.generateKey(LIMITED);
  keys.now += HOUR;
  return {
    keys,
    key,
    token,
    async updated(request: object): Promise<JsonObject> {
      const { info } = await keys.client.updateKey({ key, ...request });
      if (info === undefined) throw new Error('no info');
      const {
        token: _,
        key_name,
        created_at,
        updated_at,
        ...rest
      } = toJson(VirtualKeySchema, info, {
        useProtoFieldName: true,
        alwaysEmitImplicit: true,
      }) as JsonObject;
      expect([created_at, updated_at]).toEqual(['2026-11-20T14:00:00.123Z', '2026-11-20T15:00:00.123Z']);
      return rest;
    },
  };
}

describe('an update', () => {
  test.each([
    ['the alias', { keyAlias: 'bob' }, { key_alias: 'bob' }],
    ['the duration, from now on', { duration: '2h' }, { expires: '2026-11-20T17:00:00.123Z' }],
    ['models', { models: ['a', 'b/*'] }, { models: ['a', 'b/*'] }],
    ['routes', { allowedRoutes: ['/x'] }, { allowed_routes: ['/x'] }],
    ['a limit to nought', { rpmLimit: 0 }, { rpm_limit: 0 }],
    ['limits', { tpmLimit: 20, maxParallelRequests: 30 }, { tpm_limit: 20, max_parallel_requests: 30 }],
    ['the budget', { maxBudget: 0.5, spend: 0.25 }, { max_budget: 0.5, spend: 0.25 }],
    [
      'the budget duration, from now on',
      { budgetDuration: '1mo' },
      { budget_duration: '1mo', budget_reset_at: '2026-12-20T15:00:00.123Z' },
    ],
    ['whose it is', { userId: 'v', teamId: '' }, { user_id: 'v', team_id: '' }],
    ['metadata as a whole', { metadata: { b: 2 } }, { metadata: { b: 2 } }],
    ['metadata to none', { metadata: {} }, { metadata: {} }],
    ['tags', { tags: ['y', 'z'] }, { tags: ['y', 'z'] }],
    ['the block', { blocked: false }, { blocked: false }],
    ['nothing', {}, {}],
  ])('changes %s and leaves the rest', async (_what, request, expected) => {
    const { updated } = await limited();
    expect(await updated(request)).toEqual({ ...LIMITED_JSON, ...expected });
  });

  test.each([
    ['key_alias', { key_alias: '' }, []],
    ['duration', {}, ['expires']],
    ['models', { models: [] }, []],
    ['allowed_routes', { allowed_routes: [] }, []],
    ['rpm_limit', {}, ['rpm_limit']],
    ['tpm_limit', {}, ['tpm_limit']],
    ['max_parallel_requests', {}, ['max_parallel_requests']],
    ['max_budget', {}, ['max_budget']],
    ['budget_duration', { budget_duration: '' }, ['budget_reset_at']],
    ['user_id', { user_id: '' }, []],
    ['team_id', { team_id: '' }, []],
    ['metadata', { metadata: {} }, []],
    ['tags', { tags: [] }, []],
    ['blocked', { blocked: false }, []],
  ])('takes %s away when update_mask names it and no value is given', async (path, emptied, gone) => {
    const { updated } = await limited();
    const expected = Object.fromEntries(
      Object.entries({ ...LIMITED_JSON, ...emptied }).filter(
        ([name]) => !(gone as readonly string[]).includes(name),
      ),
    );
    // What stands beside the mask is left alone.
    const beside = path === 'rpm_limit' ? { tpmLimit: 99 } : { rpmLimit: 99 };
    expect(await updated({ ...beside, updateMask: { paths: [path] } })).toEqual(expected);
  });

  test('takes everything that is not given away under the mask *', async () => {
    const { updated } = await limited();
    expect(await updated({ keyAlias: 'bob', updateMask: { paths: ['*'] } })).toEqual({
      key_alias: 'bob',
      models: [],
      allowed_routes: [],
      budget_duration: '',
      spend: 0,
      user_id: '',
      team_id: '',
      metadata: {},
      tags: [],
      blocked: false,
    });
  });

  test('goes by the alias too, which stays then', async () => {
    const { keys, token } = await limited();
    const { info } = await keys.client.updateKey({ keyAlias: 'alice', rpmLimit: 7 });
    expect(info).toMatchObject({ token, keyAlias: 'alice', rpmLimit: 7 });
    const masked = await keys.client.updateKey({ keyAlias: 'alice', updateMask: { paths: ['*'] } });
    expect(masked.info).toMatchObject({ token, keyAlias: 'alice', models: [] });
    expect(masked.info?.rpmLimit).toBeUndefined();
  });

  test.each([
    [{}, 'InvalidArgument: key: say which, by key or by key_alias'],
    [{ key: 'sk-nobody-has-this' }, 'NotFound: There is no key sk-...this.'],
    [{ keyAlias: 'carol' }, 'NotFound: There is no key with the alias "carol".'],
    [{ keyAlias: 'sk-put-here-by-mistake' }, 'NotFound: There is no key with the alias "sk-...take".'],
    [{ keyAlias: 'alice', duration: 'soon' }, 'InvalidArgument: duration: not a duration'],
    [{ keyAlias: 'alice', duration: '' }, 'InvalidArgument: duration: not a duration'],
    [{ keyAlias: 'alice', budgetDuration: '' }, 'InvalidArgument: budget_duration: not a duration'],
    [{ keyAlias: 'alice', maxBudget: -1 }, 'InvalidArgument: max_budget: '],
    [{ keyAlias: 'alice', spend: -1 }, 'InvalidArgument: spend: '],
    [{ keyAlias: 'alice', models: ['x*'] }, 'InvalidArgument: models[0]: '],
    [
      { keyAlias: 'alice', updateMask: { paths: ['rpm_limits'] } },
      'InvalidArgument: update_mask: "rpm_limits" is no field that can be changed; did you mean rpm_limit?',
    ],
  ])('%j is refused', async (request, words) => {
    const { keys, token } = await limited();
    const { changes } = keys;
    const told = await refusal(keys.client.updateKey(request));
    expect(told.startsWith(words), told).toBe(true);
    expect((await keys.client.getKeyInfo({ key: token })).info?.updatedAt?.seconds).toBe(
      BigInt(Math.floor((keys.now - HOUR) / 1_000)),
    );
    expect(keys.changes).toBe(changes);
  });

  test('may not take the alias of another', async () => {
    const { keys, key } = await limited();
    await keys.client.generateKey({ keyAlias: 'bob' });
    const told = await refusal(keys.client.updateKey({ key, keyAlias: 'bob', rpmLimit: 50 }));
    expect(told).toBe('AlreadyExists: Another key has the alias "bob" already.');
    expect((await keys.client.getKeyInfo({ key })).info).toMatchObject({ keyAlias: 'alice', rpmLimit: 1 });
  });

  test('does not undo what is being spent meanwhile', async () => {
    const { keys, key } = await limited();
    const stored = await keys.store.keyByToken(hashKey(key), keys.now);
    await keys.store.addSpend([{ id: stored?.id ?? '', usd: 1.5 }], keys.now);
    const { info } = await keys.client.updateKey({ key, rpmLimit: 5 });
    expect(info?.spend).toBe(1.5);
    expect((await keys.client.updateKey({ key, spend: 0 })).info?.spend).toBe(0);
  });
});

describe('block and unblock', () => {
  test('change the block alone, and are told', async () => {
    const keys = await startKeys();
    const { key, token } = await keys.client.generateKey({ rpmLimit: 5 });
    expect((await keys.client.blockKey({ key })).info).toMatchObject({ token, blocked: true, rpmLimit: 5 });
    expect((await keys.client.blockKey({ key: token })).info?.blocked).toBe(true);
    expect((await keys.client.unblockKey({ key })).info).toMatchObject({ blocked: false, rpmLimit: 5 });
    expect(keys.changes).toBe(4);
    for (const call of [keys.client.blockKey, keys.client.unblockKey]) {
      expect(await refusal(call({ key: 'sk-nobody-has-this' }))).toBe(
        'NotFound: There is no key sk-...this.',
      );
      expect(await refusal(call({ key: 'x' }))).toMatch(/^InvalidArgument: key: neither/);
      expect(await refusal(call({}))).toMatch(/^InvalidArgument: key: /);
    }
  });
});

describe('deletion', () => {
  test('takes keys back by secret, token and alias, the same one twice too', async () => {
    const keys = await startKeys();
    const one = await keys.client.generateKey({ keyAlias: 'one' });
    const two = await keys.client.generateKey({});
    const named = { keys: [one.key, two.token, one.token], keyAliases: ['one'] };
    expect((await keys.client.deleteKeys(named)).deletedKeys).toEqual([one.key, two.token, one.token, 'one']);
    expect((await keys.client.listKeys({})).totalCount).toBe(0);
    expect(keys.changes).toBe(3);
  });

  test('takes all that are named or none', async () => {
    const keys = await startKeys();
    const { key } = await keys.client.generateKey({ keyAlias: 'one' });
    const missing = 'sk-nobody-has-this';
    const refused: readonly (readonly [{ keys?: string[]; keyAliases?: string[] }, string])[] = [
      [{ keys: [key, missing] }, 'NotFound: There is no key sk-...this.'],
      [{ keys: [key], keyAliases: ['one', 'two'] }, 'NotFound: There is no key with the alias "two".'],
      [{ keys: [key, 'two'] }, 'InvalidArgument: keys[1]: neither a key'],
      [{}, 'InvalidArgument: keys: say which'],
    ];
    for (const [request, words] of refused) {
      const told = await refusal(keys.client.deleteKeys(request));
      expect(told.startsWith(words), told).toBe(true);
    }
    expect((await keys.client.listKeys({})).totalCount).toBe(1);
    expect(keys.changes).toBe(1);
  });
});

describe('regeneration', () => {
  test('changes the secret and nothing else, and ends the old one at once', async () => {
    const { keys, key, token } = await limited();
    const before = await keys.store.keyByToken(token, keys.now);
    const { key: secret, info } = await keys.client.regenerateKey({ key });
    expect(secret).toMatch(/^sk-[A-Za-z0-9_-]{22}$/);
    expect(secret).not.toBe(key);
    expect(await keys.store.keyByToken(hashKey(secret), keys.now)).toEqual({
      ...before,
      token: hashKey(secret),
      keyName: `sk-...${secret.slice(-4)}`,
      updatedAt: keys.now,
    });
    expect(info).toMatchObject({ token: hashKey(secret), keyAlias: 'alice', rpmLimit: 1, spend: 0 });
    expect(await refusal(keys.client.getKeyInfo({ key }))).toMatch(/^NotFound/);
  });

  test('lets the old secret in for a grace', async () => {
    const { keys, key } = await limited();
    const { key: second } = await keys.client.regenerateKey({ key, gracePeriod: '30s' });
    const tokenOf = async (name: string): Promise<string> =>
      (await keys.client.getKeyInfo({ key: name })).key;
    keys.now += 29_999;
    expect(await tokenOf(key)).toBe(hashKey(second));
    keys.now += 1;
    expect(await refusal(keys.client.getKeyInfo({ key }))).toMatch(/^NotFound/);
    expect(await tokenOf(second)).toBe(hashKey(second));
    // Without a grace nothing of the past is left.
    const { key: third } = await keys.client.regenerateKey({ key: second });
    expect(await refusal(keys.client.getKeyInfo({ key: second }))).toMatch(/^NotFound/);
    expect(await tokenOf(third)).toBe(hashKey(third));
  });

  test.each([
    [{ key: 'sk-nobody-has-this' }, 'NotFound: There is no key sk-...this.'],
    [{ gracePeriod: 'a while' }, 'InvalidArgument: grace_period: not a duration'],
    [{ key: '' }, 'InvalidArgument: key: '],
  ])('%j is refused', async (request, words) => {
    const { keys, key } = await limited();
    const told = await refusal(keys.client.regenerateKey({ key, ...request }));
    expect(told.startsWith(words), told).toBe(true);
    expect((await keys.client.getKeyInfo({ key })).key).toBe(hashKey(key));
  });
});

describe('a key that another has deleted meanwhile', () => {
  test('is not found, whatever was asked of it', async () => {
    const keys = await startKeys({ updateKey: async () => null, deleteKeys: async () => false });
    const { key } = await keys.client.generateKey({});
    for (const call of [
      () => keys.client.updateKey({ key, rpmLimit: 1 }),
      () => keys.client.blockKey({ key }),
      () => keys.client.regenerateKey({ key }),
      () => keys.client.deleteKeys({ keys: [key] }),
    ]) {
      expect(await refusal(call())).toMatch(/^NotFound: /);
    }
    expect(keys.changes).toBe(1);
  });
});

describe('a store that is away', () => {
  test('is told as such, and nothing of a secret with it', async () => {
    const away = async (): Promise<never> => {
      throw new SluiceError('store_unavailable', 'The store is away.');
    };
    const keys = await startKeys({ createKey: away, keyByToken: away, keyByAlias: away, keys: away });
    const key = 'sk-some-secret-of-mine';
    for (const call of [
      () => keys.client.generateKey({ key }),
      () => keys.client.getKeyInfo({ key }),
      () => keys.client.listKeys({}),
      () => keys.client.updateKey({ keyAlias: 'alice', rpmLimit: 1 }),
      () => keys.client.blockKey({ key }),
      () => keys.client.regenerateKey({ key }),
      () => keys.client.deleteKeys({ keys: [key] }),
    ]) {
      expect(await refusal(call())).toBe('Unavailable: The store is away.');
    }
    expect(keys.changes).toBe(0);
  });
});
