import { describe, expect, onTestFinished, test } from 'vitest';
import { SluiceError } from '../../src/base/errors.ts';
import { openSqliteStore } from '../../src/store/sqlite-store.ts';
import type { Store } from '../../src/store/store.ts';
import { exportStore } from '../../src/store/transfer-export.ts';
import { readTransfer, TransferFileError } from '../../src/store/transfer-file.ts';
import { type ImportResult, importTransfer, StoreNotEmptyError } from '../../src/store/transfer-import.ts';
import { configuration, key, route, tokenOf } from './samples.ts';

const NOW = Date.UTC(2026, 0, 1);
const HEADER = '{"sluice":"store","version":1,"exportedAt":"2026-01-01T00:00:00.000Z"}';
const ALL = { offset: 0, limit: 10_000, userId: null, teamId: null, alias: null };

async function open(): Promise<Store> {
  const store = await openSqliteStore({ file: ':memory:' });
  onTestFinished(() => store.close());
  return store;
}

/** A store with something of each kind, strange names included. */
async function openFull(): Promise<Store> {
  const store = await open();
  const odd = JSON.parse('{"__proto__":{"a":1},"constructor":"c","é":"\\ud800","n":[1e308,-0.1,null]}');
  await store.createConfiguration(configuration('c1', { modelKwargs: { api_key: 'sk-upstream', odd } }));
  await store.createConfiguration(configuration('c2', { modelId: '__proto__' }));
  await store.setLoaded('qwen', 'c1');
  await store.setLoaded('__proto__', 'c2');
  await store.setLoaded('gone', 'c3');
  await store.createRoute(
    route('r1', { headers: JSON.parse('{"Authorization":"Bearer u","__proto__":"p"}') }),
  );
  await store.createRoute(
    route('r2', { methods: ['GET'], includeSubpath: true, costPerRequest: 0.1, timeoutMs: 5 }),
  );
  await store.createKey(key('k1', { createdAt: NOW + 2 }));
  await store.createKey(
    key('k2', {
      previous: { token: tokenOf('before'), until: NOW },
      alias: 'line\nfeed \u2028',
      models: ['a/*'],
      allowedRoutes: ['/vllm'],
      rpmLimit: 0,
      maxBudget: 0.1,
      budget: { duration: '1mo', resetAt: NOW },
      spend: 1_234_567.123456789,
      userId: 'u',
      teamId: 't',
      metadata: odd,
      tags: [''],
      blocked: true,
      expiresAt: NOW,
      createdAt: NOW + 1,
    }),
  );
  await store.createKey(key('k3', { createdAt: NOW + 1 }));
  return store;
}

async function exported(store: Store): Promise<string> {
  return [...(await exportStore(store, new Date(NOW))).lines].join('');
}

async function* piecesOf(text: string | Uint8Array, size = 65_536): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const read = (text: string | Uint8Array, size?: number) => readTransfer(piecesOf(text, size), 'f.jsonl');

async function imported(store: Store, text: string, merge = false): Promise<ImportResult> {
  return importTransfer(store, await read(text), { merge });
}

/** The faults of a text that can't be imported. */
async function faultsOf(text: string | Uint8Array): Promise<string> {
  const thrown: unknown = await read(text).catch((error: unknown) => error);
  expect(thrown).toBeInstanceOf(TransferFileError);
  return (thrown as TransferFileError).message;
}

/** All of a store as text: `toEqual` takes no notice of a name like __proto__. */
const contents = async (store: Store) =>
  JSON.stringify([
    await store.configurations(),
    await store.routes(),
    (await store.keys(ALL)).keys,
    [...(await store.loaded())].toSorted(),
  ]);

const NONE = { configuration: 0, loaded: 0, route: 0, key: 0 };
const FULL = { configuration: 2, loaded: 3, route: 2, key: 3 };

