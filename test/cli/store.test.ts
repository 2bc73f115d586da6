import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, test } from 'vitest';
import { openSqliteStore } from '../../src/store/sqlite-store.ts';
import type { Store } from '../../src/store/store.ts';
import { configFile, type Ended, startProgram, temporaryFolder } from '../helpers/program.ts';
import { configuration, key, route } from '../store/samples.ts';

const LAUNCHER = fileURLToPath(new URL('../../bin/sluice.js', import.meta.url));

let folder = '';
const at = (name: string): string => join(folder, name);
const SECRETS = 'secrets of upstreams are in clear in it';

beforeEach(() => {
  folder = temporaryFolder();
});

/** `sluice store …` on the database of this name. */
function store(database: string, ...args: readonly string[]): Promise<Ended> {
  const env = { DATABASE_URL: `sqlite:${at(database)}` };
  return startProgram({ args: ['store', ...args], env }).ended;
}

async function within<T>(database: string, use: (store: Store) => Promise<T>): Promise<T> {
  const opened = await openSqliteStore({ file: at(database) });
  try {
    return await use(opened);
  } finally {
    await opened.close();
  }
}

async function fill(database: string): Promise<void> {
  await within(database, async (opened) => {
    await opened.createConfiguration(configuration('c', { modelKwargs: { api_key: 'sk-upstream' } }));
    await opened.setLoaded('qwen', 'c');
    await opened.createRoute(route('r'));
    for (let index = 0; index < 30; index++)
      await opened.createKey(key(`${index}`, { spend: 0.1, alias: `a${index}` }));
  });
}

const contents = (database: string): Promise<unknown> =>
  within(database, async (opened) => [
    await opened.configurations(),
    await opened.loaded(),
    await opened.routes(),
    await opened.keys({ offset: 0, limit: 1_000, userId: null, teamId: null, alias: null }),
  ]);

describe('sluice store', () => {
  test('moves all of one store to another', async () => {
    await fill('old.db');
    const exported = await store('old.db', 'export', '--output', at('all.jsonl'));
    expect(exported).toMatchObject({ code: 0, stdout: '' });
    expect(exported.stderr).toBe(
      `sluice: exported 1 configuration, 1 route, 30 keys, 1 loaded mark to ${at('all.jsonl')}, which its owner alone can read; ${SECRETS}\n`,
    );
    expect((statSync(at('all.jsonl')).mode & 0o777).toString(8)).toBe('600');
    const imported = await store('new.db', 'import', at('all.jsonl'));
    expect(imported).toMatchObject({
      code: 0,
      stdout: '',
      stderr: `sluice: imported 1 configuration, 1 route, 30 keys, 1 loaded mark into ${at('new.db')}\n`,
    });
    expect(await contents('new.db')).toEqual(await contents('old.db'));
  });

  test('does so through a pipe', async () => {
    await fill('old.db');
    const sluice = `"${process.execPath}" "${LAUNCHER}" store`;
    const line = `DATABASE_URL="sqlite:$1" ${sluice} export | DATABASE_URL="sqlite:$2" ${sluice} import -`;
    const child = spawn('sh', ['-c', line, 'sh', at('old.db'), at('new.db')], { stdio: 'ignore' });
    expect(await once(child, 'close')).toEqual([0, null]);
    expect(await contents('new.db')).toEqual(await contents('old.db'));
  });

  test('uses the store that --config names, wherever that stands', async () => {
    await fill('old.db');
    const config = configFile(`general_settings:\n  database_url: sqlite:${at('old.db')}\n`);
    for (const args of [
      ['--config', config, 'store', 'export'],
      ['store', 'export', '--config', config],
    ]) {
      const { code, stdout, stderr } = await startProgram({ args }).ended;
      expect([code, stderr]).toEqual([
        0,
        `sluice: exported 1 configuration, 1 route, 30 keys, 1 loaded mark; ${SECRETS}\n`,
      ]);
      expect(stdout.trimEnd().split('\n')).toHaveLength(35);
    }
  });

  test('is called with export or import, and says how', async () => {
    const help = await store('x.db', 'export', '--help');
    expect(help.code).toBe(0);
    expect(help.stdout).toContain('Usage: sluice store export [options]');
    expect(help.stdout).toContain('sluice store export --output backup.jsonl');
    expect(await store('x.db', 'exprt')).toMatchObject({ code: 2 });
    expect(await store('x.db', 'import')).toMatchObject({
      code: 2,
      stderr: "error: missing required argument 'file'\n",
    });
    expect(existsSync(at('x.db'))).toBe(false);
  });
});

