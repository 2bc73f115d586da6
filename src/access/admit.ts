import { timingSafeEqual } from 'node:crypto';
import { SluiceError } from '../base/errors.ts';
import type { StoredKey } from '../store/key-store.ts';
import { type Credential, findCredentials } from './credentials.ts';
import type { KeySource } from './key-cache.ts';
import type { Grant, Limiter } from './limiter.ts';
import { type Asked, permit } from './permissions.ts';

/** Who is asking, as far as the door could tell. */
export type Caller =
  /** No master key is configured: whoever reaches the loopback port. */
  | { readonly kind: 'anyone' }
  /** An open route, no Sluice key shown. */
  | { readonly kind: 'stranger' }
  | { readonly kind: 'master' }
  /** A virtual key: neither blocked nor expired. */
  | { readonly kind: 'key'; readonly key: StoredKey };

/** What a request shows at the door. */
export interface Entry {
  /** Raw name-value pairs. */
  readonly headers: readonly string[];
  readonly query: string;
  /** Lower-case name of the route's own key header, or null. */
  readonly keyHeader: string | null;
  /** False only on an operator's route without `auth`. */
  readonly keyRequired: boolean;
  /**
   * Raw name-value pairs of the call that carries the request, if one does: a key of ours is looked for there when
   * `headers` and `query` hold none. They never go on, so nothing of them is `spent`.
   */
  readonly callHeaders?: readonly string[] | undefined;
}

export interface Admission {
  readonly caller: Caller;
  /** Carriers that held a key of ours: none of them may go on. */
  readonly spent: readonly Credential[];
  /** The key whose copies are to be taken out wherever else in the request they stand; null where there is none. */
  readonly key: string | null;
}

/** The one door: everything that enters, from every protocol, is let in or refused here. */
export interface Door {
  /**
   * Answers at once but for a virtual key that isn't known in this process, for which the store is asked.
   * @throws SluiceError (or rejects with it) `missing_key`, `malformed_key`, `unknown_key`, `expired_key`, `blocked_key`
   *   (401), `store_unavailable` (503)
   */
  admit(entry: Entry): Admission | Promise<Admission>;
  /** @throws SluiceError `master_key_required` (403) unless the caller may administer */
  requireMaster(caller: Caller, what: string): void;
  /** @throws SluiceError `route_not_allowed`, `model_not_allowed` (403); see permissions.ts */
  permit(caller: Caller, asked: Asked): void;
  /**
   * Counts one request, and takes its place among those under way; once a request, when what it asks for is known and
   * permitted.
   * @throws SluiceError (or rejects with it) `rate_limited`, `budget_exceeded` (429); see `Limiter`
   */
  take(caller: Caller): Grant | Promise<Grant>;
}

export interface DoorOptions {
  /** Null: open (the server then binds loopback only), and virtual keys mean nothing. */
  readonly masterKey: string | null;
  /** Null (the default): there are no virtual keys. */
  readonly keys?: KeySource | null;
  /** Null (the default): their limits aren't counted. */
  readonly limiter?: Limiter | null;
}

interface MasterKey {
  readonly text: string;
  readonly bytes: Buffer;
}

/** What those have taken who have no limits. */
export const NO_GRANT: Grant = Object.freeze({ headers: Object.freeze([]), counts: false, settle() {} });

const NOTHING: readonly Credential[] = [];
const CHALLENGE = ['www-authenticate', 'Bearer'] as const;
const MASTER: Caller = { kind: 'master' };
const ANYONE: Caller = { kind: 'anyone' };
const STRANGER: Caller = { kind: 'stranger' };

/** Makes the door for a configuration. */
export function createDoor({ masterKey, keys = null, limiter = null }: DoorOptions): Door {
  const master = masterKey === null ? null : { text: masterKey, bytes: Buffer.from(masterKey) };
  return {
    admit(entry) {
      const credentials = findCredentials(entry.headers, entry.query, entry.keyHeader);
      if (master === null) return admitAnyone(entry, credentials);
      return admitKeyHolder({ entry, credentials, master, keys });
    },
    requireMaster(caller, what) {
      if (caller.kind === 'master' || caller.kind === 'anyone') return;
      throw new SluiceError(
        'master_key_required',
        `${what} is an administrative endpoint: it needs the master key.`,
      );
    },
    permit(caller, asked) {
      if (caller.kind === 'key') permit(caller.key, asked);
    },
    take(caller) {
      return caller.kind === 'key' && limiter !== null ? limiter.take(caller.key) : NO_GRANT;
    },
  };
}

function admitAnyone(entry: Entry, credentials: readonly Credential[]): Admission {
  // "bearer anything": where a key is asked for, what was sent was meant for us and goes no further.
  const addressed = entry.keyRequired ? credentials : NOTHING;
  return { caller: ANYONE, spent: addressed, key: null };
}

