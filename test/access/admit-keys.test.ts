import { describe, expect, test, vi } from 'vitest';
import { type Admission, createDoor, type Door, type Entry, NO_GRANT } from '../../src/access/admit.ts';
import type { Grant } from '../../src/access/limiter.ts';
import { SluiceError } from '../../src/base/errors.ts';
import type { StoredKey } from '../../src/store/key-store.ts';
import { key as sample } from '../store/samples.ts';

const MASTER = 'sk-master';
const NOW = Date.UTC(2026, 10, 20);

const KEYS: Readonly<Record<string, StoredKey>> = {
  'sk-good': sample('good'),
  'sk-other': sample('other'),
  'sk-blocked': sample('blocked', { blocked: true }),
  'sk-expired': sample('expired', { expiresAt: NOW }),
  'sk-almost': sample('almost', { expiresAt: NOW + 1 }),
};

const away = () => new SluiceError('store_unavailable', 'The store is away.');

/** What is asked for is noted; how it is answered is the test's. */
function doorWith(answer: 'at once' | 'later' | 'never'): { readonly door: Door; readonly asked: string[] } {
  const asked: string[] = [];
  const door = createDoor({
    masterKey: MASTER,
    keys: {
      find(secret) {
        asked.push(secret);
        if (answer === 'never') return Promise.reject(away());
        const found = KEYS[secret] ?? null;
        return answer === 'later' ? Promise.resolve(found) : found;
      },
    },
  });
  return { door, asked };
}

const entry = (parts: Partial<Entry>): Entry => ({
  headers: [],
  query: '',
  keyHeader: null,
  keyRequired: true,
  ...parts,
});

async function refusal(act: () => Admission | Promise<Admission>): Promise<SluiceError> {
  try {
    await act();
  } catch (error) {
    if (error instanceof SluiceError) return error;
    throw error;
  }
  throw new Error('was let in');
}

const bearer = (secret: string) => ['Authorization', `Bearer ${secret}`];

vi.setSystemTime(NOW);

describe.each(['at once', 'later'] as const)('keys that are found %s', (answer) => {
  const { door } = doorWith(answer);

  test.each([
    ['Authorization', { headers: bearer('sk-good') }],
    ['x-api-key', { headers: ['x-api-key', 'sk-good'] }],
    ['api-key', { headers: ['Api-Key', 'sk-good'] }],
    ['x-goog-api-key', { headers: ['x-goog-api-key', 'sk-good'] }],
    ['x-litellm-api-key', { headers: ['X-Litellm-Api-Key', 'Bearer sk-good'] }],
    ["the route's own header", { headers: ['X-Team', 'sk-good'], keyHeader: 'x-team' }],
    ['a subprotocol', { headers: ['Sec-WebSocket-Protocol', 'a, openai-insecure-api-key.sk-good'] }],
    ['the query', { query: 'a=b&key=sk-good' }],
  ] as const)('let in from %s, and that carrier is spent', async (_, parts) => {
    for (const keyRequired of [true, false]) {
      const admission = await door.admit(entry({ ...parts, keyRequired }));
      expect(admission.caller).toEqual({ kind: 'key', key: KEYS['sk-good'] });
      expect(admission.spent).toHaveLength(1);
      expect(admission.key).toBe('sk-good');
    }
  });

  test('let in until they expire', async () => {
    const { caller } = await door.admit(entry({ headers: bearer('sk-almost') }));
    expect(caller.kind).toBe('key');
  });

  test.each([
    ['a blocked one', bearer('sk-blocked'), 'blocked_key'],
    ['an expired one', bearer('sk-expired'), 'expired_key'],
    ['one that nobody has', bearer('sk-nobody'), 'unknown_key'],
    ['a prefix of one', bearer('sk-goo'), 'unknown_key'],
    ['one and more', bearer('sk-good2'), 'unknown_key'],
    ['one in other case', bearer('sk-GOOD'), 'unknown_key'],
    ['one twice', bearer('sk-good sk-good'), 'unknown_key'],
    ['none of ours', bearer('anything'), 'malformed_key'],
    ['one without its scheme', ['Authorization', 'sk-good'], 'malformed_key'],
    ['one as a password', ['Authorization', 'Basic sk-good'], 'malformed_key'],
    ['a name of Object', bearer('__proto__'), 'malformed_key'],
    ['a blocked one and an unknown one', [...bearer('sk-nobody'), 'x-api-key', 'sk-blocked'], 'blocked_key'],
  ] as const)('%s is refused', async (_, headers, reason) => {
    const error = await refusal(() => door.admit(entry({ headers })));
    expect([error.status, error.reason]).toEqual([401, reason]);
    expect(error.headers).toEqual(['www-authenticate', 'Bearer']);
    expect(error.envelope).not.toMatch(/sk-(?!…)/);
  });

  test('one right key is enough, and all that are known are spent', async () => {
    const headers = [
      ...bearer('sk-own-of-the-target'),
      ...['x-api-key', 'sk-blocked', 'api-key', 'sk-good', 'x-goog-api-key', 'sk-other'],
    ];
    const { caller, spent } = await door.admit(entry({ headers, keyRequired: false }));
    expect(caller).toEqual({ kind: 'key', key: KEYS['sk-good'] });
    expect(spent.map(({ key }) => key)).toEqual(['sk-blocked', 'sk-good', 'sk-other']);
  });

  test('the master key wins, whatever else is shown', async () => {
    const headers = [...bearer('sk-good'), 'x-api-key', MASTER];
    expect((await door.admit(entry({ headers }))).caller).toEqual({ kind: 'master' });
  });

  test("on an open route an unknown key stays the client's own", async () => {
    const headers = bearer('sk-own');
    expect(await door.admit(entry({ headers, keyRequired: false }))).toMatchObject({
      caller: { kind: 'stranger' },
      spent: [],
    });
  });

  test.each(['sk-blocked', 'sk-expired'])('on an open route %s is refused as anywhere', async (secret) => {
    const error = await refusal(() => door.admit(entry({ headers: bearer(secret), keyRequired: false })));
    expect(error.status).toBe(401);
  });

  test('on an open route a key in Authorization without Bearer is spent, without being believed', async () => {
    const headers = ['Authorization', 'Token sk-good'];
    const { caller, spent } = await door.admit(entry({ headers, keyRequired: false }));
    expect([caller.kind, spent.length]).toEqual(['stranger', 1]);
  });

  test('let in from the call that carries the request, and nothing is spent', async () => {
    for (const keyRequired of [true, false]) {
      const callHeaders = ['authorization', 'Bearer sk-good'];
      const headers = ['Authorization', 'Bearer own'];
      const admission = await door.admit(entry({ headers, callHeaders, keyRequired }));
      expect(admission).toEqual({ caller: { kind: 'key', key: KEYS['sk-good'] }, spent: [], key: 'sk-good' });
    }
  });

  test('the request’s own key comes before that of the call', async () => {
    const callHeaders = ['authorization', 'Bearer sk-good'];
    const { caller, spent } = await door.admit(entry({ headers: bearer('sk-other'), callHeaders }));
    expect(caller).toEqual({ kind: 'key', key: KEYS['sk-other'] });
    expect(spent).toHaveLength(1);
  });

  test('may not administer', async () => {
    const { caller } = await door.admit(entry({ headers: bearer('sk-good') }));
    expect(() => door.requireMaster(caller, '/sleep')).toThrow(/master key/);
  });
});

