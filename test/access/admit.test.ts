import { describe, expect, test } from 'vitest';
import { type Admission, createDoor, type Entry } from '../../src/access/admit.ts';
import { SluiceError } from '../../src/base/errors.ts';

const MASTER = 'sk-master';

function admit(masterKey: string | null, entry: Partial<Entry>): Admission {
  const admission = createDoor({ masterKey }).admit({
    headers: [],
    query: '',
    keyHeader: null,
    keyRequired: true,
    ...entry,
  });
  if (admission instanceof Promise) throw new Error('there is nobody to ask');
  return admission;
}

function refusal(act: () => unknown): SluiceError {
  try {
    act();
  } catch (error) {
    if (error instanceof SluiceError) return error;
    throw error;
  }
  throw new Error('was let in');
}

const KEY_IN: readonly (readonly [string, Partial<Entry>])[] = [
  ['Authorization', { headers: ['Authorization', `Bearer ${MASTER}`] }],
  ['x-api-key', { headers: ['x-api-key', MASTER] }],
  ['api-key', { headers: ['Api-Key', MASTER] }],
  ['x-goog-api-key', { headers: ['x-goog-api-key', MASTER] }],
  ['x-litellm-api-key', { headers: ['X-Litellm-Api-Key', `Bearer ${MASTER}`] }],
  ["the route's own header", { headers: ['X-Team', MASTER], keyHeader: 'x-team' }],
  ['a subprotocol', { headers: ['Sec-WebSocket-Protocol', `a, openai-insecure-api-key.${MASTER}`] }],
  ['the query', { query: `a=b&key=${MASTER}` }],
];

