import { describe, expect, test } from 'vitest';
import { hashKey } from '../../src/access/mint.ts';
import { startTestGateway } from '../helpers/gateway.ts';
import { printed, type Result, refused, runAt, runHere } from './run-here.ts';

type Sluice = (...args: readonly string[]) => Promise<Result>;

const MASTER = 'sk-master-of-tests';

async function scene(): Promise<{ readonly sluice: Sluice; readonly url: string }> {
  const { url } = await startTestGateway(`general_settings: { master_key: ${MASTER} }\n`);
  const sluice = runAt(url);
  return { url, sluice: (...args) => sluice(...args, '--key', MASTER) };
}

/** Makes a key; its secret and what else there is of it. */
async function generated(sluice: Sluice, ...args: readonly string[]) {
  const { stdout } = await sluice('keys', 'generate', ...args, '--json');
  return JSON.parse(stdout) as Readonly<Record<string, unknown>> & {
    readonly key: string;
    readonly token: string;
    readonly key_name: string;
  };
}

async function infoOf(sluice: Sluice, name: string): Promise<Readonly<Record<string, unknown>>> {
  return JSON.parse((await sluice('keys', 'info', name, '--json')).stdout);
}

const OPTIONS = [
  ['--alias', 'alice', '--duration', '2w', '--model', 'qwen', '--model', 'openai/*', '--route', '/vllm'],
  ['--rpm-limit', '60', '--tpm-limit', '0', '--max-parallel-requests', '3'],
  ['--max-budget', '12.5', '--budget-duration', '1mo', '--user-id', 'u-1', '--team-id', 't-1'],
  ['--metadata', '{"a": [1]}', '--set', 'note=a b', '--tag', 'x', '--tag', 'y', '--blocked'],
].flat();

const FIELDS = {
  key_alias: 'alice',
  models: ['qwen', 'openai/*'],
  allowed_routes: ['/vllm'],
  rpm_limit: 60,
  tpm_limit: 0,
  max_parallel_requests: 3,
  max_budget: 12.5,
  budget_duration: '1mo',
  spend: 0,
  user_id: 'u-1',
  team_id: 't-1',
  metadata: { a: [1], note: 'a b' },
  tags: ['x', 'y'],
  blocked: true,
};

describe('sluice keys generate', () => {
  test('prints the key alone on stdout, and its token beside it', async () => {
    const { sluice } = await scene();
    const { code, stdout, stderr } = await sluice('keys', 'generate');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^sk-[\w-]{22}\n$/);
    const token = hashKey(stdout.trim());
    expect(stderr).toBe(`The key is shown this once: keep it. Its token, which is no secret, is ${token}\n`);
    expect((await infoOf(sluice, stdout.trim())).token).toBe(token);
  });

  test('takes all that a key can be, and prints it as REST has it with --json', async () => {
    const { sluice } = await scene();
    expect(await generated(sluice, ...OPTIONS)).toMatchObject({ ...FIELDS, duration: '2w' });
    expect(await infoOf(sluice, 'alice')).toMatchObject(FIELDS);
  });

  test('takes a key that is brought along', async () => {
    const { sluice } = await scene();
    const { stdout } = await sluice('keys', 'generate', '--secret', 'sk-brought-along');
    expect(stdout).toBe('sk-brought-along\n');
  });

  test.each([
    [['--rpm-limit', '-1'], /'-1' is invalid.*whole number/],
    [['--rpm-limit', '1.5'], /'1.5' is invalid.*whole number/],
    [['--max-budget', 'much'], /'much' is invalid.*number, 0 or more/],
    [['--metadata', '[]'], /'\[\]' is invalid.*JSON object/],
  ])('%j is no command line', async (args, words) => {
    const { code, stdout, stderr } = await runHere('keys', 'generate', ...args);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(words);
  });

  test.each([
    [['--duration', 'soon'], /^sluice: duration: not a duration, say 30s/],
    [['--secret', 'hunter2-hunter2'], /^sluice: key: it must begin with 'sk-'\n$/],
    [['--model', '*'], /^sluice: models\[0\]: /],
  ])('%j is refused by the gateway', async (args, words) => {
    const { sluice } = await scene();
    const { code, stdout, stderr } = await sluice('keys', 'generate', ...args);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(words);
    expect(stderr).not.toContain('hunter2');
  });
});

