import { SluiceError } from '../base/errors.ts';
import type { KeyPage, KeyQuery, KeyStore, Spending, StoredKey } from './key-store.ts';
import type { RedisConnection } from './redis-connection.ts';
import { verbErrorFrom } from './redis-errors.ts';
import {
  aliasesOf,
  jsonFromKey,
  type KeyRecord,
  keyFromRecord,
  listsOf,
  recordsFrom,
  resetOf,
  tokensOf,
} from './redis-key-records.ts';
import type { ScriptName } from './redis-scripts.ts';
import { numberFrom, textFrom, textsFrom } from './redis-values.ts';
import { MAX_NANO_USD, nanoUsdFrom, nextReset } from './spending.ts';

/** The half of the Redis store that deals with virtual keys. */
export class RedisKeyStore implements KeyStore {
  readonly #connection: RedisConnection;

  constructor(connection: RedisConnection) {
    this.#connection = connection;
  }

  async createKey(key: StoredKey): Promise<void> {
    const { version, keysVersion, sequence, virtualKeys, spend, resets, tokens, aliases } =
      this.#connection.keys;
    const own = aliasesOf(key);
    const outcome = await this.#change(
      'key-create',
      [version, keysVersion, sequence, virtualKeys, spend, resets, tokens, aliases, ...this.#listsOf(key)],
      [
        key.id,
        jsonFromKey(key),
        String(nanoUsdFrom(key.spend)),
        resetOf(key),
        key.createdAt,
        own.length,
        ...own,
        ...tokensOf(key),
      ],
    );
    refuseTaken(textFrom(outcome), key);
  }

