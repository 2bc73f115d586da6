import { hash, randomBytes } from 'node:crypto';
import { SluiceError } from '../base/errors.ts';

/** Random characters of a secret that is made here: 6 bits each, 132 together. */
const MINTED = 22;

const SHAPE = /^sk-[A-Za-z0-9_-]{8,252}$/;
const TOKEN = /^[0-9a-f]{64}$/;

/** A new secret: `sk-` and 22 base64url characters. */
export function mintKey(): string {
  return `sk-${randomBytes(18).toString('base64url').slice(0, MINTED)}`;
}

/**
 * What is stored of a secret, and its identity: SHA-256, lower-case hexadecimal. Secrets are random, so it needs no
 * salt, and a lookup by it tells nothing by its timing.
 */
export function hashKey(secret: string): string {
  return hash('sha256', secret, 'hex');
}

/** What people see of a secret: `sk-...` and its last four characters. */
export function keyNameOf(secret: string): string {
  return `sk-...${secret.slice(-4)}`;
}

/** What is wrong with a secret that somebody chose; null: nothing. The sentence doesn't repeat it. */
export function secretProblem(secret: string): string | null {
  if (!secret.startsWith('sk-')) return "it must begin with 'sk-'";
  if (SHAPE.test(secret)) return null;
  return "behind 'sk-' it must have 8 to 252 characters of A-Z, a-z, 0-9, '_' and '-'";
}

/**
 * The token that a request means by a secret or a token.
 * @param param the request's field, for the refusal
 * @throws SluiceError `invalid_request`: it is neither
 */
export function tokenFrom(keyOrHash: string, param = 'key'): string {
  if (TOKEN.test(keyOrHash)) return keyOrHash;
  if (keyOrHash.startsWith('sk-')) return hashKey(keyOrHash);
  throw new SluiceError(
    'invalid_request',
    `${param}: neither a key (it would begin with 'sk-') nor a key's token (64 lower-case hexadecimal digits)`,
    { param },
  );
}