describe('sluice keys list', () => {
  test('shows a table, a page at a time', async () => {
    const { sluice } = await scene();
    expect(await sluice('keys', 'list')).toEqual(
      printed('There are no such keys. Make one: sluice keys generate\n'),
    );
    const one = await generated(sluice);
    const alice = await generated(sluice, ...OPTIONS, '--duration', '100d');
    const expires = String(alice.expires).replace('T', ' ').replace(/\.\d+/, '');
    const rows = (await sluice('keys', 'list')).stdout.split('\n').map((row) => row.split(/ {2,}/));
    expect(rows).toEqual([
      ['ALIAS', 'KEY', 'STATE', 'SPENT', 'LIMITS', 'EXPIRES', 'TOKEN'],
      ['alice', alice.key_name, 'blocked', '$0 of $12.5', '60 rpm, 0 tpm, 3 at a time', expires, alice.token],
      ['-', one.key_name, 'open', '$0', '-', 'never', one.token],
      [''],
    ]);
    const second = await sluice('keys', 'list', '--size', '1', '--page', '2');
    expect(second.stdout).toContain(one.token);
    expect(second.stdout).not.toContain(alice.token);
    expect(second.stderr).toBe('Page 2 of 2, 2 keys together.\n');
    const beyond = await sluice('keys', 'list', '--page', '9');
    expect(beyond).toEqual({ code: 0, stdout: '', stderr: 'Page 9 of 1, 2 keys together.\n' });
  });

  test('shows those of a user, of a team or with an alias, as REST has them with --json', async () => {
    const { sluice } = await scene();
    const { key, duration, ...alice } = await generated(sluice, ...OPTIONS);
    await generated(sluice, '--user-id', 'u-2');
    for (const filter of [
      ['--user-id', 'u-1'],
      ['--team-id', 't-1'],
      ['--alias', 'alice'],
    ]) {
      expect(JSON.parse((await sluice('keys', 'list', ...filter, '--json')).stdout)).toEqual({
        keys: [alice],
        total_count: 1,
        current_page: 1,
        total_pages: 1,
      });
    }
    const { code, stderr } = await runHere('keys', 'list', '--page', '0');
    expect([code, stderr]).toEqual([2, expect.stringContaining('1 or more')]);
  });
});

describe('sluice keys info', () => {
  test('tells all for people, and never the key', async () => {
    const { sluice } = await scene();
    const { key, key_name, token } = await generated(sluice, ...OPTIONS);
    for (const name of [key, token, 'alice']) {
      const { code, stdout } = await sluice('keys', 'info', name);
      expect(code).toBe(0);
      expect(stdout).not.toContain(key);
      const moment = expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ/);
      const lines = stdout
        .trimEnd()
        .split('\n')
        .map((line) => [line.slice(0, 13).trim(), line.slice(13)]);
      expect(Object.fromEntries(lines)).toEqual({
        key: key_name,
        token,
        alias: 'alice',
        state: 'blocked',
        models: 'qwen, openai/*',
        routes: '/vllm',
        limits: '60 rpm, 0 tpm, 3 at a time',
        spent: '$0 of $12.5',
        'begins anew': expect.stringMatching(/^\d{4}-.*Z, every 1mo$/),
        user: 'u-1',
        team: 't-1',
        tags: 'x, y',
        metadata: expect.stringMatching(/^\{"a":\[1\],"note":"a b"\}$|^\{"note":"a b","a":\[1\]\}$/),
        expires: moment,
        created: moment,
        updated: moment,
      });
    }
  });

  test('says what to do about a key that there is not', async () => {
    const { sluice } = await scene();
    const nobody = "sluice: there is no key with the alias 'bob b' (sluice keys list shows them)";
    expect(await sluice('keys', 'info', 'bob b')).toEqual(refused(nobody));
    expect(await sluice('keys', 'info', 'sk-nobody-has-this')).toEqual(
      refused('sluice: There is no key sk-...this.'),
    );
    expect((await sluice('keys', 'info')).stderr).toMatch(/^sluice: key: say which key/);
  });
});

