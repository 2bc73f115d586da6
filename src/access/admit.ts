import { timingSafeEqual } from 'node:crypto';
import { SluiceError } from '../base/errors.ts';
import { type Credential, findCredentials } from './credentials.ts';

/** Who is asking, as far as the door could tell. */
export type Caller =
  /** No master key is configured: whoever reaches the loopback port. */
  | { readonly kind: 'anyone' }
  /** An open route, no Sluice key shown. */
  | { readonly kind: 'stranger' }
  | { readonly kind: 'master' };

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
  /** @throws SluiceError `missing_key`, `malformed_key`, `unknown_key` (401) */
  admit(entry: Entry): Admission;
  /** @throws SluiceError `master_key_required` (403) unless the caller may administer */
  requireMaster(caller: Caller, what: string): void;
}

interface MasterKey {
  readonly text: string;
  readonly bytes: Buffer;
}

const NOTHING: readonly Credential[] = [];
const NO_HEADERS: readonly string[] = [];
const CHALLENGE = ['www-authenticate', 'Bearer'] as const;

/** Makes the door for a configuration; `masterKey` null: open (the server then binds loopback only). */
export function createDoor(masterKey: string | null): Door {
  const master = masterKey === null ? null : { text: masterKey, bytes: Buffer.from(masterKey) };
  return {
    admit(entry) {
      const credentials = findCredentials(entry.headers, entry.query, entry.keyHeader);
      return master === null ? admitAnyone(entry, credentials) : admitKeyHolder(entry, credentials, master);
    },
    requireMaster(caller, what) {
      if (caller.kind === 'master' || caller.kind === 'anyone') return;
      throw new SluiceError(
        'master_key_required',
        `${what} is an administrative endpoint: it needs the master key.`,
      );
    },
  };
}

function admitAnyone(entry: Entry, credentials: readonly Credential[]): Admission {
  // "bearer anything": where a key is asked for, what was sent was meant for us and goes no further.
  const addressed = entry.keyRequired ? credentials : NOTHING;
  return { caller: { kind: 'anyone' }, spent: addressed, key: null };
}

function admitKeyHolder(entry: Entry, credentials: readonly Credential[], master: MasterKey): Admission {
  const spent = credentials.filter(({ key, stray }) => isSameKey(key ?? stray ?? '', master.bytes));
  // Looked for in any case: a client may show it in a place that opens no door (`Token token=sk-…`).
  const key = master.text;
  if (spent.some((credential) => credential.key !== null)) return { caller: { kind: 'master' }, spent, key };
  const ofCall = findCredentials(entry.callHeaders ?? NO_HEADERS, '', entry.keyHeader);
  if (ofCall.some((credential) => credential.key !== null && isSameKey(credential.key, master.bytes))) {
    return { caller: { kind: 'master' }, spent, key };
  }
  if (!entry.keyRequired) return { caller: { kind: 'stranger' }, spent, key };
  throw refusal(credentials.length === 0 ? ofCall : credentials);
}

function refusal(credentials: readonly Credential[]): SluiceError {
  const [first] = credentials;
  if (first === undefined) {
    return new SluiceError('missing_key', 'no API key passed in: send Authorization: Bearer sk-…', {
      headers: CHALLENGE,
    });
  }
  if (first.key === null) {
    return new SluiceError('malformed_key', 'the API key is malformed: send Authorization: Bearer sk-…', {
      headers: CHALLENGE,
    });
  }
  return new SluiceError('unknown_key', 'the API key is not known here', { headers: CHALLENGE });
}

/** Constant time in the key's content; its length is not a secret. */
function isSameKey(given: string, expected: Buffer): boolean {
  return given.length === expected.length && timingSafeEqual(Buffer.from(given, 'latin1'), expected);
}