describe('an export', () => {
  test('has all of a store, and an empty store has all of it after its import', async () => {
    const store = await openFull();
    const text = await exported(store);
    const other = await open();
    expect(await imported(other, text)).toEqual({ created: FULL, kept: NONE, refused: [] });
    expect(await contents(other)).toBe(await contents(store));
    expect(await exported(other)).toBe(text);
  });

  test('is lines of JSON: a header, the records, oldest first, and how many there are', async () => {
    const lines = (await exported(await openFull())).split('\n');
    expect(lines.pop()).toBe('');
    expect(lines[0]).toBe(HEADER);
    expect(lines.at(-1)).toBe('{"end":{"configuration":2,"loaded":3,"route":2,"key":3}}');
    const records = lines.slice(1, -1).map((line) => JSON.parse(line));
    expect(records.map((record) => Object.keys(record)[0])).toEqual([
      ...['configuration', 'configuration', 'route', 'route', 'key', 'key', 'key'],
      ...['loaded', 'loaded', 'loaded'],
    ]);
    expect(records.flatMap((record) => record.key?.id ?? [])).toEqual(['k2', 'k3', 'k1']);
    expect(records[0].configuration.modelKwargs.api_key).toBe('sk-upstream');
  });

  test('of an empty store is one of nothing', async () => {
    const text = await exported(await open());
    expect(text).toBe(`${HEADER}\n{"end":{"configuration":0,"loaded":0,"route":0,"key":0}}\n`);
    expect(await imported(await open(), text)).toEqual({ created: NONE, kept: NONE, refused: [] });
  });

  test('has thousands of keys in their order', async () => {
    const store = await open();
    for (let index = 0; index < 2_500; index++) await store.createKey(key(`${index}`));
    const other = await open();
    const result = await imported(other, await exported(store));
    expect(result.created.key).toBe(2_500);
    expect(await contents(other)).toBe(await contents(store));
  });

  test('misses no key when another goes while it is read', async () => {
    const store = await open();
    for (let index = 0; index < 1_500; index++) await store.createKey(key(`${index}`));
    let pages = 0;
    const changing = withVerb(store, 'keys', async (query) => {
      const page = await store.keys(query);
      // Behind the first page: what was 1,001st is now on it.
      if (++pages === 1) await store.deleteKeys(['1499']);
      return page;
    });
    const { counts, lines } = await exportStore(changing, new Date(NOW));
    expect(counts.key).toBe(1_499);
    const ids = [...lines].flatMap((line) => JSON.parse(line).key?.id ?? []);
    expect(ids).toEqual(Array.from({ length: 1_499 }, (_, index) => `${index}`));
  });

  test('is given up when keys never come to rest', async () => {
    const store = await open();
    let count = 0;
    const changing = withVerb(store, 'keys', async (query) => {
      await store.createKey(key(`${count++}`));
      return store.keys(query);
    });
    await expect(exportStore(changing, new Date(NOW))).rejects.toThrow(
      /^keys are being changed all the time; /,
    );
  });
});