describe('sluice keys update', () => {
  test('changes what is given, takes away what --no-… says, and leaves the rest', async () => {
    const { sluice } = await scene();
    await generated(sluice, ...OPTIONS);
    const changes = [
      ['--alias', 'bob', '--rpm-limit', '7', '--spend', '1.25', '--no-model', '--no-tpm-limit'],
      ['--no-duration', '--no-budget-duration', '--no-team-id', '--no-tag', '--set', 'b=2'],
    ].flat();
    const { stdout } = await sluice('keys', 'update', 'alice', ...changes, '--json');
    const { tpm_limit, ...rest } = FIELDS;
    const expected = {
      ...rest,
      key_alias: 'bob',
      rpm_limit: 7,
      spend: 1.25,
      models: [],
      budget_duration: '',
      team_id: '',
      tags: [],
      metadata: { b: 2 },
    };
    const changed = JSON.parse(stdout);
    expect(changed).toMatchObject(expected);
    for (const name of ['tpm_limit', 'expires', 'budget_reset_at']) expect(changed).not.toHaveProperty(name);
    expect(await infoOf(sluice, 'bob')).toEqual(changed);
    expect(await infoOf(sluice, 'bob')).toMatchObject(expected);
  });

  test('can take everything away', async () => {
    const { sluice } = await scene();
    const { token } = await generated(sluice, ...OPTIONS);
    const flags = [...new Set(OPTIONS.filter((word) => word.startsWith('--')))]
      .filter((flag) => !['--set', '--blocked'].includes(flag))
      .map((flag) => flag.replace('--', '--no-'));
    const { stdout } = await sluice('keys', 'update', 'alice', ...flags);
    expect(stdout).toContain('limits       none');
    const { key_name, created_at, updated_at, ...info } = await infoOf(sluice, token);
    expect(info).toEqual({
      token,
      key_alias: '',
      models: [],
      allowed_routes: [],
      budget_duration: '',
      spend: 0,
      user_id: '',
      team_id: '',
      metadata: {},
      tags: [],
      blocked: true,
    });
  });

  test('asks what to change', async () => {
    const { sluice } = await scene();
    expect(await sluice('keys', 'update', 'alice')).toEqual(
      refused('sluice: there is nothing to change: say what (sluice keys update --help)'),
    );
  });
});

describe('a key by the command line', () => {
  test('is blocked, unblocked, regenerated and deleted', async () => {
    const { sluice } = await scene();
    const { key, token } = await generated(sluice, '--alias', 'alice');
    expect((await sluice('keys', 'block', 'alice')).stdout).toContain('state        blocked\n');
    expect((await sluice('keys', 'unblock', key)).stdout).toContain('state        open\n');
    const { stdout, stderr } = await sluice('keys', 'regenerate', token, '--grace-period', '1h');
    expect(stdout).toMatch(/^sk-[\w-]{22}\n$/);
    const secret = stdout.trim();
    expect(stderr).toContain(hashKey(secret));
    // The old one means the same key for an hour.
    expect((await infoOf(sluice, key)).token).toBe(hashKey(secret));
    const again = JSON.parse((await sluice('keys', 'regenerate', 'alice', '--json')).stdout);
    expect(again).toEqual({ key: expect.any(String), info: await infoOf(sluice, 'alice') });
    expect(await sluice('keys', 'info', secret)).toEqual(
      refused(`sluice: There is no key sk-...${secret.slice(-4)}.`),
    );
    const other = await generated(sluice);
    expect((await sluice('keys', 'delete', 'alice', 'bob')).stderr).toBe(
      'sluice: There is no key with the alias "bob".\n',
    );
    expect(await sluice('keys', 'delete', 'alice', other.token)).toEqual(printed('Deleted 2 keys.\n'));
    expect((await sluice('keys', 'list')).stdout).toMatch(/^There are no such keys/);
    const last = await generated(sluice, '--alias', 'last');
    expect(last.key).toMatch(/^sk-/);
    const deleted = await sluice('keys', 'delete', 'last', '--json');
    expect(JSON.parse(deleted.stdout)).toEqual({ deleted_keys: ['last'] });
  });

  test('reads itself where it is shown', async () => {
    const { sluice, url } = await scene();
    const { key, token } = await generated(sluice, '--alias', 'alice');
    const info = await runAt(url)('keys', 'info', '--key', key, '--json');
    expect(JSON.parse(info.stdout).token).toBe(token);
    const { code, stderr } = await runAt(url)('keys', 'list', '--key', key);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/^sluice: .*needs the master key\.\n$/)]);
  });

  test('needs the master key', async () => {
    const { url } = await scene();
    const { code, stdout, stderr } = await runAt(url)('keys', 'generate');
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^sluice: no API key passed in.*say --key, or set SLUICE_KEY/);
  });
});
