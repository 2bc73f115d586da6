import { keyNameOf, tokenFrom } from '../access/mint.ts';
import { SluiceError } from '../base/errors.ts';
import type { KeyStore, StoredKey } from '../store/key-store.ts';

/** How a request names a key, and where: `param` is the field, for refusals. */
export type KeyName =
  | { readonly by: 'key'; readonly text: string; readonly param: string }
  | { readonly by: 'alias'; readonly text: string; readonly param: string };

/**
 * @param now ms since 1970: a regenerated key goes by its old secret for its grace
 * @throws SluiceError `invalid_request`, `key_not_found`, naming the field
 */
export async function findKey(store: KeyStore, name: KeyName, now: number): Promise<StoredKey> {
  const { by, text, param } = name;
  const key =
    by === 'key' ? await store.keyByToken(tokenFrom(text, param), now) : await store.keyByAlias(text);
  if (key === null) throw noSuchKey(name);
  return key;
}

export function noSuchKey(name: KeyName): SluiceError {
  const { by, text, param } = name;
  // Never a secret, not even one that stands where an alias is expected.
  const shown = text.startsWith('sk-') ? keyNameOf(text) : text;
  const words = by === 'key' ? `key ${shown}` : `key with the alias ${JSON.stringify(shown)}`;
  return new SluiceError('key_not_found', `There is no ${words}.`, { param });
}
