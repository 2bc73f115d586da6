import { SluiceError } from '../base/errors.ts';
import type { KeyPage, KeyQuery, KeyStore, Spending, StoredKey } from './key-store.ts';
import { MAX_NANO_USD, nanoUsdFrom, nextReset } from './spending.ts';
import type { SqliteDatabase } from './sqlite-database.ts';
import { budgetFrom, keyFrom, parametersFromKey, parametersFromNewKey } from './sqlite-key-rows.ts';
import { number, type Parameters, type Row } from './sqlite-rows.ts';
import type { StatementName } from './sqlite-sources.ts';

/** The half of the SQLite store that deals with virtual keys. */
export class SqliteKeyStore implements KeyStore {
  readonly #database: SqliteDatabase;

  constructor(database: SqliteDatabase) {
    this.#database = database;
  }

  async createKey(key: StoredKey): Promise<void> {
    await this.#database.write(() => {
      if (this.#key(key.id) !== null) {
        throw new SluiceError('already_exists', `A key with the id ${key.id} exists already.`);
      }
      this.#refuseTaken(key);
      this.#database.run('insertKey', parametersFromNewKey(key));
      this.#database.run('bumpKeysVersion');
    });
  }

  keyByToken(token: string, now: number): Promise<StoredKey | null> {
    return this.#database.read(() => {
      return keyOrNull(this.#database.row('selectKeyByToken', { token, now }));
    });
  }

  keyByAlias(alias: string): Promise<StoredKey | null> {
    return this.#database.read(() => this.#keyByAlias(alias));
  }

  keys(query: KeyQuery): Promise<KeyPage> {
    return this.#database.snapshot(() => {
      if (query.alias !== null) return pageOfOne(this.#keyByAlias(query.alias), query);
      const { select, count, filter } = scopeOf(query);
      const { offset, limit } = query;
      return {
        keys: this.#database.rows(select, { ...filter, offset, limit }).map(keyFrom),
        total: this.#number(count, 'count', filter),
      };
    });
  }

  updateKey(id: string, change: (stored: StoredKey) => StoredKey): Promise<StoredKey | null> {
    return this.#database.write(() => {
      const stored = this.#key(id);
      if (stored === null) return null;
      const changed = { ...change(stored), id };
      this.#refuseTaken(changed);
      this.#database.run('updateKey', parametersFromKey(changed));
      if (changed.spend !== stored.spend) {
        this.#database.run('setSpend', { id, nanoUsd: nanoUsdFrom(changed.spend) });
      }
      this.#database.run('bumpKeysVersion');
      return this.#key(id);
    });
  }

  deleteKeys(ids: readonly string[]): Promise<boolean> {
    return this.#database.write(() => {
      const distinct = [...new Set(ids)];
      if (distinct.some((id) => this.#key(id) === null)) return false;
      for (const id of distinct) this.#database.run('deleteKey', { id });
      if (distinct.length > 0) this.#database.run('bumpKeysVersion');
      return true;
    });
  }

  keysVersion(): Promise<number> {
    return this.#database.read(() => this.#number('selectKeysVersion', 'version'));
  }

  async addSpend(spent: readonly Spending[], now: number): Promise<void> {
    const sums = spent.map(({ id, usd }) => ({ id, nanoUsd: nanoUsdFrom(usd) }));
    if (sums.length === 0) return;
    await this.#database.write(() => {
      for (const { id, nanoUsd } of sums) this.#addSpend(id, nanoUsd, now);
    });
  }

  #addSpend(id: string, nanoUsd: bigint, now: number): void {
    const due = this.#database.row('selectDueBudget', { id, now });
    const resetAt = due === null ? null : nextReset(budgetFrom(due), now);
    if (resetAt !== null) this.#database.run('beginBudgetAnew', { id, resetAt });
    this.#database.run('addSpend', { id, nanoUsd, max: MAX_NANO_USD });
  }

  #key(id: string): StoredKey | null {
    return keyOrNull(this.#database.row('selectKey', { id }));
  }

  #keyByAlias(alias: string): StoredKey | null {
    return keyOrNull(this.#database.row('selectKeyByAlias', { alias }));
  }

  /** Within the transaction that writes it. */
  #refuseTaken({ id, token, previous, alias }: StoredKey): void {
    const previousToken = previous?.token ?? null;
    if (this.#database.row('selectKeyWithTokens', { id, token, previousToken }) !== null) {
      throw new SluiceError('already_exists', 'This key exists already.', { param: 'key' });
    }
    if (alias !== null && this.#database.row('selectKeyWithAlias', { id, alias }) !== null) {
      const message = `Another key has the alias ${JSON.stringify(alias)} already.`;
      throw new SluiceError('already_exists', message, { param: 'key_alias' });
    }
  }

  #number(name: StatementName, column: string, parameters: Parameters = {}): number {
    const row = this.#database.row(name, parameters);
    return (row === null ? null : number(row, column)) ?? 0;
  }
}

function keyOrNull(row: Row | null): StoredKey | null {
  return row === null ? null : keyFrom(row);
}

/** A statement of its own for each combination of filters, so that each has its index. */
function scopeOf({ userId, teamId }: KeyQuery): {
  readonly select: StatementName;
  readonly count: StatementName;
  readonly filter: Parameters;
} {
  if (userId !== null && teamId !== null) {
    return { select: 'selectKeysOfUserInTeam', count: 'countKeysOfUserInTeam', filter: { userId, teamId } };
  }
  if (userId !== null) return { select: 'selectKeysOfUser', count: 'countKeysOfUser', filter: { userId } };
  if (teamId !== null) return { select: 'selectKeysOfTeam', count: 'countKeysOfTeam', filter: { teamId } };
  return { select: 'selectKeys', count: 'countKeys', filter: {} };
}

/** An alias is one key's at most, so that the other filters need no index. */
function pageOfOne(key: StoredKey | null, { offset, limit, userId, teamId }: KeyQuery): KeyPage {
  const matches =
    key !== null && (userId === null || key.userId === userId) && (teamId === null || key.teamId === teamId);
  return matches ? { keys: [key].slice(offset, offset + limit), total: 1 } : { keys: [], total: 0 };
}
