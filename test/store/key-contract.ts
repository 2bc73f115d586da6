import { describe, expect, onTestFinished, test } from 'vitest';
import { SluiceError } from '../../src/base/errors.ts';
import type { KeyQuery, StoredKey } from '../../src/store/key-store.ts';
import type { Store } from '../../src/store/store.ts';
import { openStore } from './open-store.ts';
import { key, tokenOf } from './samples.ts';

const NOW = Date.UTC(2026, 0, 1);

const FULL = key('full', {
  previous: { token: tokenOf('before'), until: NOW },
  alias: 'ci',
  models: ['gpt-4o', 'claude/*'],
  allowedRoutes: ['/vllm', '/bria'],
  rpmLimit: 0,
  tpmLimit: 2_147_483_647,
  maxParallelRequests: 1,
  maxBudget: 0.1,
  budget: { duration: '1mo', resetAt: NOW },
  spend: 0.000000001,
  userId: 'user',
  teamId: 'team',
  metadata: JSON.parse(
    '{"nested":{"list":[1,"a",null,true,{"__proto__":1}]},"__proto__":{"a":1},"constructor":"c"}',
  ),
  tags: ['a', ''],
  blocked: true,
  expiresAt: NOW,
});

const ALL: KeyQuery = { offset: 0, limit: 100, userId: null, teamId: null, alias: null };

