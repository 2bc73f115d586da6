import { describe, expect, test } from 'vitest';
import { startTestGateway } from '../helpers/gateway.ts';
import { freePort } from '../helpers/program.ts';
import { printed, type Result, refused, runAt, runHere } from './run-here.ts';

async function scene(yaml = 'model_list: []\n'): Promise<(...args: readonly string[]) => Promise<Result>> {
  const { url } = await startTestGateway(yaml);
  return runAt(url);
}

/** The routes as programs see them. */
async function listed(sluice: (...args: readonly string[]) => Promise<Result>) {
  const { stdout } = await sluice('routes', 'list', '--json');
  return JSON.parse(stdout) as readonly (Readonly<Record<string, unknown>> & { readonly id: string })[];
}

describe('a route by the command line', () => {
  test('is created, listed, changed and deleted', async () => {
    const sluice = await scene();
    expect(await sluice('routes', 'list')).toEqual(
      printed('There are no routes. Add one: sluice routes create <path> <target>\n'),
    );
    const created = await sluice('routes', 'create', '/search', 'https://api.example', '--subpaths');
    const [{ id } = { id: '' }] = await listed(sluice);
    expect(created).toEqual(
      printed(
        `PATH       TARGET               METHODS  AUTH  FROM  ID\n/search/*  https://api.example  all      key   api   ${id}\n`,
      ),
    );
    expect(await sluice('routes', 'list')).toEqual(created);
    expect(await sluice('routes', 'update', id, '--target', 'https://other.example', '--no-auth')).toEqual(
      printed(
        `PATH       TARGET                 METHODS  AUTH  FROM  ID\n/search/*  https://other.example  all      open  api   ${id}\n`,
      ),
    );
    const deleted = await sluice('routes', 'delete', id);
    expect(deleted.stdout).toMatch(/^Deleted:\nPATH .*\n\/search\/\* /);
    expect(await listed(sluice)).toEqual([]);
  });

  test('has what was said of it, and shows no secrets', async () => {
    const sluice = await scene();
    const words = [
      ['--header', 'x-api-key: 0123456789abcdef', '--header', 'x-team: search'],
      ['--query', 'lang=en', '--method', 'get', '--method', 'post'],
      ['--no-auth', '--forward-headers', '--cost', '0.04', '--timeout', '20'],
    ].flat();
    const { code, stdout } = await sluice(
      'routes',
      'create',
      '/s',
      'https://api.example/v2',
      ...words,
      '--json',
    );
    const route = {
      id: expect.any(String),
      path: '/s',
      target: 'https://api.example/v2',
      headers: { 'x-api-key': expect.stringMatching(/^\*{4}/), 'x-team': 'search' },
      methods: ['GET', 'POST'],
      include_subpath: expect.any(Boolean),
      forward_headers: true,
      auth: false,
      default_query_params: { lang: 'en' },
      cost_per_request: 0.04,
      timeout: 20,
      is_from_config: false,
    };
    expect([code, JSON.parse(stdout)]).toEqual([0, [route]]);
    expect(stdout).not.toContain('0123456789');
    await sluice('routes', 'update', '/s', '--header', 'x-team: other');
    expect(await listed(sluice)).toEqual([{ ...route, headers: { 'x-team': 'other' } }]);
  });

  test('is named by its path where it has that alone', async () => {
    const sluice = await scene();
    const target = 'https://api.example';
    await sluice('routes', 'create', '/a', target, '--method', 'GET', '--subpaths');
    expect((await sluice('routes', 'update', '/a/*', '--timeout', '5')).code).toBe(0);
    await sluice('routes', 'create', '/a', target, '--method', 'POST');
    const [get, post] = await listed(sluice);
    expect(await sluice('routes', 'delete', '/a')).toEqual(
      refused(
        `sluice: /a has several routes; name one of them by its id:\n  ${get?.id}  GET\n  ${post?.id}  POST`,
      ),
    );
    expect((await sluice('routes', 'delete', post?.id ?? '')).code).toBe(0);
    expect((await sluice('routes', 'delete', '/a')).code).toBe(0);
    expect(await sluice('routes', 'delete', '/a')).toEqual(
      refused('sluice: there is no route /a (sluice routes list shows them)'),
    );
  });

  test('of the configuration file is listed first, and only changed there', async () => {
    const sluice = await scene(
      'general_settings: { pass_through_endpoints: [{ path: /filed, target: "https://filed.example" }] }\n',
    );
    await sluice('routes', 'create', '/made', 'https://made.example', '--no-auth');
    const { stdout } = await sluice('routes', 'list');
    expect(stdout.split('\n').map((line) => line.split(/ {2,}/)[4])).toEqual([
      'FROM',
      'file',
      'api',
      undefined,
    ]);
    for (const args of [
      ['update', '/filed', '--no-auth'],
      ['delete', '/filed'],
    ]) {
      const { code, stderr } = await sluice('routes', ...args);
      expect([code, stderr]).toEqual([1, expect.stringMatching(/^sluice: .*config\.yaml.*\n$/)]);
    }
  });

  test.each([
    [['create', 'bria', 'https://a.example'], /^sluice: path: /],
    [
      ['create', '/x', 'notaurl'],
      /^sluice: target: not a URL: "notaurl"; did you mean http:\/\/notaurl\?\n$/,
    ],
    [['create', '/x', 'http://169.254.169.254/'], /^sluice: target: is a link-local or metadata address/],
    [['create', '/llm/x', 'https://a.example'], /^sluice: path: is a path of Sluice's own control plane/],
    [
      ['create', '/x', 'https://a.example', '--method', 'brew'],
      /^sluice: methods\[0\]: .*known are GET, POST/,
    ],
    [['update', 'nonesuch', '--no-auth'], /^sluice: No route has the id "nonesuch"\.\n$/],
    [
      ['update', 'nonesuch'],
      /^sluice: there is nothing to change: say what \(sluice routes update --help\)\n$/,
    ],
    [['delete', 'nonesuch'], /^sluice: No route has the id "nonesuch"\.\n$/],
  ])('%j is refused in one line', async (args, why) => {
    const sluice = await scene();
    const { code, stdout, stderr } = await sluice('routes', ...args);
    expect([code, stdout, stderr]).toEqual([1, '', expect.stringMatching(why)]);
  });

  test('that would take another’s requests is refused', async () => {
    const sluice = await scene();
    await sluice('routes', 'create', '/x', 'https://a.example', '--method', 'GET');
    const [{ id } = { id: '' }] = await listed(sluice);
    expect(await sluice('routes', 'create', '/x', 'https://b.example', '--method', 'GET')).toEqual(
      refused(`sluice: The route ${id} takes GET on /x already.`),
    );
  });

  test('is in effect at once', async () => {
    const { url } = await startTestGateway('model_list: []\n');
    const sluice = runAt(url);
    const target = `http://127.0.0.1:${await freePort()}`;
    const ask = async () => (await fetch(`${url}/x`)).status;
    expect(await ask()).toBe(404);
    await sluice('routes', 'create', '/x', target, '--no-auth');
    expect(await ask()).toBe(502);
    await sluice('routes', 'delete', '/x');
    expect(await ask()).toBe(404);
  });
});

test.each([
  [
    ['create', '/x', 'https://a.example', '--header', 'novalue'],
    /argument 'novalue' is invalid\. it has the form name: value\./,
  ],
  [
    ['create', '/x', 'https://a.example', '--timeout', 'soon'],
    /argument 'soon' is invalid\. it is a number, 0 or more\./,
  ],
  [['create', '/x'], /missing required argument 'target'/],
  [['remove', '/x'], /unknown command 'remove'/],
])('routes %j ends with 2 and says what is wrong', async (args, why) => {
  const { code, stdout, stderr } = await runHere('routes', ...args);
  expect([code, stdout, stderr]).toEqual([2, '', expect.stringMatching(why)]);
});
