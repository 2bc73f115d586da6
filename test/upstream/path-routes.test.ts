import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { SluiceError } from '../../src/base/errors.ts';
import { parseRequestPath } from '../../src/base/request-path.ts';
import { openSqliteStore } from '../../src/store/sqlite-store.ts';
import type { Store, StoredRoute } from '../../src/store/store.ts';
import { DestinationTable } from '../../src/upstream/destination.ts';
import { openPathRoutes, type PathRoutes } from '../../src/upstream/path-routes.ts';
import { parsed } from '../base/config/parsed.ts';
import { route } from '../store/samples.ts';

const folder = mkdtempSync(join(tmpdir(), 'sluice-routes-'));
afterAll(() => rmSync(folder, { recursive: true }));
let count = 0;

async function openStore(file = ':memory:'): Promise<Store> {
  const store = await openSqliteStore({ file, watchIntervalMs: 5 });
  onTestFinished(() => store.close());
  return store;
}

async function openRoutes(store: Store, config = 'general_settings: {}') {
  const warnings: string[] = [];
  const warn = (message: string): void => void warnings.push(message);
  const routes = await openPathRoutes({ store, config: parsed(config), warn, retryAfterMs: 5 });
  onTestFinished(() => routes.close());
  return { routes, warnings };
}

function fieldsOf({ id: _id, ...fields }: StoredRoute) {
  return fields;
}

const file = (...lines: string[]): string =>
  ['general_settings:', '  pass_through_endpoints:', ...lines.map((line) => `    - ${line}`)].join('\n');

const paths = (routes: PathRoutes): readonly string[] => routes.routes().map(({ path }) => path);

/** Resolves once `routes` has changed. */
function changed(routes: PathRoutes): Promise<void> {
  return new Promise((resolve) => {
    const stop = routes.onChange(() => {
      stop();
      resolve();
    });
  });
}

describe('created routes', () => {
  test('come behind those of the file, oldest first, and outlive a restart', async () => {
    const at = join(folder, `${++count}.db`);
    const store = await openStore(at);
    const first = await openRoutes(store, file('{path: /f, target: "https://f"}'));
    await first.routes.create(fieldsOf(route('b')));
    await first.routes.create(fieldsOf(route('a')));
    expect(paths(first.routes)).toEqual(['/f', '/b', '/a']);
    expect(first.routes.routes().map(({ guarded }) => guarded)).toEqual([false, true, true]);
    await store.close();
    const again = await openRoutes(await openStore(at), file('{path: /f, target: "https://f"}'));
    expect(again.routes.list()).toEqual(first.routes.list());
    expect(again.routes.routes()).toEqual(first.routes.routes());
  });

  test('tell listeners of each change before the verb answers, and only of changes', async () => {
    const { routes } = await openRoutes(await openStore());
    const seen: (readonly string[])[] = [];
    const stop = routes.onChange(() => seen.push(paths(routes)));
    const { id } = await routes.create(fieldsOf(route('a')));
    expect(seen).toEqual([['/a']]);
    await routes.update(id, (stored) => ({ ...stored, path: '/b' }));
    expect(seen).toEqual([['/a'], ['/b']]);
    await routes.update(id, (stored) => stored);
    await routes.refresh();
    expect(seen).toHaveLength(2);
    await routes.delete(id);
    expect(seen).toEqual([['/a'], ['/b'], []]);
    stop();
    await routes.create(fieldsOf(route('c')));
    expect(seen).toHaveLength(3);
  });

  test('made at a time are all there', async () => {
    const { routes } = await openRoutes(await openStore());
    const names = Array.from({ length: 50 }, (_, index) => `r${index}`);
    await Promise.all(names.map((name) => routes.create(fieldsOf(route(name)))));
    expect(paths(routes).toSorted()).toEqual(names.map((name) => `/${name}`).toSorted());
  });

  test('take the timeouts of the configuration, also of a later one', async () => {
    const { routes } = await openRoutes(
      await openStore(),
      'general_settings: {pass_through_request_timeout: 7}',
    );
    await routes.create(fieldsOf(route('a')));
    await routes.create(fieldsOf(route('b', { timeoutMs: 20 })));
    const times = () => routes.routes().map(({ timeouts }) => timeouts.firstByteTimeoutMs);
    expect(times()).toEqual([7_000, 20]);
    routes.setFileRoutes(parsed('general_settings: {pass_through_request_timeout: 8}'));
    expect(times()).toEqual([8_000, 20]);
  });
});