interface Showing {
  readonly entry: Entry;
  /** Of the request itself. */
  readonly credentials: readonly Credential[];
  readonly master: MasterKey;
  readonly keys: KeySource | null;
}

function admitKeyHolder(showing: Showing): Admission | Promise<Admission> {
  const { entry, credentials, master, keys } = showing;
  const [first] = credentials;
  // Nearly all requests: one credential, well placed.
  if (first !== undefined && first.key !== null && credentials.length === 1 && !entry.callHeaders) {
    const { key } = first;
    if (isSameKey(key, master.bytes)) return { caller: MASTER, spent: credentials, key: master.text };
    const found = keys !== null && looksLikeKey(key) ? keys.find(key) : null;
    if (found instanceof Promise) return found.then((one) => judged(showing, credentials, false, [one]));
    if (found !== null && problemOf(found) === null) {
      return { caller: { kind: 'key', key: found }, spent: credentials, key };
    }
    return judged(showing, credentials, false, [found]);
  }
  const ofCall =
    entry.callHeaders === undefined ? NOTHING : findCredentials(entry.callHeaders, '', entry.keyHeader);
  const shown = ofCall.length === 0 ? credentials : [...credentials, ...ofCall];
  const isMaster = shown.some(({ key }) => key !== null && isSameKey(key, master.bytes));
  // The master needs no store, and a stranger has nothing to ask it about.
  if (isMaster || keys === null || shown.length === 0) return judged(showing, shown, isMaster, NONE_FOUND);
  const found = findAll(shown, keys, master);
  return found instanceof Promise
    ? found.then((all) => judged(showing, shown, false, all))
    : judged(showing, shown, false, found);
}

type Found = readonly (StoredKey | null)[];
const NONE_FOUND: Found = [];

/** The virtual key of each credential, well placed or not. */
function findAll(shown: readonly Credential[], keys: KeySource, master: MasterKey): Found | Promise<Found> {
  const found: (StoredKey | null | Promise<StoredKey | null>)[] = [];
  let isWaiting = false;
  for (const { key, stray } of shown) {
    const text = key ?? stray ?? '';
    const one = looksLikeKey(text) && !isSameKey(text, master.bytes) ? keys.find(text) : null;
    isWaiting ||= one instanceof Promise;
    found.push(one);
  }
  return isWaiting ? Promise.all(found) : (found as Found);
}

/** `shown` begins with the request's own credentials; `found` has their keys. */
function judged(
  { entry, credentials, master }: Showing,
  shown: readonly Credential[],
  isMaster: boolean,
  found: Found,
): Admission {
  const spent: Credential[] = [];
  // Looked for in any case: a client may show it in a place that opens no door (`Token token=sk-…`).
  let hidden = master.text;
  let caller: Caller | null = isMaster ? MASTER : null;
  let fault: SluiceError | null = null;
  for (const [i, credential] of shown.entries()) {
    const key = found[i] ?? null;
    const text = credential.key ?? credential.stray ?? '';
    if (i < credentials.length && (key !== null || isSameKey(text, master.bytes))) spent.push(credential);
    if (key === null || caller !== null || credential.key === null) continue;
    const problem = problemOf(key);
    fault ??= problem;
    if (problem !== null) continue;
    caller = { kind: 'key', key };
    hidden = text;
  }
  if (caller !== null) return { caller, spent, key: hidden };
  if (fault !== null) throw fault;
  if (!entry.keyRequired) return { caller: STRANGER, spent, key: hidden };
  throw refusal(credentials.length === 0 ? shown : credentials);
}

/** Why a key opens nothing though it is known; null: it does. */
function problemOf({ blocked, expiresAt }: StoredKey): SluiceError | null {
  if (blocked) return new SluiceError('blocked_key', 'the API key is blocked', { headers: CHALLENGE });
  if (expiresAt !== null && expiresAt <= Date.now()) {
    return new SluiceError('expired_key', 'the API key has expired', { headers: CHALLENGE });
  }
  return null;
}

function refusal(credentials: readonly Credential[]): SluiceError {
  const [first] = credentials;
  if (first === undefined) {
    return new SluiceError('missing_key', 'no API key passed in: send Authorization: Bearer sk-…', {
      headers: CHALLENGE,
    });
  }
  if (first.key === null || !looksLikeKey(first.key)) {
    return new SluiceError('malformed_key', 'the API key is malformed: send Authorization: Bearer sk-…', {
      headers: CHALLENGE,
    });
  }
  return new SluiceError('unknown_key', 'the API key is not known here', { headers: CHALLENGE });
}

function looksLikeKey(text: string): boolean {
  return text.startsWith('sk-');
}

/** Constant time in the key's content; its length is not a secret. */
function isSameKey(given: string, expected: Buffer): boolean {
  return given.length === expected.length && timingSafeEqual(Buffer.from(given, 'latin1'), expected);
}