describe('with a master key', () => {
  test.each(KEY_IN)('the master key is known in %s, and that carrier is spent', (_, entry) => {
    for (const keyRequired of [true, false]) {
      const { caller, spent, key } = admit(MASTER, { ...entry, keyRequired });
      expect(caller).toEqual({ kind: 'master' });
      expect(spent).toHaveLength(1);
      expect(key).toBe(MASTER);
    }
  });

  test('the master key is known in the call that carries the request, and nothing is spent', () => {
    for (const keyRequired of [true, false]) {
      const callHeaders = ['x-other', 'a', 'authorization', `Bearer ${MASTER}`];
      const entry = { headers: ['Authorization', 'Bearer own'], callHeaders, keyRequired };
      expect(admit(MASTER, entry)).toEqual({ caller: { kind: 'master' }, spent: [], key: MASTER });
    }
  });

  test('a key of the request is spent though the call has it as well', () => {
    const entry = { headers: ['x-api-key', MASTER], callHeaders: ['authorization', `Bearer ${MASTER}`] };
    expect(admit(MASTER, entry).spent).toHaveLength(1);
  });

  test.each([
    ['a wrong one', ['x-api-key', 'sk-wrong'], 'unknown_key'],
    ['one without its scheme', ['authorization', MASTER], 'malformed_key'],
    ['none', [], 'missing_key'],
  ])('a call with %s is refused where a key is asked for', (_, callHeaders, reason) => {
    expect(refusal(() => admit(MASTER, { callHeaders })).reason).toBe(reason);
    expect(admit(MASTER, { callHeaders, keyRequired: false }).caller).toEqual({ kind: 'stranger' });
  });

  test('one right key among wrong ones is enough, and it alone is spent', () => {
    const headers = ['Authorization', 'Bearer own', 'api-key', MASTER, 'x-api-key', 'own'];
    const { caller, spent } = admit(MASTER, { headers });
    expect(caller.kind).toBe('master');
    expect(spent.map(({ carrier }) => carrier)).toEqual([{ kind: 'header', name: 'api-key' }]);
  });

  test('a right key in two carriers is spent in both', () => {
    const { spent } = admit(MASTER, { headers: ['api-key', MASTER], query: `key=${MASTER}` });
    expect(spent).toHaveLength(2);
  });

  test.each([
    ['nothing', 'missing_key', []],
    ['Authorization without a scheme', 'malformed_key', ['Authorization', MASTER]],
    ['Basic', 'malformed_key', ['Authorization', 'Basic c2stbWFzdGVyOg==']],
    ['an empty Bearer', 'malformed_key', ['Authorization', 'Bearer  ']],
    ['an empty x-api-key', 'malformed_key', ['x-api-key', '']],
    ['another key', 'unknown_key', ['Authorization', 'Bearer sk-other']],
    ['another key of the same length', 'unknown_key', ['Authorization', 'Bearer sk-mastex']],
    ['a prefix of the key (CVE-2026-35030)', 'unknown_key', ['Authorization', 'Bearer sk-maste']],
    ['the key and more', 'unknown_key', ['Authorization', 'Bearer sk-master2']],
    ['the key twice', 'unknown_key', ['Authorization', `Bearer ${MASTER} ${MASTER}`]],
    ['the key in other case', 'malformed_key', ['Authorization', 'Bearer SK-MASTER']],
    ['as many characters in more bytes', 'unknown_key', ['x-api-key', 'sk-mäster']],
    ['SQL (CVE-2026-42208)', 'malformed_key', ['Authorization', "Bearer ' OR 1=1 --"]],
  ] as const)('%s is refused: %s', (_, reason, headers) => {
    const error = refusal(() => admit(MASTER, { headers }));
    expect(error.reason).toBe(reason);
    expect(error.status).toBe(401);
    expect(error.headers).toEqual(['www-authenticate', 'Bearer']);
    expect(error.message).not.toContain(MASTER);
    expect(JSON.parse(error.envelope).error).toMatchObject({ type: 'authentication_error', code: reason });
  });

  test('an open route lets strangers in, and what they carry is theirs', () => {
    const entry = { headers: ['Authorization', 'Bearer own'], query: 'key=sk-own', keyRequired: false };
    expect(admit(MASTER, entry)).toMatchObject({ caller: { kind: 'stranger' }, spent: [] });
  });

  test('an open route knows the master key, wherever a stranger has put it', () => {
    const headers = ['Authorization', `Token token=${MASTER}`, 'X-Any', MASTER];
    expect(admit(MASTER, { headers, keyRequired: false }).key).toBe(MASTER);
  });

  test.each([['sk-master'], ['Basic sk-master'], ['Token  sk-master']])(
    'an open route spends a master key that stands in Authorization as "%s", without believing it',
    (value) => {
      const { caller, spent, key } = admit(MASTER, { headers: ['Authorization', value], keyRequired: false });
      expect(caller.kind).toBe('stranger');
      expect(spent.map(({ carrier }) => carrier)).toEqual([{ kind: 'header', name: 'authorization' }]);
      expect(key).toBe(MASTER);
    },
  );
});

describe('without a master key', () => {
  test.each(KEY_IN)('anyone is let in, and what was in %s was meant for us', (_, entry) => {
    const { caller, spent } = admit(null, entry);
    expect(caller).toEqual({ kind: 'anyone' });
    expect(spent).toHaveLength(1);
  });

  test('anyone is let in with nothing at all', () => {
    expect(admit(null, {})).toEqual({ caller: { kind: 'anyone' }, spent: [], key: null });
  });

  test("on an open route a client's credentials are its own", () => {
    expect(admit(null, { headers: ['Authorization', 'Bearer own'], keyRequired: false }).spent).toEqual([]);
  });
});

describe('requireMaster', () => {
  const door = createDoor({ masterKey: MASTER });

  test.each(['master', 'anyone'] as const)('lets %s pass', (kind) => {
    expect(() => door.requireMaster({ kind }, '/sleep')).not.toThrow();
  });

  test('refuses a stranger with 403', () => {
    const error = refusal(() => door.requireMaster({ kind: 'stranger' }, '/sleep'));
    expect([error.status, error.reason]).toEqual([403, 'master_key_required']);
    expect(error.message).toContain('/sleep');
  });
});