describe('another process', () => {
  test('sees what one has created, changed and deleted', async () => {
    const at = join(folder, `${++count}.db`);
    const { routes: one } = await openRoutes(await openStore(at));
    const { routes: two } = await openRoutes(await openStore(at));
    const heard = changed(two);
    const { id } = await one.create(fieldsOf(route('a')));
    await heard;
    expect(two.list()).toEqual(one.list());
    const heardChange = changed(two);
    await one.update(id, (stored) => ({ ...stored, path: '/b' }));
    await heardChange;
    expect(paths(two)).toEqual(['/b']);
    const heardDeletion = changed(two);
    await two.delete(id);
    await heardDeletion;
    expect(two.list()).toEqual([]);
  });

  test('is refused what one has, before it has heard of it', async () => {
    const at = join(folder, `${++count}.db`);
    const { routes: one } = await openRoutes(await openStore(at));
    const { routes: two } = await openRoutes(await openStore(at));
    const [first, second] = await Promise.allSettled([
      one.create(fieldsOf(route('a'))),
      two.create(fieldsOf(route('a'))),
    ]);
    expect([first.status, second.status]).toEqual(['fulfilled', 'rejected']);
    expect(second).toMatchObject({ reason: { reason: 'already_exists', param: 'path' } });
  });

  test('is heard again after the store could not be read', async () => {
    const store = await openStore();
    let tell = (): void => {};
    const watch = (onChange: () => void) => {
      tell = onChange;
      return () => {};
    };
    const flaky: Store = Object.create(store, {
      watch: { value: watch },
      routes: { value: vi.fn(() => store.routes()) },
    });
    const { routes, warnings } = await openRoutes(flaky);
    await store.createRoute(route('a'));
    vi.mocked(flaky.routes).mockRejectedValueOnce(new SluiceError('store_unavailable', 'away'));
    const heard = changed(routes);
    tell();
    await heard;
    expect(paths(routes)).toEqual(['/a']);
    expect(warnings).toEqual(["routes created elsewhere can't be read, those known stay in use: away"]);
  });
});

describe('a reloaded file', () => {
  test('wins over a created route that it collides with, and the operator is told once', async () => {
    const { routes, warnings } = await openRoutes(await openStore());
    const { id } = await routes.create(fieldsOf(route('a')));
    const listener = vi.fn();
    routes.onChange(listener);
    const config = parsed(file('{path: /a, target: "https://file", methods: [POST]}'));
    routes.setFileRoutes(config);
    routes.setFileRoutes(config);
    expect(warnings).toEqual([
      `route ${id}, created through the API: POST on /a is taken by the configuration file (config.yaml:3), which wins`,
    ]);
    const destinations = new DestinationTable({ routes: routes.routes(), providerPrefixes: new Map() });
    const target = (method: string) => destinations.resolve(method, parseRequestPath('/a'));
    expect(target('POST')).toMatchObject({ route: { target: { url: 'https://file' } } });
    expect(target('GET')).toMatchObject({ route: { target: { url: 'https://target.example' } } });
    expect(listener).not.toHaveBeenCalled();
    routes.setFileRoutes(parsed('general_settings: {}'));
    expect(paths(routes)).toEqual(['/a']);
    routes.setFileRoutes(config);
    expect(warnings).toHaveLength(2);
  });
});

describe('a stored route that this version can’t use', () => {
  test('is not in effect, is told of, and can be mended or deleted', async () => {
    const store = await openStore();
    await store.createRoute(route('old', { path: '/config/x' }));
    await store.createRoute(route('metadata', { target: 'http://169.254.169.254' }));
    await store.createRoute(route('fine'));
    const { routes, warnings } = await openRoutes(store);
    expect(paths(routes)).toEqual(['/fine']);
    expect(routes.list().map(({ id, route: one }) => [id, one === null])).toEqual([
      ['old', true],
      ['metadata', true],
      ['fine', false],
    ]);
    expect(warnings).toEqual([
      "route old on /config/x is not in effect: path: is a path of Sluice's own control plane; take another",
      "route metadata on /metadata is not in effect: target: is a link-local or metadata address, where this machine's credentials may be had; a route created through the API never goes there",
    ]);
    await routes.update('old', (stored) => ({ ...stored, path: '/x' }));
    await routes.delete('metadata');
    expect(paths(routes)).toEqual(['/x', '/fine']);
    expect(warnings).toHaveLength(2);
  });
});

test('without its store nothing is opened, and verbs say so', async () => {
  const store = await openStore();
  const { routes } = await openRoutes(store);
  await store.close();
  await expect(routes.create(fieldsOf(route('a')))).rejects.toMatchObject({ reason: 'store_unavailable' });
  await expect(openRoutes(store)).rejects.toMatchObject({ reason: 'store_unavailable' });
});