describe('where keys come from', () => {
  test('is not asked about the master key, nor about what is no key', async () => {
    const { door, asked } = doorWith('never');
    expect((await door.admit(entry({ headers: bearer(MASTER) }))).caller.kind).toBe('master');
    const both = [...bearer('sk-own'), 'x-api-key', MASTER];
    expect((await door.admit(entry({ headers: both }))).caller.kind).toBe('master');
    await refusal(() => door.admit(entry({ headers: bearer('AIza-of-another-house') })));
    await refusal(() => door.admit(entry({})));
    expect(asked).toEqual([]);
  });

  test('may not be known: nobody is let in, nor taken for a stranger', async () => {
    const { door } = doorWith('never');
    for (const keyRequired of [true, false]) {
      const error = await refusal(() => door.admit(entry({ headers: bearer('sk-good'), keyRequired })));
      expect([error.status, error.reason]).toEqual([503, 'store_unavailable']);
    }
  });

  test('is nowhere without a master key: anyone is let in', () => {
    const door = createDoor({ masterKey: null, keys: { find: () => KEYS['sk-good'] ?? null } });
    expect(door.admit(entry({ headers: bearer('sk-good') }))).toMatchObject({ caller: { kind: 'anyone' } });
  });
});

describe('what is known already', () => {
  test('takes no promise', () => {
    const { door } = doorWith('at once');
    for (const secret of [MASTER, 'sk-good']) {
      expect(door.admit(entry({ headers: bearer(secret) }))).not.toBeInstanceOf(Promise);
    }
  });
});

describe('take', () => {
  const grant: Grant = { headers: ['x-ratelimit-limit-requests', '1'], counts: true, settle() {} };
  const limiter = { take: () => grant, close: async () => {} };
  const caller = { kind: 'key', key: sample('good') } as const;

  test('asks the limiter for keys alone', () => {
    const door = createDoor({ masterKey: MASTER, limiter });
    expect(door.take(caller)).toBe(grant);
    for (const kind of ['master', 'anyone', 'stranger'] as const) expect(door.take({ kind })).toBe(NO_GRANT);
  });

  test('takes nothing where nothing is limited', () => {
    expect(createDoor({ masterKey: MASTER }).take(caller)).toBe(NO_GRANT);
  });
});

describe('permit', () => {
  const door = createDoor({ masterKey: MASTER });
  const asked = { path: '/v1/x', alias: null, model: 'b', byModel: true };

  test('holds keys alone to what they may', () => {
    const key = sample('good', { models: ['a'] });
    expect(() => door.permit({ kind: 'key', key }, asked)).toThrow(/may not use the model "b"/);
    for (const kind of ['master', 'anyone', 'stranger'] as const) {
      expect(() => door.permit({ kind }, asked)).not.toThrow();
    }
  });
});
