import { chmodSync, closeSync, existsSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { foreignFile, isBusy, openErrorFrom, verbErrorFrom } from './sqlite-errors.ts';
import type { Parameters, Row } from './sqlite-rows.ts';
import { STATEMENT_NAMES, type StatementName, sqlSources } from './sqlite-sources.ts';

export interface SqliteOptions {
  /** A path, or `:memory:`. Missing folders are made. */
  readonly file: string;
  /** How often changes of other processes are looked for, ms. Default 250. */
  readonly watchIntervalMs?: number;
  /** How long a verb waits while other processes write, ms. Default 5,000. */
  readonly busyTimeoutMs?: number;
}

const IN_MEMORY = ':memory:';

/** `Slui`, as migration 1 writes it. */
const APPLICATION_ID = 0x536c7569;

/**
 * SQLite's own waiting keeps the whole process from doing anything else, so it is short; what takes longer is tried
 * again by a timer.
 */
const BLOCKING_WAIT_MS = 10;

/** One connection to a database of ours, its schema brought up to date. */
export class SqliteDatabase {
  readonly #file: string;
  readonly #database: DatabaseSync;
  readonly #busyTimeoutMs: number;
  readonly #watchIntervalMs: number;
  readonly #statements = new Map<StatementName, StatementSync>();
  readonly #listeners = new Set<() => void>();
  #inode: number | null = null;
  #timer: NodeJS.Timeout | null = null;
  #dataVersion: unknown = null;

  private constructor(options: SqliteOptions) {
    this.#file = options.file;
    this.#busyTimeoutMs = options.busyTimeoutMs ?? 5_000;
    this.#watchIntervalMs = options.watchIntervalMs ?? 250;
    this.#database = new DatabaseSync(options.file, { timeout: BLOCKING_WAIT_MS });
  }

  /** @throws StoreOpenError of one line: where, what, and what to do */
  static async open(options: SqliteOptions): Promise<SqliteDatabase> {
    const { file } = options;
    let opened: SqliteDatabase | null = null;
    try {
      if (file !== IN_MEMORY) createFile(file);
      opened = new SqliteDatabase(options);
      await opened.#prepare();
      return opened;
    } catch (thrown) {
      opened?.close();
      throw openErrorFrom(file, thrown);
    }
  }

  /** One row, or null. */
  row(name: StatementName, parameters: Parameters = {}): Row | null {
    return this.#statement(name).get(parameters) ?? null;
  }

  rows(name: StatementName, parameters: Parameters = {}): readonly Row[] {
    return this.#statement(name).all(parameters);
  }

  /** @returns how many rows it changed */
  run(name: StatementName, parameters: Parameters = {}): number {
    return Number(this.#statement(name).run(parameters).changes);
  }

  /** Does `work`, which is one statement that reads. */
  async read<T>(work: () => T): Promise<T> {
    try {
      return await this.#patiently(work);
    } catch (thrown) {
      throw verbErrorFrom(thrown);
    }
  }

  /** Does `work`, which only reads: all of it sees the same moment. */
  async snapshot<T>(work: () => T): Promise<T> {
    try {
      return await this.#patiently(() => this.#transaction(work, 'beginReading'));
    } catch (thrown) {
      throw verbErrorFrom(thrown);
    }
  }

  /** Does `work` as one transaction: whole, or not at all when it throws. It may be done several times. */
  async write<T>(work: () => T): Promise<T> {
    try {
      return await this.#patiently(() => this.#transaction(work));
    } catch (thrown) {
      throw verbErrorFrom(thrown);
    }
  }

  /** Calls back after another connection has committed something. */
  watch(listener: () => void): () => void {
    // An own function each time: the same listener may watch twice, and stop once.
    const own = (): void => listener();
    this.#listeners.add(own);
    if (this.#timer === null && this.#file !== IN_MEMORY) {
      this.#dataVersion = this.#readDataVersion();
      this.#timer = setInterval(() => this.#look(), this.#watchIntervalMs).unref();
    }
    return () => {
      this.#listeners.delete(own);
      if (this.#listeners.size === 0) this.#stopLooking();
    };
  }

  /** Whether the file is there, is the one that was opened, and can be read. */
  check(): boolean {
    try {
      if (this.#inode !== null && statSync(this.#file).ino !== this.#inode) return false;
      return this.row('schemaVersion') !== null;
    } catch (thrown) {
      return isBusy(thrown);
    }
  }

  close(): void {
    this.#listeners.clear();
    this.#stopLooking();
    if (this.#database.isOpen) this.#database.close();
  }

  async #prepare(): Promise<void> {
    const { connection, statements } = sqlSources();
    if (this.#file !== IN_MEMORY) {
      // The files beside it (-wal, -shm) get the rights that it has when they are made, which is now.
      if ((statSync(this.#file).mode & 0o077) !== 0) chmodSync(this.#file, 0o600);
      this.#inode = statSync(this.#file).ino;
    }
    // Each step waits: even a setting reads the schema, which another process may be writing just now.
    await this.#patiently(() => this.#database.exec(connection));
    const prepare = (names: readonly StatementName[]): Promise<void> =>
      this.#patiently(() => {
        for (const name of names)
          this.#statements.set(name, this.#database.prepare(statements.get(name) ?? ''));
      });
    const first = [
      'schemaVersion',
      'applicationId',
      'tableCount',
      'walMode',
      'begin',
      'commit',
      'rollback',
    ] as const;
    await prepare(first);
    await this.#patiently(() => this.#refuseForeign());
    await this.#patiently(() => this.#useWal());
    await this.#patiently(() => this.#transaction(() => this.#migrate()));
    await prepare(STATEMENT_NAMES);
  }

  /** Before anything is written: a file of somebody else's stays as it is. */
  #refuseForeign(): void {
    const version = this.#number('schemaVersion', 'user_version');
    const application = this.#number('applicationId', 'application_id');
    const untouched = version === 0 && application === 0 && this.#number('tableCount', 'count') === 0;
    if (!untouched && application !== APPLICATION_ID) {
      throw foreignFile(this.#file, 'it is a database of another program');
    }
    const known = sqlSources().migrations.length;
    if (version > known) {
      throw foreignFile(
        this.#file,
        `a newer version of Sluice wrote it (schema ${version}; this one knows ${known})`,
        'start that version',
      );
    }
  }

  #useWal(): void {
    const mode = this.row('walMode')?.journal_mode;
    if (mode !== 'wal' && this.#file !== IN_MEMORY) {
      throw foreignFile(this.#file, 'its file system has no shared memory (is it a network one?)');
    }
  }

  #migrate(): void {
    // Again, under the lock: another process may have been first, or be newer.
    this.#refuseForeign();
    const version = this.#number('schemaVersion', 'user_version');
    for (const migration of sqlSources().migrations) {
      if (migration.version <= version) continue;
      this.#database.exec(migration.sql);
      if (this.#number('schemaVersion', 'user_version') !== migration.version) {
        throw new Error(`migration ${migration.version} sets another user_version`);
      }
    }
  }

  #number(name: StatementName, column: string): number {
    return Number(this.row(name)?.[column]);
  }

  #statement(name: StatementName): StatementSync {
    const statement = this.#statements.get(name);
    if (statement === undefined) throw new Error(`the statement ${name} is not prepared`);
    return statement;
  }

  #transaction<T>(work: () => T, begin: 'begin' | 'beginReading' = 'begin'): T {
    this.run(begin);
    try {
      const result = work();
      this.run('commit');
      return result;
    } catch (thrown) {
      // SQLite itself has rolled back after some errors: a full disk, for one.
      if (this.#database.isTransaction) this.run('rollback');
      throw thrown;
    }
  }

  /** Tries again while other processes keep the database locked, without holding up this one. */
  async #patiently<T>(work: () => T): Promise<T> {
    const deadline = performance.now() + this.#busyTimeoutMs;
    for (let pauseMs = 1; ; pauseMs = Math.min(2 * pauseMs, 50)) {
      try {
        return work();
      } catch (thrown) {
        if (!isBusy(thrown) || performance.now() >= deadline) throw thrown;
      }
      // Of random length, so that two that wait for each other's locks don't stay in step.
      await delay(pauseMs * (0.5 + Math.random()));
    }
  }

  #look(): void {
    const version = this.#readDataVersion();
    if (version === null || version === this.#dataVersion) return;
    this.#dataVersion = version;
    for (const listener of [...this.#listeners]) listener();
  }

  /** Null where it can't be read just now; the next look sees what this one missed. */
  #readDataVersion(): unknown {
    try {
      return this.row('dataVersion')?.data_version ?? null;
    } catch {
      return null;
    }
  }

  #stopLooking(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }
}

/**
 * A new file belongs to its owner alone. One that exists isn't opened here: closing it would take away the locks of
 * this process's other connections (https://www.sqlite.org/howtocorrupt.html, 2.2).
 */
function createFile(file: string): void {
  makeFolder(dirname(file));
  unlessItExists(() => closeSync(openSync(file, 'wx', 0o600)));
}

/** Not by `recursive: true`: where a folder can't be made for ENOENT (/proc), that tries for ever. */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  if (dirname(folder) !== folder) makeFolder(dirname(folder));
  unlessItExists(() => mkdirSync(folder, { mode: 0o700 }));
}

function unlessItExists(make: () => void): void {
  try {
    make();
  } catch (thrown) {
    if (!(thrown instanceof Error && 'code' in thrown && thrown.code === 'EEXIST')) throw thrown;
  }
}
