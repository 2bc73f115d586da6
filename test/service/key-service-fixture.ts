import { type Client, createClient, createRouterTransport, type Interceptor } from '@connectrpc/connect';
import { onTestFinished } from 'vitest';
import { KeyService } from '../../gen/sluice/v1/key_service_pb.ts';
import type { Caller } from '../../src/access/admit.ts';
import { hashKey } from '../../src/access/mint.ts';
import { withAdmission } from '../../src/service/admission.ts';
import { errorInterceptor } from '../../src/service/interceptors/errors.ts';
import { createValidationInterceptor } from '../../src/service/interceptors/validation.ts';
import { createKeyService } from '../../src/service/key-service.ts';
import type { KeyStore } from '../../src/store/key-store.ts';
import { openSqliteStore } from '../../src/store/sqlite-store.ts';
import type { Store } from '../../src/store/store.ts';

export interface KeysFixture {
  readonly client: Client<typeof KeyService>;
  /** A client of somebody who shows this key. */
  clientWith(secret: string): Client<typeof KeyService>;
  readonly store: Store;
  /** Where the service's clock stands, ms since 1970; it stands still by itself. */
  now: number;
  /** How often the service told of a change. */
  readonly changes: number;
}

/**
 * KeyService on a store in memory, called by the holder of the master key.
 * @param instead verbs that take the place of the store's own
 */
export async function startKeys(instead: Partial<KeyStore> = {}): Promise<KeysFixture> {
  const store = await openSqliteStore({ file: ':memory:' });
  onTestFinished(() => store.close());
  const clock = { at: Date.parse('2026-11-20T14:00:00.123Z'), now: () => clock.at };
  let changes = 0;
  const changed = (): void => {
    changes += 1;
  };
  const implementation = createKeyService({ store: withVerbs(store, instead), changed, clock });

  function clientOf(caller: () => Promise<Caller>): Client<typeof KeyService> {
    const admit: Interceptor = (next) => async (request) => {
      withAdmission(request.contextValues, { caller: await caller(), spent: [], key: null });
      return next(request);
    };
    const interceptors = [errorInterceptor, admit, createValidationInterceptor([KeyService])];
    const transport = createRouterTransport(({ service }) => void service(KeyService, implementation), {
      router: { interceptors },
    });
    return createClient(KeyService, transport);
  }

  return {
    store,
    client: clientOf(async () => ({ kind: 'master' })),
    clientWith: (secret) =>
      clientOf(async () => {
        const key = await store.keyByToken(hashKey(secret), clock.at);
        if (key === null) throw new Error('the caller has no key');
        return { kind: 'key', key };
      }),
    get now() {
      return clock.at;
    },
    set now(at) {
      clock.at = at;
    },
    get changes() {
      return changes;
    },
  };
}

function withVerbs(store: KeyStore, instead: Partial<KeyStore>): KeyStore {
  return {
    createKey: (key) => store.createKey(key),
    keyByToken: (token, now) => store.keyByToken(token, now),
    keyByAlias: (alias) => store.keyByAlias(alias),
    keys: (query) => store.keys(query),
    updateKey: (id, change) => store.updateKey(id, change),
    deleteKeys: (ids) => store.deleteKeys(ids),
    keysVersion: () => store.keysVersion(),
    addSpend: (spent, now) => store.addSpend(spent, now),
    ...instead,
  };
}
