import { describe, expect, onTestFinished, test } from 'vitest';
import type { StoredKey } from '../../src/store/key-store.ts';
import type { Store } from '../../src/store/store.ts';
import { openStore } from './open-store.ts';
import { key, SPENT_AT, tokenOf } from './samples.ts';
import { firstCall, reached, startProcess } from './start-process.ts';

/** What every store must do with keys when several processes use it. `freshLocation` as for `storeContract`. */
export function keyConcurrencyContract(name: string, freshLocation: () => string): void {
  async function open(location: string): Promise<Store> {
    const store = await openStore(location);
    onTestFinished(() => store.close());
    return store;
  }

  async function openTwice(): Promise<readonly [Store, Store, string]> {
    const location = freshLocation();
    return [await open(location), await open(location), location];
  }

  const find = (store: Store, id: string): Promise<StoredKey | null> => store.keyByToken(tokenOf(id), 0);

  /** Nothing else than these, page by page. */
  async function allIds(store: Store): Promise<readonly string[]> {
    const found: string[] = [];
    for (;;) {
      const { keys, total } = await store.keys({
        offset: found.length,
        limit: 100,
        userId: null,
        teamId: null,
        alias: null,
      });
      found.push(...keys.map(({ id }) => id));
      if (keys.length === 0) {
        expect(total).toBe(found.length);
        return found;
      }
    }
  }

  describe(`${name}: keys of several processes`, () => {
    test('lose no change of several made at a time', async () => {
      const [one, two, location] = await openTwice();
      await one.createKey(key('k'));
      const processes = ['k', 'k'].map((id) => startProcess(location, 'key-bumps', id, 30));
      const bump = (store: Store) =>
        store.updateKey('k', (stored) => ({ ...stored, rpmLimit: (stored.rpmLimit ?? 0) + 1 }));
      await Promise.all(Array.from({ length: 20 }, (_, index) => bump(index % 2 === 0 ? one : two)));
      for (const { ended } of processes) expect(await ended).toBe(0);
      expect((await find(two, 'k'))?.rpmLimit).toBe(80);
    });

    test('spend exactly what each has spent, while the key is changed', async () => {
      const [one, two, location] = await openTwice();
      await one.createKey(key('k', { spend: 0.3 }));
      const processes = ['k', 'k'].map((id) => startProcess(location, 'spends', id, 30));
      await Promise.all(
        Array.from({ length: 20 }, (_, index) => {
          const [spender, changer] = index % 2 === 0 ? [one, two] : [two, one];
          return Promise.all([
            spender.addSpend([{ id: 'k', usd: 0.1 }], SPENT_AT),
            changer.updateKey('k', (stored) => ({ ...stored, tags: [...stored.tags, `${index}`] })),
          ]);
        }),
      );
      for (const { ended } of processes) expect(await ended).toBe(0);
      const stored = await find(two, 'k');
      expect(stored?.spend).toBe(8.3);
      expect(stored?.tags).toHaveLength(20);
    });

    test('begin a budget anew once', async () => {
      const [one, two, location] = await openTwice();
      await one.createKey(key('k', { spend: 100, budget: { duration: '1d', resetAt: SPENT_AT } }));
      const processes = ['k', 'k'].map((id) => startProcess(location, 'spends', id, 10));
      await Promise.all([one, two].map((store) => store.addSpend([{ id: 'k', usd: 0.1 }], SPENT_AT)));
      for (const { ended } of processes) expect(await ended).toBe(0);
      expect(await find(one, 'k')).toMatchObject({
        spend: 2.2,
        budget: { duration: '1d', resetAt: SPENT_AT + 86_400_000 },
      });
    });

    test('that want one alias get it once, and the other is told', async () => {
      const [store, , location] = await openTwice();
      const COUNT = 30;
      const processes = ['p', 'q'].map((who) => startProcess(location, 'aliases', who, COUNT));
      for (const { ended } of processes) expect(await ended).toBe(0);
      const lines = processes.flatMap((one) => one.lines);
      const got = lines.filter((line) => line !== 'already_exists');
      expect(lines).toHaveLength(2 * COUNT);
      expect(got.toSorted()).toEqual((await allIds(store)).toSorted());
      expect(got).toHaveLength(COUNT);
    });

    test('that delete the same keys do so once', async () => {
      const [one, two] = await openTwice();
      for (const id of ['a', 'b', 'c']) await one.createKey(key(id));
      const answers = await Promise.all([
        one.deleteKeys(['a', 'b']),
        two.deleteKeys(['a', 'b']),
        two.deleteKeys(['b', 'c']),
      ]);
      expect(answers.filter((answer) => answer)).toHaveLength(1);
      expect((await allIds(one)).length).toBe(1);
    });

    test('hear of each other’s changes, with another version', async () => {
      const [one, two] = await openTwice();
      const changes: (() => Promise<unknown>)[] = [
        () => one.createKey(key('a')),
        () => one.updateKey('a', (stored) => ({ ...stored, blocked: true })),
        () => one.deleteKeys(['a']),
      ];
      for (const change of changes) {
        const before = await two.keysVersion();
        const heard = firstCall();
        const stop = two.watch(heard.call);
        await change();
        await heard.happened;
        stop();
        expect(await two.keysVersion()).toBeGreaterThan(before);
      }
    });

    test('find all keys and no revoked one after their maker was killed', async () => {
      const location = freshLocation();
      const maker = startProcess(location, 'keys', 'p', 1_000_000);
      await reached(maker, 1_500);
      maker.child.kill('SIGKILL');
      await maker.ended;
      const created = maker.lines.filter((line) => line.startsWith('+')).map((line) => line.slice(1));
      const revoked = new Set(
        maker.lines.filter((line) => line.startsWith('-')).map((line) => line.slice(1)),
      );
      expect(created.length).toBeGreaterThanOrEqual(1_000);
      expect(revoked.size).toBeGreaterThanOrEqual(500);
      const store = await open(location);
      const alive = new Set(await allIds(store));
      expect(created.filter((id) => !revoked.has(id) && !alive.has(id))).toEqual([]);
      expect([...revoked].filter((id) => alive.has(id))).toEqual([]);
      const byToken = await Promise.all(
        created.map(async (id) => [id, (await find(store, id))?.id ?? null] as const),
      );
      expect(byToken.filter(([id, found]) => (found !== null) !== alive.has(id))).toEqual([]);
      // What was under way when it was killed: one creation or one deletion.
      const expected = created.length - revoked.size;
      expect(Math.abs(alive.size - expected)).toBeLessThanOrEqual(1);
      // Each acknowledgement waits for the disk, which others may keep busy.
    }, 60_000);
  });
}