/** What every store must do with virtual keys. `freshLocation` as for `storeContract`. */
export function keyContract(name: string, freshLocation: () => string): void {
  async function open(...keys: readonly StoredKey[]): Promise<Store> {
    const store = await openStore(freshLocation());
    onTestFinished(() => store.close());
    for (const one of keys) await store.createKey(one);
    return store;
  }

  const ids = async (store: Store, query: Partial<KeyQuery> = {}) =>
    (await store.keys({ ...ALL, ...query })).keys.map(({ id }) => id);

  /** By whatever way it can be read, the same. */
  async function expectKept(store: Store, expected: StoredKey): Promise<void> {
    const read = [
      await store.keyByToken(expected.token, NOW),
      (await store.keys(ALL)).keys.find(({ id }) => id === expected.id),
      ...(expected.alias === null ? [] : [await store.keyByAlias(expected.alias)]),
    ];
    // As text: `toEqual` takes no notice of a name like __proto__.
    for (const one of read) expect(JSON.stringify(one)).toBe(JSON.stringify(expected));
  }

  describe(`${name}: keys`, () => {
    test('are kept whole', async () => {
      const store = await open(key('bare'), FULL);
      await expectKept(store, key('bare'));
      await expectKept(store, FULL);
      expect((await store.keyByAlias('ci'))?.metadata.toString).toBeUndefined();
    });

    test('are found by their token and their alias, and by nothing else', async () => {
      const store = await open(key('a', { alias: 'one' }));
      expect((await store.keyByToken(tokenOf('a'), NOW))?.id).toBe('a');
      expect((await store.keyByAlias('one'))?.id).toBe('a');
      expect(await store.keyByToken(tokenOf('b'), NOW)).toBeNull();
      expect(await store.keyByToken(tokenOf('a').slice(0, 32), NOW)).toBeNull();
      expect(await store.keyByToken(tokenOf('a').toUpperCase(), NOW)).toBeNull();
      expect(await store.keyByToken('', NOW)).toBeNull();
      for (const alias of ['One', 'on', 'one ', '']) expect(await store.keyByAlias(alias)).toBeNull();
    });

    test('are found by the token before while its grace lasts', async () => {
      const store = await open(FULL);
      expect((await store.keyByToken(tokenOf('before'), NOW - 1))?.id).toBe('full');
      expect(await store.keyByToken(tokenOf('before'), NOW)).toBeNull();
      expect((await store.keyByToken(FULL.token, NOW))?.id).toBe('full');
    });

    test.each<[string, StoredKey]>([
      ['id', key('full', { token: tokenOf('x') })],
      ['token', key('x', { token: FULL.token })],
      ['token, as the previous one', key('x', { token: tokenOf('before') })],
      ['previous token, as the present one', key('x', { previous: { token: FULL.token, until: NOW } })],
      ['previous token', key('x', { previous: { token: tokenOf('before'), until: NOW + 1 } })],
      ['alias', key('x', { alias: 'ci' })],
    ])('have a %s of their own', async (_what, second) => {
      const store = await open(FULL);
      const version = await store.keysVersion();
      await expect(store.createKey(second)).rejects.toMatchObject({ reason: 'already_exists' });
      expect(await store.keys(ALL)).toMatchObject({ total: 1 });
      expect(await store.keysVersion()).toBe(version);
      await expectKept(store, FULL);
      await store.deleteKeys(['full']);
      await store.createKey(second);
      await expectKept(store, second);
    });

    test.each([
      ['SQL', `' OR '1'='1`],
      ['SQL that ends a statement', `'); DROP TABLE virtual_key; --`],
      ['SQL with a union', `x' UNION SELECT token FROM virtual_key --`],
      ['quotes', `"'\`\\`],
      ['patterns', '%_*?[a]{b}'],
      ['names of parameters', ':token $1 ?1 @x'],
      ['Redis', 'a\r\n*1\r\n$8\r\nFLUSHALL\r\n'],
      ['colons and tags', 'sluice:key:{a}:b'],
      ['NUL', 'a\0b'],
      ['Unicode', 'Zażółć 模型 👩‍👩‍👧 \u2028 e\u0301'],
      ['names of Object.prototype', '__proto__'],
    ])('take %s for what it is, in each of their parts', async (_what, text) => {
      const hostile = key(`id ${text}`, {
        token: text,
        previous: { token: `previous ${text}`, until: NOW },
        keyName: text,
        alias: text,
        models: [text],
        allowedRoutes: [text],
        userId: text,
        teamId: text,
        metadata: JSON.parse(`{${JSON.stringify(text)}:${JSON.stringify(text)}}`),
        tags: [text],
      });
      const store = await open(key('bystander', { alias: 'bystander', userId: 'u' }));
      // Before it exists nothing is found by it, whatever it says.
      expect(await store.keyByToken(text, NOW)).toBeNull();
      expect(await store.keyByAlias(text)).toBeNull();
      expect(await store.updateKey(text, (stored) => stored)).toBeNull();
      expect(await store.deleteKeys([text])).toBe(false);
      await store.createKey(hostile);
      await expectKept(store, hostile);
      expect((await store.keyByToken(`previous ${text}`, NOW - 1))?.id).toBe(hostile.id);
      for (const query of [
        { userId: text },
        { teamId: text },
        { alias: text },
        { userId: text, teamId: text },
      ]) {
        expect(await store.keys({ ...ALL, ...query })).toMatchObject({
          total: 1,
          keys: [{ id: hostile.id }],
        });
      }
      await store.addSpend([{ id: hostile.id, usd: 1 }], NOW);
      expect(await store.updateKey(hostile.id, (stored) => ({ ...stored, blocked: true }))).toMatchObject({
        spend: 1,
        blocked: true,
      });
      expect(await store.deleteKeys([hostile.id])).toBe(true);
      expect(await ids(store)).toEqual(['bystander']);
      await expectKept(store, key('bystander', { alias: 'bystander', userId: 'u' }));
    });

    test('come back detached: changing what was given or returned changes nothing stored', async () => {
      const models = ['a'];
      const store = await open(key('a', { models }));
      models.push('b');
      const read = (await store.keyByToken(tokenOf('a'), NOW))?.models as string[];
      try {
        read.push('c');
      } catch (error) {
        expect(error).toBeInstanceOf(TypeError); // frozen
      }
      await expectKept(store, key('a', { models: ['a'] }));
    });
  });

  describe(`${name}: lists of keys`, () => {
    const createdAt = (minute: number) => NOW + minute * 60_000;

    test('are newest first, those of one moment in the order of their making', async () => {
      const store = await open(
        key('middle', { createdAt: createdAt(2) }),
        key('newest', { createdAt: createdAt(3) }),
        key('old 1', { createdAt: createdAt(1) }),
        key('old 2', { createdAt: createdAt(1) }),
        key('old 3', { createdAt: createdAt(1) }),
      );
      const newestFirst = ['newest', 'middle', 'old 3', 'old 2', 'old 1'];
      expect(await ids(store)).toEqual(newestFirst);
      await store.updateKey('old 1', (stored) => ({ ...stored, updatedAt: createdAt(9), userId: 'u' }));
      expect(await ids(store)).toEqual(newestFirst);
    });

    test('are cut into pages, and tell how many there are on all of them', async () => {
      const store = await open();
      expect(await store.keys(ALL)).toEqual({ keys: [], total: 0 });
      for (let index = 0; index < 25; index++)
        await store.createKey(key(`${index}`, { createdAt: createdAt(index) }));
      const pages = await Promise.all([0, 10, 20].map((offset) => store.keys({ ...ALL, offset, limit: 10 })));
      expect(pages.flatMap(({ keys }) => keys.map(({ id }) => Number(id)))).toEqual(
        Array.from({ length: 25 }, (_, index) => 24 - index),
      );
      expect(pages.map(({ keys, total }) => [keys.length, total])).toEqual([
        [10, 25],
        [10, 25],
        [5, 25],
      ]);
      expect(await store.keys({ ...ALL, offset: 25 })).toEqual({ keys: [], total: 25 });
      expect(await store.keys({ ...ALL, offset: 1_000_000 })).toEqual({ keys: [], total: 25 });
      expect(await store.keys({ ...ALL, limit: 0 })).toEqual({ keys: [], total: 25 });
    });

    test('have those that match, also after they have changed or gone', async () => {
      const store = await open(
        key('a', { userId: 'u', teamId: 't', alias: 'first', createdAt: createdAt(1) }),
        key('b', { userId: 'u', createdAt: createdAt(2) }),
        key('c', { teamId: 't', createdAt: createdAt(3) }),
        key('d', { userId: 'v', teamId: 't', createdAt: createdAt(4) }),
        key('e', { userId: 'U', teamId: 'u', alias: 'u', createdAt: createdAt(5) }),
      );
      const matching = async (query: Partial<KeyQuery>) => {
        const page = await store.keys({ ...ALL, ...query });
        expect(page.total).toBe(page.keys.length);
        return page.keys.map(({ id }) => id).join('');
      };
      expect(await matching({ userId: 'u' })).toBe('ba');
      expect(await matching({ teamId: 't' })).toBe('dca');
      expect(await matching({ userId: 'u', teamId: 't' })).toBe('a');
      expect(await matching({ alias: 'first' })).toBe('a');
      expect(await matching({ alias: 'first', userId: 'u', teamId: 't' })).toBe('a');
      expect(await matching({ alias: 'first', userId: 'v' })).toBe('');
      expect(await matching({ alias: 'u', teamId: 't' })).toBe('');
      expect(await matching({ userId: 'nobody' })).toBe('');
      expect(await matching({ userId: '' })).toBe('');
      expect(await store.keys({ ...ALL, teamId: 't', offset: 1, limit: 1 })).toMatchObject({
        keys: [{ id: 'c' }],
        total: 3,
      });
      expect(await store.keys({ ...ALL, alias: 'first', offset: 1 })).toEqual({ keys: [], total: 1 });

      await store.updateKey('b', (stored) => ({ ...stored, userId: 'v', teamId: 't', alias: 'second' }));
      expect(await matching({ userId: 'u' })).toBe('a');
      expect(await matching({ userId: 'v', teamId: 't' })).toBe('db');
      expect(await matching({ alias: 'second' })).toBe('b');
      await store.updateKey('b', (stored) => ({ ...stored, userId: null, alias: null }));
      expect(await matching({ userId: 'v' })).toBe('d');
      expect(await matching({ alias: 'second' })).toBe('');
      await store.deleteKeys(['c', 'd']);
      expect(await matching({ teamId: 't' })).toBe('ba');
      expect(await matching({})).toBe('eba');
    });
  });

  describe(`${name}: changes of keys`, () => {
    test('replace all but the id, and are returned as they are stored', async () => {
      const store = await open(key('a', { alias: 'old' }), key('b'));
      const seen: StoredKey[] = [];
      const updated = await store.updateKey('a', (stored) => {
        seen.push(stored);
        return { ...FULL, id: 'ignored' };
      });
      expect(JSON.stringify(updated)).toBe(JSON.stringify({ ...FULL, id: 'a' }));
      expect(seen[0]).toEqual(key('a', { alias: 'old' }));
      await expectKept(store, { ...FULL, id: 'a' });
      expect(await store.keyByToken(tokenOf('a'), NOW)).toBeNull();
      expect(await store.keyByAlias('old')).toBeNull();
      expect(await store.updateKey('c', () => FULL)).toBeNull();
      await store.updateKey('a', () => key('a'));
      await expectKept(store, key('a'));
      // What it had is free.
      await store.createKey(FULL);
    });

    test('that throw, or take what another key has, change nothing', async () => {
      const store = await open(FULL, key('b', { alias: 'b' }));
      const version = await store.keysVersion();
      const no = new SluiceError('invalid_request', 'no');
      const failing = store.updateKey('b', () => {
        throw no;
      });
      await expect(failing).rejects.toThrow(no);
      for (const part of [
        { alias: 'ci' },
        { token: FULL.token },
        { token: tokenOf('before') },
        { previous: { token: FULL.token, until: NOW } },
        { previous: { token: tokenOf('before'), until: NOW } },
      ]) {
        const taking = store.updateKey('b', (stored) => ({ ...stored, ...part, blocked: true }));
        await expect(taking).rejects.toMatchObject({ reason: 'already_exists' });
      }
      await expectKept(store, key('b', { alias: 'b' }));
      expect(await store.keysVersion()).toBe(version);
      // What a key has already doesn't stand in its own way.
      expect(await store.updateKey('b', (stored) => ({ ...stored, blocked: true }))).toMatchObject({
        blocked: true,
      });
    });

    test('give a new secret, with or without the old one for a while', async () => {
      const store = await open(key('a'));
      const find = async (secret: string, now: number) => (await store.keyByToken(tokenOf(secret), now))?.id;
      await store.updateKey('a', (stored) => ({
        ...stored,
        token: tokenOf('second'),
        previous: { token: stored.token, until: NOW },
      }));
      expect([await find('second', NOW), await find('a', NOW - 1), await find('a', NOW)]).toEqual([
        'a',
        'a',
        undefined,
      ]);
      await store.updateKey('a', (stored) => ({ ...stored, token: tokenOf('third'), previous: null }));
      expect([await find('third', 0), await find('second', 0), await find('a', 0)]).toEqual([
        'a',
        undefined,
        undefined,
      ]);
      await store.createKey(key('b', { token: tokenOf('second') }));
      expect(await find('second', 0)).toBe('b');
    });

    test('delete all that are named or none', async () => {
      const store = await open(key('a', { alias: 'a' }), key('b'), key('c'));
      expect(await store.deleteKeys(['a', 'x', 'b'])).toBe(false);
      expect(await ids(store)).toEqual(['c', 'b', 'a']);
      expect(await store.deleteKeys(['a', 'b', 'a'])).toBe(true);
      expect(await ids(store)).toEqual(['c']);
      expect(await store.keyByToken(tokenOf('a'), 0)).toBeNull();
      expect(await store.keyByAlias('a')).toBeNull();
      expect(await store.deleteKeys(['a'])).toBe(false);
      expect(await store.deleteKeys([])).toBe(true);
      expect(await ids(store)).toEqual(['c']);
    });

    test('make the version grow, spending doesn’t', async () => {
      const store = await open(key('a'), key('b'));
      let before = await store.keysVersion();
      const grows = async () => {
        const after = await store.keysVersion();
        const result = after > before;
        before = after;
        return result;
      };
      expect(await grows()).toBe(false);
      await store.createKey(key('c'));
      expect(await grows()).toBe(true);
      await store.updateKey('a', (stored) => ({ ...stored, blocked: true }));
      expect(await grows()).toBe(true);
      await store.updateKey('a', (stored) => ({ ...stored, spend: 5 }));
      expect(await grows()).toBe(true);
      await store.deleteKeys(['b']);
      expect(await grows()).toBe(true);
      await store.addSpend([{ id: 'a', usd: 1 }], NOW);
      await store.keyByToken(tokenOf('a'), NOW);
      await store.updateKey('nobody', (stored) => stored);
      await store.deleteKeys(['nobody']);
      expect(await grows()).toBe(false);
    });
  });

  describe(`${name}: spending`, () => {
    const stored = async (store: Store, id = 'a') =>
      (await store.keys(ALL)).keys.find((one) => one.id === id);

    test('adds up exactly', async () => {
      const store = await open(key('a', { spend: 0.1 }), key('b'));
      await store.addSpend([{ id: 'a', usd: 0.2 }], NOW);
      expect((await stored(store))?.spend).toBe(0.3);
      const tenths = Array.from({ length: 1_000 }, () => ({ id: 'a', usd: 0.1 }));
      await store.addSpend([...tenths, { id: 'b', usd: 0.000000001 }], NOW);
      expect((await stored(store))?.spend).toBe(100.3);
      expect((await stored(store, 'b'))?.spend).toBe(0.000000001);
      await store.addSpend([{ id: 'b', usd: 1_999_999.999999998 }], NOW);
      expect((await stored(store, 'b'))?.spend).toBe(1_999_999.999999999);
    });

    test('passes over keys that are gone', async () => {
      const store = await open(key('a'));
      await store.addSpend(
        [
          { id: 'gone', usd: 1 },
          { id: 'a', usd: 1 },
          { id: 'gone', usd: 1 },
        ],
        NOW,
      );
      await store.addSpend([], NOW);
      expect((await stored(store))?.spend).toBe(1);
      expect(await ids(store)).toEqual(['a']);
      expect(await store.keyByToken(tokenOf('gone'), NOW)).toBeNull();
    });

    test.each([-0.01, Number.NaN, Number.NEGATIVE_INFINITY])(
      'of %d dollars is refused, and nothing added',
      async (usd) => {
        const store = await open(key('a'));
        await expect(
          store.addSpend(
            [
              { id: 'a', usd: 1 },
              { id: 'a', usd },
            ],
            NOW,
          ),
        ).rejects.toThrow(RangeError);
        expect((await stored(store))?.spend).toBe(0);
      },
    );

    test('stays at four thousand million dollars', async () => {
      const store = await open(key('a', { spend: 1e300 }));
      await store.addSpend([{ id: 'a', usd: Number.MAX_VALUE }], NOW);
      await store.addSpend([{ id: 'a', usd: 0.01 }], NOW);
      expect((await stored(store))?.spend).toBe(4e9);
    });

    test('is set by a change that sets it', async () => {
      const store = await open(key('a', { spend: 7 }));
      expect((await store.updateKey('a', (one) => ({ ...one, spend: 0.5 })))?.spend).toBe(0.5);
      await store.addSpend([{ id: 'a', usd: 0.25 }], NOW);
      expect((await store.updateKey('a', (one) => ({ ...one, blocked: true })))?.spend).toBe(0.75);
      expect((await store.updateKey('a', (one) => ({ ...one, spend: 0 })))?.spend).toBe(0);
    });

    const utc = Date.UTC;
    test.each<[string, number, number, number]>([
      ['30s', NOW, NOW, NOW + 30_000],
      ['30s', NOW, NOW + 29_999, NOW + 30_000],
      ['30s', NOW, NOW + 30_000, NOW + 60_000],
      ['5m', NOW, NOW + 3_600_001, NOW + 3_900_000],
      ['2h', NOW, NOW + 86_400_000, NOW + 93_600_000],
      ['7d', utc(2026, 0, 5), utc(2026, 0, 5), utc(2026, 0, 12)],
      ['2w', utc(2026, 0, 5), utc(2026, 5, 1), utc(2026, 5, 8)],
      ['1mo', utc(2026, 0, 1), utc(2026, 0, 31, 23, 59), utc(2026, 1, 1)],
      ['1mo', utc(2026, 0, 31), utc(2026, 1, 5), utc(2026, 1, 28)],
      ['1mo', utc(2026, 0, 31), utc(2026, 2, 5), utc(2026, 2, 31)],
      ['1mo', utc(2023, 11, 15, 8), utc(2026, 0, 15, 8), utc(2026, 1, 15, 8)],
      ['3mo', utc(2025, 10, 30), utc(2026, 0, 1), utc(2026, 1, 28)],
      ['1s', utc(1970, 0, 1), NOW + 1, NOW + 1_000],
    ])(
      'begins anew after %s: due at %d, at %d it is next due at %d',
      async (duration, resetAt, now, next) => {
        const store = await open(key('a', { spend: 5, budget: { duration, resetAt } }));
        await store.addSpend(
          [
            { id: 'a', usd: 1 },
            { id: 'a', usd: 0.5 },
          ],
          now,
        );
        expect(await stored(store)).toMatchObject({ spend: 1.5, budget: { duration, resetAt: next } });
        await store.addSpend([{ id: 'a', usd: 1 }], next - 1);
        expect((await stored(store))?.spend).toBe(2.5);
      },
    );

    test('doesn’t begin anew before it is due, or where there is no duration', async () => {
      const due = { duration: '1mo', resetAt: NOW };
      const store = await open(key('a', { spend: 5, budget: due }), key('b', { spend: 5 }));
      await store.addSpend(
        [
          { id: 'a', usd: 1 },
          { id: 'b', usd: 1 },
        ],
        NOW - 1,
      );
      expect(await stored(store)).toMatchObject({ spend: 6, budget: due });
      expect(await stored(store, 'b')).toMatchObject({ spend: 6, budget: null });
    });
  });

  test(`${name}: a closed store has no keys`, async () => {
    const store = await open(key('a'));
    await store.close();
    const verbs = [
      () => store.createKey(key('b')),
      () => store.keyByToken(tokenOf('a'), NOW),
      () => store.keyByAlias('a'),
      () => store.keys(ALL),
      () => store.updateKey('a', (one) => one),
      () => store.deleteKeys(['a']),
      () => store.keysVersion(),
      () => store.addSpend([{ id: 'a', usd: 1 }], NOW),
    ];
    for (const verb of verbs) await expect(verb()).rejects.toMatchObject({ reason: 'store_unavailable' });
  });
}