describe('a file', () => {
  test('is read the same however its bytes come', async () => {
    const text = await exported(await openFull());
    const whole = await read(text);
    for (const size of [1, 2, 3, 7, 100]) expect(await read(text, size)).toEqual(whole);
    expect(await read(text.slice(0, -1))).toEqual(whole);
    expect(await read(text.replaceAll('\n', '\r\n'))).toEqual(whole);
  });

  test('that was cut off anywhere is refused', async () => {
    const bytes = Buffer.from(await exported(await openFull()));
    for (let length = 0; length < bytes.length - 1; length++) {
      const thrown: unknown = await read(bytes.subarray(0, length)).catch((error: unknown) => error);
      expect(thrown, `${length} bytes`).toBeInstanceOf(TransferFileError);
    }
  });

  const NOT_AN_EXPORT =
    'f.jsonl:1: not an export of a Sluice store: the first line of one begins with {"sluice":"store"';
  const END = '{"end":{"configuration":0,"loaded":0,"route":0,"key":0}}';
  const KEY = JSON.stringify({ key: key('k') });
  const keyWith = (part: object) => JSON.stringify({ key: { ...key('k'), ...part } });
  const routeWith = (part: object) => JSON.stringify({ route: { ...route('r'), ...part } });

  test.each<[string, string, string]>([
    ['nothing', '', NOT_AN_EXPORT],
    ['another file', 'general_settings:\n  master_key: sk-1\n', NOT_AN_EXPORT],
    ['other JSON', '{"model_list":[]}', NOT_AN_EXPORT],
    ['another header', '{"sluice":"config","version":1}', NOT_AN_EXPORT],
    ['a byte order mark', `\ufeff${HEADER}\n${END}\n`, NOT_AN_EXPORT],
    ['no header', `${KEY}\n${END}`, NOT_AN_EXPORT],
    [
      'a newer version, of which nothing more is read',
      '{"sluice":"store","version":2}\nwhatever\n',
      'f.jsonl:1: version 2 of the format; this Sluice reads version 1',
    ],
    [
      'no end',
      `${HEADER}\n${KEY}\n`,
      'f.jsonl:2: the file is cut off here: the last line of an export begins with {"end"',
    ],
    [
      'less than the end says',
      `${HEADER}\n${END.replace('"key":0', '"key":1')}`,
      'f.jsonl:2: lines are missing, or too many: key 0 times, of 1',
    ],
    [
      'more than the end says',
      `${HEADER}\n${KEY}\n${END}`,
      'f.jsonl:3: lines are missing, or too many: key 1 times, of 0',
    ],
    ['something behind the end', `${HEADER}\n${END}\n${KEY}`, 'f.jsonl:3: stands behind the end'],
    ['a second header', `${HEADER}\n${HEADER}\n${END}`, 'f.jsonl:2: a header, which only line 1 is'],
    ['an empty line', `${HEADER}\n\n${END}`, 'f.jsonl:2: not JSON'],
    ['no object', `${HEADER}\n[1]\n${END}`, 'f.jsonl:2: not a JSON object'],
    [
      'an unknown kind',
      `${HEADER}\n{"team":{}}\n${END}`,
      'f.jsonl:2: neither a configuration, a loaded mark, a route nor a key',
    ],
    [
      'a kind of Object.prototype',
      `${HEADER}\n{"__proto__":{}}\n${END}`,
      'f.jsonl:2: neither a configuration, a loaded mark, a route nor a key',
    ],
    [
      'an empty object',
      `${HEADER}\n{}\n${END}`,
      'f.jsonl:2: neither a configuration, a loaded mark, a route nor a key',
    ],
    ['two kinds on a line', `${HEADER}\n{"key":{},"route":{}}\n${END}`, 'f.jsonl:2: says several things'],
    ['the same key twice', `${HEADER}\n${KEY}\n${KEY}\n${END}`, 'f.jsonl:3: the same key as on line 2'],
    [
      'a key with a wrong type',
      `${HEADER}\n${keyWith({ rpmLimit: '1' })}\n${END}`,
      'f.jsonl:2: key.rpmLimit: Invalid input: expected number, received string',
    ],
    [
      'a key with half a limit',
      `${HEADER}\n${keyWith({ rpmLimit: 0.5 })}\n${END}`,
      'f.jsonl:2: key.rpmLimit: Invalid input: expected int, received number',
    ],
    [
      'a key that earns',
      `${HEADER}\n${keyWith({ spend: -1 })}\n${END}`,
      'f.jsonl:2: key.spend: Too small: expected number to be >=0',
    ],
    [
      'a key without a field',
      `${HEADER}\n${keyWith({ token: undefined })}\n${END}`,
      'f.jsonl:2: key.token: Invalid input: expected string, received undefined',
    ],
    [
      'a key with a field too many',
      `${HEADER}\n${keyWith({ secret: 'sk-1' })}\n${END}`,
      'f.jsonl:2: key: Unrecognized key: "secret"',
    ],
    [
      'a key with odd models',
      `${HEADER}\n${keyWith({ models: ['a', 1] })}\n${END}`,
      'f.jsonl:2: key.models.1: Invalid input: expected string, received number',
    ],
    [
      'a key with a list for metadata',
      `${HEADER}\n${keyWith({ metadata: [] })}\n${END}`,
      'f.jsonl:2: key.metadata: Invalid input: expected object',
    ],
    [
      'a route with odd headers',
      `${HEADER}\n${routeWith({ headers: { a: 1 } })}\n${END}`,
      'f.jsonl:2: route.headers: Invalid input: expected object of strings',
    ],
    [
      'several faults',
      `${HEADER}\nx\n${keyWith({ alias: 1 })}\n`,
      'f.jsonl:2: not JSON\nf.jsonl:3: key.alias: Invalid input: expected string, received number',
    ],
  ])('with %s is refused, with the line', async (_what, text, faults) => {
    expect(await faultsOf(text)).toBe(faults);
  });

  test('with bytes that are no UTF-8 is refused, with the line', async () => {
    const bytes = Buffer.from(`${HEADER}\n${keyWith({ alias: 'ü' })}\n${END}\n`);
    bytes[bytes.indexOf(0xc3)] = 0x20;
    expect(await faultsOf(bytes)).toBe('f.jsonl:2: not UTF-8 text');
  });

  test('with very many faults names some', async () => {
    const faults = (await faultsOf(`${HEADER}\n${'x\n'.repeat(1_000)}`)).split('\n');
    expect(faults).toHaveLength(21);
    expect(faults.at(-1)).toBe('… and 980 more');
  });

  test('is quoted nowhere in what is said of it', async () => {
    const secret = 'sk-very-secret';
    const said = await faultsOf(
      `${HEADER}\n{"key":"${secret}\n{"route":"${secret}"}\n${keyWith({ rpmLimit: secret })}\n`,
    );
    expect(said.split('\n')).toHaveLength(3);
    expect(said).not.toContain(secret);
  });
});

