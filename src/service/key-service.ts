import { randomUUID } from 'node:crypto';
import type { ServiceImpl } from '@connectrpc/connect';
import type { GetKeyInfoRequest, KeyService, UpdateKeyRequest } from '../../gen/sluice/v1/key_service_pb.ts';
import type { Caller } from '../access/admit.ts';
import { hashKey, keyNameOf, mintKey, secretProblem } from '../access/mint.ts';
import { SluiceError } from '../base/errors.ts';
import type { KeyStore, StoredKey } from '../store/key-store.ts';
import { admissionOf } from './admission.ts';
import { atPresent } from './key-budget.ts';
import { changesFrom, decisionsFrom, momentAfter } from './key-fields.ts';
import { keyMessage } from './key-message.ts';
import { findKey, type KeyName, noSuchKey } from './key-names.ts';

export interface KeyServiceOptions {
  readonly store: KeyStore;
  /** Called when keys have changed, before the answer: what this process has cached of them must go. */
  readonly changed: () => void;
  /** Milliseconds since 1970. Default: the system's. */
  readonly clock?: { now(): number };
}

/** LiteLLM's: https://docs.litellm.ai/docs/proxy/virtual_keys */
const DEFAULT_PAGE_SIZE = 10;

/** KeyService over a store. Secrets go out where they are made, and nowhere else. */
export function createKeyService(options: KeyServiceOptions): ServiceImpl<typeof KeyService> {
  const { store, changed, clock = Date } = options;

  /** Changes a key in one step, and tells of it; what the request leaves out stays. */
  async function change(name: KeyName, changes: Partial<StoredKey>, now: number): Promise<StoredKey> {
    const { id } = await findKey(store, name, now);
    const key = await store.updateKey(id, (stored) => ({
      ...atPresent(stored, now),
      ...changes,
      updatedAt: now,
    }));
    if (key === null) throw noSuchKey(name);
    changed();
    return key;
  }

  async function setBlocked(key: string, blocked: boolean) {
    const now = clock.now();
    return { info: keyMessage(await change({ by: 'key', text: key, param: 'key' }, { blocked }, now), now) };
  }

  return {
    async generateKey(request) {
      const now = clock.now();
      const decisions = decisionsFrom(request, now);
      const secret = request.key === '' ? mintKey() : chosen(request.key);
      const key = { ...decisions, ...identityOf(secret), id: randomUUID(), createdAt: now, updatedAt: now };
      await store.createKey({ ...key, previous: null });
      changed();
      return { ...keyMessage({ ...key, previous: null }, now), duration: request.duration, key: secret };
    },

    async getKeyInfo(request, context) {
      const now = clock.now();
      const key = await keyToRead(request, admissionOf(context).caller, now);
      return { key: key.token, info: keyMessage(key, now) };
    },

    async listKeys({ page, size, userId, teamId, keyAlias }) {
      const now = clock.now();
      const current = Math.max(1, page);
      const limit = size === 0 ? DEFAULT_PAGE_SIZE : size;
      const { keys, total } = await store.keys({
        offset: (current - 1) * limit,
        limit,
        userId: userId || null,
        teamId: teamId || null,
        alias: keyAlias || null,
      });
      return {
        keys: keys.map((key) => keyMessage(key, now)),
        totalCount: total,
        currentPage: current,
        totalPages: Math.ceil(total / limit),
      };
    },

    async updateKey(request) {
      const now = clock.now();
      const { alias, ...changes } = changesFrom(request, now);
      const name = nameToUpdate(request);
      const renamed = name.by === 'key' && alias !== undefined ? { alias } : {};
      return { info: keyMessage(await change(name, { ...changes, ...renamed }, now), now) };
    },

    async deleteKeys({ keys, keyAliases }) {
      const names: readonly KeyName[] = [
        ...keys.map((text, index) => ({ by: 'key' as const, text, param: `keys[${index}]` })),
        ...keyAliases.map((text, index) => ({ by: 'alias' as const, text, param: `key_aliases[${index}]` })),
      ];
      if (names.length === 0) {
        throw new SluiceError('invalid_request', 'keys: say which, by keys or by key_aliases', {
          param: 'keys',
        });
      }
      const now = clock.now();
      const found = await Promise.all(names.map((name) => findKey(store, name, now)));
      if (!(await store.deleteKeys([...new Set(found.map(({ id }) => id))]))) {
        throw new SluiceError(
          'key_not_found',
          'One of the keys has been deleted just now; nothing else was changed.',
          { param: 'keys' },
        );
      }
      changed();
      return { deletedKeys: [...keys, ...keyAliases] };
    },

    blockKey({ key }) {
      return setBlocked(key, true);
    },

    unblockKey({ key }) {
      return setBlocked(key, false);
    },

    async regenerateKey(request) {
      const now = clock.now();
      const until = momentAfter('grace_period', request.gracePeriod, now);
      const name: KeyName = { by: 'key', text: request.key, param: 'key' };
      const { id } = await findKey(store, name, now);
      const secret = mintKey();
      const key = await store.updateKey(id, (stored) => ({
        ...stored,
        ...identityOf(secret),
        previous: until === null ? null : { token: stored.token, until },
        updatedAt: now,
      }));
      if (key === null) throw noSuchKey(name);
      changed();
      return { key: secret, info: keyMessage(key, now) };
    },
  };

  /** @throws SluiceError `invalid_request`, `master_key_required`, `key_not_found` */
  async function keyToRead({ key }: GetKeyInfoRequest, caller: Caller, now: number): Promise<StoredKey> {
    if (caller.kind !== 'key') {
      if (key === '') {
        const message = 'key: say which key; who asks has none of the virtual ones';
        throw new SluiceError('invalid_request', message, { param: 'key' });
      }
      return findKey(store, { by: 'key', text: key, param: 'key' }, now);
    }
    const own: KeyName = { by: 'key', text: caller.key.token, param: 'key' };
    if (key === '' || key === own.text) return findKey(store, own, now);
    // Whether another key exists is none of the caller's business.
    const asked = await findKey(store, { by: 'key', text: key, param: 'key' }, now).catch(nullIfMissing);
    if (asked?.id === caller.key.id) return asked;
    throw new SluiceError('master_key_required', 'A virtual key may read its own info alone.', {
      param: 'key',
    });
  }
}

function identityOf(secret: string): Pick<StoredKey, 'token' | 'keyName'> {
  return { token: hashKey(secret), keyName: keyNameOf(secret) };
}

/** A secret that the caller brings. */
function chosen(secret: string): string {
  const problem = secretProblem(secret);
  if (problem === null) return secret;
  throw new SluiceError('invalid_request', `key: ${problem}`, { param: 'key' });
}

function nameToUpdate({ key, keyAlias = '' }: UpdateKeyRequest): KeyName {
  if (key !== '') return { by: 'key', text: key, param: 'key' };
  if (keyAlias !== '') return { by: 'alias', text: keyAlias, param: 'key_alias' };
  throw new SluiceError('invalid_request', 'key: say which, by key or by key_alias', { param: 'key' });
}

function nullIfMissing(thrown: unknown): null {
  if (thrown instanceof SluiceError && thrown.reason === 'key_not_found') return null;
  throw thrown;
}