  async keyByToken(token: string, now: number): Promise<StoredKey | null> {
    const { tokens } = this.#connection.keys;
    // A request waits for this one.
    const record = await this.#find(tokens, token, (keys, args) =>
      this.#connection.request('key-find', keys, args),
    );
    if (record === null) return null;
    const key = keyFromRecord(record);
    const isLetIn = key.token === token || (key.previous?.token === token && now < key.previous.until);
    return isLetIn ? key : null;
  }

  async keyByAlias(alias: string): Promise<StoredKey | null> {
    const { aliases } = this.#connection.keys;
    const record = await this.#find(aliases, alias, (keys, args) =>
      this.#connection.manage('key-find', keys, args),
    );
    return record === null ? null : keyFromRecord(record);
  }

  async keys(query: KeyQuery): Promise<KeyPage> {
    const { offset, limit, userId, teamId, alias } = query;
    if (alias !== null) return pageOfOne(await this.keyByAlias(alias), query);
    const { virtualKeys, spend, resets, keyOrder, keysOfUser, keysOfTeam } = this.#connection.keys;
    const lists = [
      ...(userId === null ? [] : [keysOfUser(userId)]),
      ...(teamId === null ? [] : [keysOfTeam(teamId)]),
    ];
    const reply = await this.#run(() =>
      this.#connection.manage(
        'keys-page',
        [virtualKeys, spend, resets, ...(lists.length === 0 ? [keyOrder] : lists)],
        [offset, limit],
      ),
    );
    const [total, ...page] = Array.isArray(reply) ? reply : [];
    return { keys: recordsFrom(page).map(keyFromRecord), total: numberFrom(total) };
  }

  async updateKey(id: string, change: (stored: StoredKey) => StoredKey): Promise<StoredKey | null> {
    const { version, keysVersion, virtualKeys, spend, resets, tokens, aliases } = this.#connection.keys;
    for (;;) {
      const record = await this.#record(id);
      if (record === null) return null;
      const stored = keyFromRecord(record);
      const changed = { ...change(stored), id };
      const before = { lists: this.#listsOf(stored), tokens: tokensOf(stored), aliases: aliasesOf(stored) };
      const after = { lists: this.#listsOf(changed), tokens: tokensOf(changed), aliases: aliasesOf(changed) };
      const json = jsonFromKey(changed);
      const [outcome = '', nanoUsd = '0'] = textsFrom(
        await this.#change(
          'key-update',
          [
            version,
            keysVersion,
            virtualKeys,
            spend,
            resets,
            tokens,
            aliases,
            ...before.lists,
            ...after.lists,
          ],
          [
            id,
            record.value,
            record.reset,
            json,
            resetOf(changed),
            changed.spend === stored.spend ? '' : String(nanoUsdFrom(changed.spend)),
            changed.createdAt,
            before.lists.length,
            before.tokens.length,
            before.aliases.length,
            after.tokens.length,
            ...before.tokens,
            ...before.aliases,
            ...after.tokens,
            ...after.aliases,
          ],
        ),
      );
      refuseTaken(outcome, changed);
      if (outcome === 'changed') continue;
      const value = `${record.value.slice(0, 16)} ${json}`;
      return keyFromRecord({ id, value, spend: nanoUsd, reset: resetOf(changed) });
    }
  }

  async deleteKeys(ids: readonly string[]): Promise<boolean> {
    const { version, keysVersion, virtualKeys, spend, resets, tokens, aliases } = this.#connection.keys;
    const distinct = [...new Set(ids)];
    if (distinct.length === 0) return true;
    for (;;) {
      const values = await this.#values(virtualKeys, distinct);
      const lists: string[] = [];
      const args: (string | number)[] = [];
      for (const [index, id] of distinct.entries()) {
        const value = values[index];
        if (value === null || value === undefined) return false;
        const key = keyFromRecord({ id, value, spend: '0', reset: '' });
        const own = this.#listsOf(key);
        lists.push(...own);
        args.push(id, value, own.length, tokensOf(key).length, aliasesOf(key).length);
        args.push(...tokensOf(key), ...aliasesOf(key));
      }
      const keys = [version, keysVersion, virtualKeys, spend, resets, tokens, aliases, ...lists];
      if ((await this.#change('keys-delete', keys, args)) === 1) return true;
    }
  }

  async keysVersion(): Promise<number> {
    const { keysVersion } = this.#connection.keys;
    return numberFrom(await this.#run(() => this.#connection.command('get', keysVersion)));
  }

  async addSpend(spent: readonly Spending[], now: number): Promise<void> {
    const sums = new Map<string, bigint>();
    for (const { id, usd } of spent) sums.set(id, (sums.get(id) ?? 0n) + nanoUsdFrom(usd));
    if (sums.size === 0) return;
    const { virtualKeys, spend, resets } = this.#connection.keys;
    const ids = [...sums.keys()];
    for (;;) {
      const due = await this.#dueResets(ids, now);
      const args = ids.flatMap((id) => {
        const { reset = '', next = '' } = due.get(id) ?? {};
        return [id, String(sums.get(id)), reset, next];
      });
      const added = await this.#run(() =>
        this.#connection.manage('spend-add', [virtualKeys, spend, resets], [String(MAX_NANO_USD), ...args]),
      );
      if (added === 1) return;
    }
  }

  /** Of those keys that have one: their reset, and the one to put in its place where it is due. */
  async #dueResets(
    ids: readonly string[],
    now: number,
  ): Promise<ReadonlyMap<string, { readonly reset: string; readonly next: string }>> {
    const { virtualKeys, resets } = this.#connection.keys;
    const found = new Map<string, { readonly reset: string; readonly next: string }>();
    for (const [index, reset] of (await this.#values(resets, ids)).entries()) {
      if (reset !== null) found.set(ids[index] ?? '', { reset, next: '' });
    }
    const dueIds = [...found].filter(([, { reset }]) => Number(reset) <= now).map(([id]) => id);
    if (dueIds.length === 0) return found;
    for (const [index, value] of (await this.#values(virtualKeys, dueIds)).entries()) {
      const id = dueIds[index] ?? '';
      const { reset = '' } = found.get(id) ?? {};
      const budget = value === null ? null : keyFromRecord({ id, value, spend: '0', reset }).budget;
      const next = budget === null ? null : nextReset(budget, now);
      found.set(id, { reset, next: next === null ? '' : String(next) });
    }
    return found;
  }

  async #find(
    index: string,
    name: string,
    run: (keys: readonly string[], args: readonly string[]) => Promise<unknown>,
  ): Promise<KeyRecord | null> {
    const { virtualKeys, spend, resets } = this.#connection.keys;
    const reply = await this.#run(() => run([index, virtualKeys, spend, resets], [name]));
    return recordsFrom(reply)[0] ?? null;
  }

  async #record(id: string): Promise<KeyRecord | null> {
    const { virtualKeys, spend, resets } = this.#connection.keys;
    const [value, nanoUsd, reset] = await Promise.all(
      [virtualKeys, spend, resets].map(async (key) => (await this.#values(key, [id]))[0] ?? null),
    );
    if (value === null || value === undefined) return null;
    return { id, value, spend: nanoUsd ?? '0', reset: reset ?? '' };
  }

  async #values(key: string, fields: readonly string[]): Promise<readonly (string | null)[]> {
    const reply = await this.#run(() => this.#connection.command('hmget', key, ...fields));
    if (!Array.isArray(reply)) throw new TypeError('Redis holds something else than a hash');
    return reply.map((value: unknown) => (typeof value === 'string' ? value : null));
  }

  #listsOf(key: StoredKey): readonly string[] {
    return listsOf(key, this.#connection.keys);
  }

  /** Runs a script whose first key is the version and whose first arguments say who has changed something. */
  #change(script: ScriptName, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    const { keys: names, instance } = this.#connection;
    return this.#run(() => this.#connection.manage(script, keys, [names.channel, instance, ...args]));
  }

  async #run(command: () => Promise<unknown>): Promise<unknown> {
    try {
      return await command();
    } catch (error) {
      throw verbErrorFrom(error);
    }
  }
}

/** @throws SluiceError `already_exists` for what a script found taken */
function refuseTaken(outcome: string, { id, alias }: StoredKey): void {
  switch (outcome) {
    case 'id':
      throw new SluiceError('already_exists', `A key with the id ${id} exists already.`);
    case 'token':
      throw new SluiceError('already_exists', 'This key exists already.', { param: 'key' });
    case 'alias': {
      const message = `Another key has the alias ${JSON.stringify(alias)} already.`;
      throw new SluiceError('already_exists', message, { param: 'key_alias' });
    }
  }
}

/** An alias is one key's at most, so that the other filters need no index. */
function pageOfOne(key: StoredKey | null, { offset, limit, userId, teamId }: KeyQuery): KeyPage {
  const matches =
    key !== null && (userId === null || key.userId === userId) && (teamId === null || key.teamId === teamId);
  return matches ? { keys: [key].slice(offset, offset + limit), total: 1 } : { keys: [], total: 0 };
}
