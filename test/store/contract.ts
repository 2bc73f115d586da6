import { describe, expect, onTestFinished, test } from 'vitest';
import { SluiceError } from '../../src/base/errors.ts';
import type { Json } from '../../src/base/json.ts';
import type { Store } from '../../src/store/store.ts';
import { openStore } from './open-store.ts';
import { configuration, route } from './samples.ts';
import { firstCall, reached, startProcess } from './start-process.ts';

/** What every store must do. `freshLocation` names a place, for `openStore`, where nothing is kept yet. */
export function storeContract(name: string, freshLocation: () => string): void {
  async function open(location = freshLocation()): Promise<Store> {
    const store = await openStore(location);
    onTestFinished(() => store.close());
    return store;
  }

  async function openTwice(): Promise<readonly [Store, Store, string]> {
    const location = freshLocation();
    return [await open(location), await open(location), location];
  }

  describe(`${name}: configurations`, () => {
    test('are kept whole, oldest first', async () => {
      const store = await open();
      const one = configuration('1', {
        modelKwargs: { temperature: 0.7, nested: { list: [1, 'a', null, true] } },
      });
      const two = configuration('2', { modelId: 'other' });
      expect(await store.configurations()).toEqual([]);
      await store.createConfiguration(two);
      await store.createConfiguration(one);
      expect(await store.configurations()).toEqual([two, one]);
      expect(await store.configuration('1')).toEqual(one);
      expect(await store.configuration('3')).toBeNull();
    });

    test('have an id of their own', async () => {
      const store = await open();
      await store.createConfiguration(configuration('1'));
      const again = store.createConfiguration(configuration('1', { modelId: 'other' }));
      await expect(again).rejects.toMatchObject({ reason: 'already_exists' });
      expect(await store.configurations()).toEqual([configuration('1')]);
    });

    test('are deleted once', async () => {
      const store = await open();
      await store.createConfiguration(configuration('1'));
      expect(await store.deleteConfiguration('1')).toBe(true);
      expect(await store.deleteConfiguration('1')).toBe(false);
      expect(await store.configurations()).toEqual([]);
      await store.createConfiguration(configuration('1'));
      expect(await store.configuration('1')).toEqual(configuration('1'));
    });

    test('keep names of Object.prototype as plain keys', async () => {
      const store = await open();
      const given =
        '{"__proto__":{"a":1},"constructor":"c","toString":[{"__proto__":null}],"hasOwnProperty":0}';
      await store.createConfiguration(configuration('1', { modelKwargs: JSON.parse(given) }));
      const read = await store.configuration('1');
      expect(JSON.stringify(read?.modelKwargs)).toBe(given);
      await store.createConfiguration(configuration('2'));
      expect((await store.configuration('2'))?.modelKwargs.constructor).toBeUndefined();
    });

    test.each([
      ['Unicode', 'Zażółć 模型 👩‍👩‍👧 \u2028 e\u0301'],
      ['NUL and control characters', 'a\0b\u0001\t\r\n'],
      ['quotes and SQL', `'); DROP TABLE configuration; --"`],
      ['nothing', ''],
      ['a great deal', 'ü'.repeat(300_000)],
    ])('keep %s as it is', async (_what, text) => {
      const store = await open();
      const given = configuration(`id ${text}`, {
        modelId: text,
        modelName: text,
        modelKwargs: { [text]: text },
      });
      await store.createConfiguration(given);
      await store.setLoaded(text, given.configId);
      expect(await store.configuration(given.configId)).toEqual(given);
      expect([...(await store.loaded())]).toEqual([[text, given.configId]]);
    });

    test.each<[string, Json]>([
      ['numbers', [0, -1, 0.1, 1e308, 5e-324, 9007199254740991, -9007199254740991]],
      ['lone surrogates', ['\ud800', 'a\udc00b']],
      ['deep nesting', JSON.parse('['.repeat(90) + ']'.repeat(90))],
    ])('keep %s in their arguments', async (_what, value) => {
      const store = await open();
      await store.createConfiguration(configuration('1', { modelKwargs: { value } }));
      expect((await store.configuration('1'))?.modelKwargs).toEqual({ value });
    });

    test('come back detached: changing what was given or returned changes nothing stored', async () => {
      const store = await open();
      const kwargs = { list: [1] };
      await store.createConfiguration(configuration('1', { modelKwargs: kwargs }));
      kwargs.list.push(2);
      const read = (await store.configuration('1'))?.modelKwargs.list as number[];
      try {
        read.push(3);
      } catch (error) {
        expect(error).toBeInstanceOf(TypeError); // frozen
      }
      expect((await store.configuration('1'))?.modelKwargs).toEqual({ list: [1] });
    });

    test('are 1,000, in order', async () => {
      const store = await open();
      const ids = Array.from({ length: 1_000 }, (_, index) => `id-${(index * 7919) % 1_000}`);
      await Promise.all(ids.map((id) => store.createConfiguration(configuration(id))));
      expect((await store.configurations()).map(({ configId }) => configId)).toEqual(ids);
    });
  });

  describe(`${name}: what is loaded`, () => {
    test('is one configuration a model, until it is none', async () => {
      const store = await open();
      expect([...(await store.loaded())]).toEqual([]);
      await store.setLoaded('a', '1');
      await store.setLoaded('b', '2');
      await store.setLoaded('a', '3');
      expect(new Map(await store.loaded())).toEqual(
        new Map([
          ['a', '3'],
          ['b', '2'],
        ]),
      );
      await store.setLoaded('a', null);
      await store.setLoaded('c', null);
      expect([...(await store.loaded())]).toEqual([['b', '2']]);
    });

    test('stays when its configuration goes', async () => {
      const store = await open();
      await store.createConfiguration(configuration('1'));
      await store.setLoaded('qwen', '1');
      await store.deleteConfiguration('1');
      expect([...(await store.loaded())]).toEqual([['qwen', '1']]);
    });
  });

  describe(`${name}: routes`, () => {
    const FULL = route('full', {
      headers: JSON.parse('{"Authorization":"Bearer a","__proto__":"p","constructor":"c","x-ü":"ü"}'),
      includeSubpath: false,
      methods: ['GET', 'POST'],
      forwardHeaders: true,
      auth: false,
      defaultQueryParams: JSON.parse('{"__proto__":"p","a":""}'),
      costPerRequest: 0.0000001,
      timeoutMs: 1_500,
    });

    test('are kept whole, oldest first', async () => {
      const store = await open();
      await store.createRoute(route('b'));
      await store.createRoute(FULL);
      await store.createRoute(route('a', { includeSubpath: true, costPerRequest: 0 }));
      const routes = await store.routes();
      expect(routes.map(({ id }) => id)).toEqual(['b', 'full', 'a']);
      expect(JSON.stringify(routes[1])).toBe(JSON.stringify(FULL));
      expect(routes[2]).toEqual(route('a', { includeSubpath: true, costPerRequest: 0 }));
      expect(routes[0]?.headers.constructor).toBeUndefined();
    });

    test('have an id of their own', async () => {
      const store = await open();
      await store.createRoute(route('1'));
      const again = store.createRoute(route('1', { path: '/other' }));
      await expect(again).rejects.toMatchObject({ reason: 'already_exists' });
      expect(await store.routes()).toEqual([route('1')]);
    });

    test.each([
      [['GET'], ['POST'], null],
      [['GET', 'POST'], ['PUT', 'POST'], 'POST'],
      [[], ['PATCH'], 'PATCH'],
      [['HEAD'], [], 'HEAD'],
      [[], [], 'GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS'],
    ])('with the methods %j and %j on one path have in common: %s', async (first, second, common) => {
      const store = await open();
      await store.createRoute(route('1', { path: '/p', methods: first }));
      await store.createRoute(route('3', { path: '/p/below', methods: first }));
      const creating = store.createRoute(route('2', { path: '/p', methods: second }));
      if (common === null) await creating;
      else {
        await expect(creating).rejects.toMatchObject({
          reason: 'already_exists',
          message: `The route 1 takes ${common} on /p already.`,
          param: 'path',
        });
      }
      expect(await store.routes()).toHaveLength(common === null ? 3 : 2);
    });

    test('are replaced in their place', async () => {
      const store = await open();
      await store.createRoute(route('a'));
      await store.createRoute(route('b'));
      const changed = route('a', { path: '/new', headers: { x: 'y' }, timeoutMs: 5 });
      const seen: unknown[] = [];
      const updated = await store.updateRoute('a', (stored) => {
        seen.push(stored);
        return { ...changed, id: 'ignored' };
      });
      expect(updated).toEqual(changed);
      expect(seen).toContainEqual(route('a'));
      expect(await store.routes()).toEqual([changed, route('b')]);
      expect(await store.updateRoute('c', () => changed)).toBeNull();
    });

    test('stay as they are when a change throws, or takes what another has', async () => {
      const store = await open();
      await store.createRoute(route('a'));
      await store.createRoute(route('b'));
      const failing = store.updateRoute('a', () => {
        throw new SluiceError('invalid_request', 'no');
      });
      await expect(failing).rejects.toThrow(new SluiceError('invalid_request', 'no'));
      await expect(store.updateRoute('a', (stored) => ({ ...stored, path: '/b' }))).rejects.toMatchObject({
        reason: 'already_exists',
      });
      expect(await store.routes()).toEqual([route('a'), route('b')]);
      // What a route has already doesn't stand in its own way.
      expect(await store.updateRoute('a', (stored) => ({ ...stored, auth: false }))).toMatchObject({
        auth: false,
      });
    });

    test('are returned when they are deleted, and what they had is free', async () => {
      const store = await open();
      await store.createRoute(FULL);
      expect(JSON.stringify(await store.deleteRoute('full'))).toBe(JSON.stringify(FULL));
      expect(await store.deleteRoute('full')).toBeNull();
      await store.createRoute(route('other', { path: '/full' }));
      expect(await store.routes()).toHaveLength(1);
    });
  });

  describe(`${name}: several processes`, () => {
    test('write at a time, and nothing is refused or lost', async () => {
      const [one, two, location] = await openTwice();
      const COUNT = 40;
      const processes = ['p', 'q'].map((who) => startProcess(location, 'configurations', who, COUNT));
      const writeAll = async (store: Store, who: string) => {
        for (let index = 0; index < COUNT; index++)
          await store.createConfiguration(configuration(`${who}-${index}`));
      };
      await Promise.all([
        writeAll(one, 'a'),
        writeAll(two, 'b'),
        ...processes.map(async ({ ended }) => expect(await ended).toBe(0)),
      ]);
      const ids = (await two.configurations()).map(({ configId }) => configId);
      const expected = ['a', 'b', 'p', 'q'].flatMap((who) =>
        Array.from({ length: COUNT }, (_, i) => `${who}-${i}`),
      );
      expect(ids.toSorted()).toEqual(expected.toSorted());
      // Each writer's own are in its order.
      expect(ids.filter((id) => id.startsWith('p-'))).toEqual(expected.filter((id) => id.startsWith('p-')));
    });

    test('that want one path get it once', async () => {
      const [store, , location] = await openTwice();
      const COUNT = 30;
      const processes = ['p', 'q'].map((who) => startProcess(location, 'paths', who, COUNT));
      for (const { ended } of processes) expect(await ended).toBe(0);
      const stored = (await store.routes()).map(({ id }) => id).toSorted();
      expect(processes.flatMap(({ lines }) => lines.filter((line) => line !== 'taken')).toSorted()).toEqual(
        stored,
      );
      expect(new Set((await store.routes()).map(({ path }) => path)).size).toBe(COUNT);
      expect(stored).toHaveLength(COUNT);
    });

    test('lose no change of two made at a time', async () => {
      const [one, two, location] = await openTwice();
      await one.createRoute(route('r'));
      const bump = (store: Store) =>
        store.updateRoute('r', (stored) => ({ ...stored, timeoutMs: (stored.timeoutMs ?? 0) + 1 }));
      const processes = [startProcess(location, 'bumps', 'r', 30), startProcess(location, 'bumps', 'r', 30)];
      await Promise.all(Array.from({ length: 20 }, (_, index) => bump(index % 2 === 0 ? one : two)));
      for (const { ended } of processes) expect(await ended).toBe(0);
      expect((await two.routes())[0]?.timeoutMs).toBe(80);
    });

    test('find what one of them was answered before it was killed', async () => {
      const location = freshLocation();
      const writer = startProcess(location, 'configurations', 'p', 1_000_000);
      const { lines } = writer;
      await reached(writer, 25);
      writer.child.kill('SIGKILL');
      await writer.ended;
      const store = await open(location);
      const stored = await store.configurations();
      const acknowledged = lines.length;
      expect(acknowledged).toBeGreaterThanOrEqual(25);
      expect(stored.slice(0, acknowledged).map(({ configId }) => configId)).toEqual(lines);
      expect(stored.length - acknowledged).toBeLessThanOrEqual(2); // stored, and killed before it could say so
      expect(stored.at(-1)?.modelKwargs.index).toBe(stored.length - 1);
      await store.createConfiguration(configuration('after'));
    });

    test('see the same after all have closed and opened again', async () => {
      const location = freshLocation();
      const store = await open(location);
      await store.createRoute(route('a'));
      await store.setLoaded('m', '1');
      await store.close();
      const again = await open(location);
      expect(await again.routes()).toEqual([route('a')]);
      expect([...(await again.loaded())]).toEqual([['m', '1']]);
    });
  });

  describe(`${name}: watching`, () => {
    test('tells what another store object has changed, when it can be read', async () => {
      const [one, two] = await openTwice();
      const heard = firstCall();
      onTestFinished(two.watch(heard.call));
      await one.createRoute(route('a'));
      await heard.happened;
      expect(await two.routes()).toEqual([route('a')]);
    });

    test('tells of every kind of change', async () => {
      const [one, two] = await openTwice();
      const changes: (() => Promise<unknown>)[] = [
        () => one.createConfiguration(configuration('1')),
        () => one.setLoaded('qwen', '1'),
        () => one.setLoaded('qwen', null),
        () => one.deleteConfiguration('1'),
        () => one.createRoute(route('a')),
        () => one.updateRoute('a', (stored) => ({ ...stored, auth: false })),
        () => one.deleteRoute('a'),
      ];
      for (const change of changes) {
        const heard = firstCall();
        const stop = two.watch(heard.call);
        await change();
        await heard.happened;
        stop();
      }
    });

    test('tells what another process has changed', async () => {
      const location = freshLocation();
      const store = await open(location);
      const heard = firstCall();
      onTestFinished(store.watch(heard.call));
      startProcess(location, 'configurations', 'p', 1);
      await heard.happened;
      expect(await store.configurations()).toHaveLength(1);
    });

    test('ends when it is stopped, for this watcher alone', async () => {
      const [one, two] = await openTwice();
      let stopped = 0;
      const stop = two.watch(() => stopped++);
      const heard = firstCall();
      onTestFinished(two.watch(heard.call));
      stop();
      stop();
      await one.createRoute(route('a'));
      await heard.happened;
      expect(stopped).toBe(0);
    });
  });

  describe(`${name}: its end`, () => {
    test('makes verbs fail, and comes twice without harm', async () => {
      const [store, other] = await openTwice();
      expect(await store.check()).toBe(true);
      await store.close();
      await store.close();
      expect(await store.check()).toBe(false);
      await expect(store.routes()).rejects.toMatchObject({ reason: 'store_unavailable' });
      await expect(store.createRoute(route('a'))).rejects.toMatchObject({ reason: 'store_unavailable' });
      expect(await other.routes()).toEqual([]);
    });
  });
}