describe('sluice store export', () => {
  test('writes over nothing', async () => {
    await fill('old.db');
    writeFileSync(at('all.jsonl'), 'the last copy');
    expect(await store('old.db', 'export', '-o', at('all.jsonl'))).toMatchObject({
      code: 1,
      stderr: `sluice: ${at('all.jsonl')}: can't be written: it exists already; name another file\n`,
    });
    expect(readFileSync(at('all.jsonl'), 'utf8')).toBe('the last copy');
    expect((await store('old.db', 'export', '-o', at('no/all.jsonl'))).stderr).toBe(
      `sluice: ${at('no/all.jsonl')}: can't be written: its folder does not exist\n`,
    );
  });

  test('makes no store where there is none', async () => {
    expect(await store('none.db', 'export')).toMatchObject({
      code: 1,
      stdout: '',
      stderr: `sluice: there is no store in ${at('none.db')}\n`,
    });
    expect(existsSync(at('none.db'))).toBe(false);
  });

  test('says what is wrong with the configuration or the store', async () => {
    const config = configFile('general_settings:\n  database_url: postgres://localhost/db\n');
    const faulty = await startProgram({ args: ['store', 'export', '-c', config] }).ended;
    expect([faulty.code, faulty.stderr]).toEqual([1, expect.stringContaining('Postgres is not supported')]);
    const memory = await startProgram({ args: ['store', 'export'], env: { DATABASE_URL: 'sqlite::memory:' } })
      .ended;
    expect([memory.code, memory.stderr]).toEqual([1, expect.stringContaining('name a file, or Redis')]);
    writeFileSync(at('text.db'), 'port: 4000\n'.repeat(100));
    const foreign = await store('text.db', 'export');
    expect(foreign.code).toBe(1);
    expect(foreign.stderr).toMatch(/^sluice: state can't be kept in .*: it is not an SQLite database; /);
  });
});

describe('sluice store import', () => {
  test('imports nothing of a file with a fault, and names its line', async () => {
    await fill('old.db');
    await store('old.db', 'export', '-o', at('all.jsonl'));
    const lines = readFileSync(at('all.jsonl'), 'utf8').split('\n');
    writeFileSync(at('broken.jsonl'), lines.with(20, (lines[20] ?? '').slice(1)).join('\n'));
    expect(await store('new.db', 'import', at('broken.jsonl'))).toMatchObject({
      code: 1,
      stdout: '',
      stderr: `${at('broken.jsonl')}:21: not JSON\n`,
    });
    expect(existsSync(at('new.db'))).toBe(false);
    mkdirSync(at('folder'));
    expect((await store('new.db', 'import', at('folder'))).stderr).toBe(
      `sluice: ${at('folder')}: can't be read: it is a directory, not a file\n`,
    );
    expect((await store('new.db', 'import', at('none.jsonl'))).stderr).toBe(
      `sluice: ${at('none.jsonl')}: can't be read: no such file\n`,
    );
  });

  test('refuses a store that has something, unless it is told to merge', async () => {
    await fill('old.db');
    await store('old.db', 'export', '-o', at('all.jsonl'));
    await within('new.db', async (opened) => {
      await opened.createKey(key('0', { alias: 'mine' }));
      await opened.createKey(key('mine', { alias: 'a1' }));
    });
    const before = await contents('new.db');
    expect(await store('new.db', 'import', at('all.jsonl'))).toMatchObject({
      code: 1,
      stderr: `sluice: nothing is imported: ${at('new.db')} has 2 keys already; --merge adds to that and changes none of it\n`,
    });
    expect(await contents('new.db')).toEqual(before);
    expect(await store('new.db', 'import', '--merge', at('all.jsonl'))).toMatchObject({
      code: 1,
      stdout: '',
      stderr: [
        `sluice: imported 1 configuration, 1 route, 28 keys, 1 loaded mark into ${at('new.db')}`,
        'sluice: 1 key had been there before: unchanged',
        `${at('all.jsonl')}:5: not imported: Another key has the alias "a1" already.`,
        '',
      ].join('\n'),
    });
  });

  test('may be repeated', async () => {
    await fill('old.db');
    await store('old.db', 'export', '-o', at('all.jsonl'));
    await store('new.db', 'import', at('all.jsonl'));
    await within('new.db', (opened) => opened.deleteKeys(['7', '8', '9']));
    expect(await store('new.db', 'import', at('all.jsonl'))).toMatchObject({
      code: 0,
      stderr: [
        `sluice: imported 3 keys into ${at('new.db')}`,
        'sluice: 1 configuration, 1 route, 27 keys, 1 loaded mark had been there before: unchanged',
        '',
      ].join('\n'),
    });
  });
});
