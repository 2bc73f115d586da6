import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import { openSqliteStore } from '../../src/store/sqlite-store.ts';
import { storeContract } from './contract.ts';
import { configuration, route } from './samples.ts';

const PROGRAM = fileURLToPath(new URL('./store-process.ts', import.meta.url));

const folder = mkdtempSync(join(tmpdir(), 'sluice-store-'));
afterAll(() => rmSync(folder, { recursive: true }));
let count = 0;
const freshFile = (): string => join(folder, `${++count}.db`);

storeContract('sqlite', () => `sqlite:${freshFile()}`);

async function open(file: string, busyTimeoutMs = 5_000) {
  const store = await openSqliteStore({ file, busyTimeoutMs });
  onTestFinished(() => store.close());
  return store;
}

/** A connection beside the store's, as another program would have. */
function connect(file: string): DatabaseSync {
  const database = new DatabaseSync(file);
  onTestFinished(() => {
    if (database.isOpen) database.close();
  });
  return database;
}

const mode = (path: string): string => (statSync(path).mode & 0o777).toString(8);

describe('the file', () => {
  test('and its folder are made, for their owner alone', async () => {
    const inner = join(folder, 'new', 'folder');
    const file = join(inner, 'state.db');
    const store = await open(file);
    await store.createRoute(route('a'));
    expect(mode(join(folder, 'new'))).toBe('700');
    expect(mode(inner)).toBe('700');
    const files = readdirSync(inner).toSorted();
    expect(files).toEqual(['state.db', 'state.db-shm', 'state.db-wal']);
    expect(files.map((name) => mode(join(inner, name)))).toEqual(['600', '600', '600']);
    await store.close();
    expect(readdirSync(inner)).toEqual(['state.db']);
  });

  test('loses the rights of others when it has some; a folder that was there keeps its own', async () => {
    const inner = join(folder, 'there');
    mkdirSync(inner);
    chmodSync(inner, 0o755);
    const file = join(inner, 'state.db');
    writeFileSync(file, '', { mode: 0o644 });
    await open(file);
    expect(mode(file)).toBe('600');
    expect(mode(join(inner, 'state.db-wal'))).toBe('600');
    expect(mode(inner)).toBe('755');
  });

  test('is a database in WAL mode that says whose it is', async () => {
    const file = freshFile();
    await open(file);
    const database = connect(file);
    expect(database.prepare('PRAGMA journal_mode').get()).toEqual({ journal_mode: 'wal' });
    expect(database.prepare('PRAGMA application_id').get()).toEqual({ application_id: 0x536c7569 });
    expect(database.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
  });

  test('that is taken away, or another one since, is noticed by check', async () => {
    const file = freshFile();
    const store = await open(file);
    expect(await store.check()).toBe(true);
    renameSync(file, `${file}.away`);
    expect(await store.check()).toBe(false);
    writeFileSync(file, '');
    expect(await store.check()).toBe(false);
    rmSync(file);
    renameSync(`${file}.away`, file);
    expect(await store.check()).toBe(true);
  });

  test('isn’t needed in memory, where each store is its own', async () => {
    const [one, two] = [await open(':memory:'), await open(':memory:')];
    await one.createRoute(route('a'));
    onTestFinished(one.watch(() => {}));
    expect(await one.routes()).toHaveLength(1);
    expect(await two.routes()).toEqual([]);
    expect(await one.check()).toBe(true);
    expect(existsSync(':memory:')).toBe(false);
  });

  test('can be opened for the first time by several processes at once', async () => {
    const file = freshFile();
    const codes = await Promise.all(
      ['a', 'b', 'c', 'd', 'e'].map(async (name) => {
        const child = spawn(process.execPath, [PROGRAM, `sqlite:${file}`, 'configurations', name, '1'], {
          stdio: ['ignore', 'ignore', 'inherit'],
        });
        return (await once(child, 'close'))[0];
      }),
    );
    expect(codes).toEqual([0, 0, 0, 0, 0]);
    expect(await (await open(file)).configurations()).toHaveLength(5);
  });

  test('that is watched doesn’t keep a process from ending', async () => {
    const child = spawn(process.execPath, [PROGRAM, `sqlite:${freshFile()}`, 'watches', 'w', '1'], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    expect((await once(child, 'close'))[0]).toBe(0);
  });
});

describe('a file that can’t be used is told of in one line', () => {
  const ELSEWHERE = 'name another place with SLUICE_DATA_DIR=folder or DATABASE_URL=sqlite:file';

  async function refusal(file: string, busyTimeoutMs?: number): Promise<string> {
    try {
      await open(file, busyTimeoutMs);
    } catch (error) {
      return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    }
    return 'opened';
  }

  const told = (file: string, rest: string) => `StoreOpenError: state can't be kept in ${file}: ${rest}`;

  test('no database', async () => {
    const file = freshFile();
    writeFileSync(file, 'port: 4000\n'.repeat(100));
    expect(await refusal(file)).toBe(
      told(
        file,
        'it is not an SQLite database; put a copy in its place, or move it away to begin without one',
      ),
    );
  });

  test('a damaged one', async () => {
    const file = freshFile();
    const store = await open(file);
    for (let i = 0; i < 50; i++)
      await store.createRoute(route(`${i}`, { headers: { filler: 'x'.repeat(500) } }));
    await store.close();
    truncateSync(file, 4_096);
    expect(await refusal(file)).toBe(
      told(file, 'it is damaged; put a copy in its place, or move it away to begin without one'),
    );
  });

  test('one of another program', async () => {
    const file = freshFile();
    connect(file).exec('CREATE TABLE theirs (a)');
    expect(await refusal(file)).toBe(told(file, `it is a database of another program; ${ELSEWHERE}`));
    const database = connect(file);
    expect(database.prepare('SELECT name FROM sqlite_schema').all()).toEqual([{ name: 'theirs' }]);
    expect(database.prepare('PRAGMA journal_mode').get()).toEqual({ journal_mode: 'delete' });
  });

  test('one of a newer version', async () => {
    const file = freshFile();
    await (await open(file)).close();
    connect(file).exec('PRAGMA user_version = 99');
    expect(await refusal(file)).toBe(
      told(
        file,
        `a newer version of Sluice wrote it (schema 99; this one knows 2); start that version, or ${ELSEWHERE}`,
      ),
    );
  });

  test('a folder', async () => {
    const file = freshFile();
    mkdirSync(file);
    expect(await refusal(file)).toMatch(`state can't be kept in ${file}: it can't be opened; let the user`);
  });

  test('a folder that is a file', async () => {
    const file = freshFile();
    writeFileSync(file, '');
    const below = join(file, 'state.db');
    expect(await refusal(below)).toBe(told(below, `a part of its path is no folder; ${ELSEWHERE}`));
    const deeper = join(file, 'a', 'state.db');
    expect(await refusal(deeper)).toBe(told(deeper, `a part of its path is no folder; ${ELSEWHERE}`));
  });

  test('a place where nobody may write', async () => {
    // Not even root, as which tests may run.
    const file = '/proc/sluice/state.db';
    expect(await refusal(file)).toBe(told(file, `its folder can't be made; ${ELSEWHERE}`));
  });

  test('one that another program keeps locked', async () => {
    const file = freshFile();
    const holder = connect(file);
    holder.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
    expect(await refusal(file, 30)).toBe(
      told(file, 'other processes keep it locked; look for a program that holds it, and start again'),
    );
  });
});

describe('while another program holds the lock', () => {
  test('verbs that write wait without holding up the process, and reading goes on', async () => {
    const file = freshFile();
    const store = await open(file);
    await store.createRoute(route('a'));
    const holder = connect(file);
    holder.exec('BEGIN IMMEDIATE');
    const writing = store.createConfiguration(configuration('1'));
    expect(await store.routes()).toEqual([route('a')]);
    expect(await store.configurations()).toEqual([]);
    expect(await store.check()).toBe(true);
    holder.exec('COMMIT');
    await writing;
    expect(await store.configurations()).toHaveLength(1);
  });

  test('verbs fail at last, and have changed nothing', async () => {
    const file = freshFile();
    const store = await open(file, 30);
    const holder = connect(file);
    holder.exec('BEGIN IMMEDIATE');
    await expect(store.createConfiguration(configuration('1'))).rejects.toMatchObject({
      reason: 'store_unavailable',
      message: 'State is not available just now: other processes keep it locked.',
    });
    holder.exec('ROLLBACK');
    expect(await store.configurations()).toEqual([]);
  });
});

test('what goes wrong in the database is an error without the file’s path', async () => {
  const file = freshFile();
  const store = await open(file);
  connect(file).exec('DROP TABLE route');
  const error: unknown = await store.routes().catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({
    reason: 'store_unavailable',
    message: 'State is not available just now: its database reports an error.',
  });
  expect(String((error as Error).cause)).toContain('no such table');
});