describe('an import', () => {
  test('refuses a store that has something else, and leaves it alone', async () => {
    const text = await exported(await openFull());
    for (const fill of [
      (store: Store) => store.createKey(key('other')),
      (store: Store) => store.createRoute(route('other')),
      (store: Store) => store.createConfiguration(configuration('other')),
      (store: Store) => store.setLoaded('other', 'c'),
      // The same id with another value is something else, too.
      (store: Store) => store.createKey(key('k1', { blocked: true, createdAt: NOW + 2 })),
    ]) {
      const store = await open();
      await fill(store);
      const before = await contents(store);
      await expect(imported(store, text)).rejects.toBeInstanceOf(StoreNotEmptyError);
      expect(await contents(store)).toBe(before);
    }
  });

  test('that was interrupted is finished by the same one again, wherever it was', async () => {
    const full = await openFull();
    const text = await exported(full);
    const expected = await contents(full);
    for (let verbs = 0; verbs <= 10; verbs++) {
      const store = await open();
      let left = verbs;
      const failing = new Proxy(store, {
        get(target, name) {
          const verb: unknown = Reflect.get(target, name);
          if (typeof verb !== 'function') return verb;
          return (...args: readonly unknown[]) =>
            /^(?:create|set)/.test(String(name)) && left-- <= 0
              ? Promise.reject(new SluiceError('store_unavailable', 'gone'))
              : verb.apply(target, args);
        },
      });
      if (verbs < 10)
        await expect(imported(failing, text)).rejects.toMatchObject({ reason: 'store_unavailable' });
      else await imported(failing, text);
      const { created, kept, refused } = await imported(store, text);
      const sum = (counts: object) => Object.values(counts).reduce((total, count) => total + count, 0);
      expect([sum(kept), sum(created), refused]).toEqual([verbs, 10 - verbs, []]);
      expect(await contents(store)).toBe(expected);
    }
  });

  test('merges: what has the same id stays, the rest is added', async () => {
    const text = await exported(await openFull());
    const store = await open();
    await store.createKey(key('k1', { spend: 9, alias: 'mine' }));
    await store.createKey(key('mine'));
    await store.createRoute(route('r1', { auth: false }));
    await store.setLoaded('qwen', 'mine');
    const { created, kept, refused } = await imported(store, text, true);
    expect(kept).toEqual({ configuration: 0, loaded: 1, route: 1, key: 1 });
    expect(created).toEqual({ configuration: 2, loaded: 2, route: 1, key: 2 });
    expect(refused).toEqual([]);
    expect(await store.keyByAlias('mine')).toMatchObject({ id: 'k1', spend: 9 });
    expect((await store.loaded()).get('qwen')).toBe('mine');
    expect((await store.routes()).map(({ id, auth }) => [id, auth])).toEqual([
      ['r1', false],
      ['r2', true],
    ]);
    expect((await store.keys(ALL)).total).toBe(4);
  });

  test('names the lines that another one stands in the way of, and imports the others', async () => {
    const text = await exported(await openFull());
    const store = await open();
    await store.createKey(key('x', { alias: 'line\nfeed \u2028' }));
    await store.createKey(key('y', { token: tokenOf('k3') }));
    await store.createRoute(route('z', { path: '/r2', methods: ['GET'] }));
    const { created, refused } = await imported(store, text, true);
    expect(created).toEqual({ configuration: 2, loaded: 3, route: 1, key: 1 });
    expect(refused).toEqual([
      { line: 5, why: 'The route z takes GET on /r2 already.' },
      { line: 6, why: 'Another key has the alias "line\\nfeed \u2028" already.' },
      { line: 7, why: 'This key exists already.' },
    ]);
  });
});

function withVerb<Name extends keyof Store>(store: Store, name: Name, verb: Store[Name]): Store {
  return new Proxy(store, {
    get(target, asked) {
      if (asked === name) return verb;
      const own: unknown = Reflect.get(target, asked);
      return typeof own === 'function' ? own.bind(target) : own;
    },
  });
}
