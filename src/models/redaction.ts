import type { Json } from '../base/json.ts';

/** What stands in the place of a secret. */
export const REDACTED = '***';

/** `api_key`, `hf_token`, `aws-secret-access-key`, `sslKeyfilePassword`; not `max_tokens`, not `stop_token_ids`. */
const SECRET_NAME =
  /(?:^|[_.-]|[a-z](?=[A-Z]))(?:api[_-]?keys?|access[_-]?keys?|private[_-]?keys?|token|secrets?|secret[_-]?keys?|pass(?:word|wd|phrase)|credentials?|authorization|cookie)$/i;

/** `user:password@` in a URL, wherever it stands in a text. */
const URL_CREDENTIALS = /(?<=\b[a-z][a-z\d+.-]*:\/\/)[^\s/@?#]+(?=@)/gi;

/** `model_kwargs` as they may be shown: secrets at any depth, and credentials in URLs, replaced. */
export function redactedKwargs(kwargs: Readonly<Record<string, Json>>): Readonly<Record<string, Json>> {
  return Object.fromEntries(
    Object.entries(kwargs).map(([name, value]) => [
      name,
      SECRET_NAME.test(name) ? withoutTexts(value) : redacted(value),
    ]),
  );
}

/** The texts of `model_kwargs` that `redactedKwargs` doesn't show. */
export function secretTexts(kwargs: Readonly<Record<string, Json>>): readonly string[] {
  return Object.entries(kwargs).flatMap(([name, value]) => textsIn(value, SECRET_NAME.test(name)));
}

function textsIn(value: Json, isSecret: boolean): readonly string[] {
  if (typeof value === 'string') return isSecret ? [value] : (value.match(URL_CREDENTIALS) ?? []);
  if (value === null || typeof value !== 'object') return [];
  const items: readonly (readonly [string, Json])[] = isList(value)
    ? value.map((item) => ['', item] as const)
    : Object.entries(value);
  return items.flatMap(([name, inner]) => textsIn(inner, isSecret || SECRET_NAME.test(name)));
}

function redacted(value: Json): Json {
  if (typeof value === 'string') return value.replaceAll(URL_CREDENTIALS, REDACTED);
  if (value === null || typeof value !== 'object') return value;
  if (isList(value)) return value.map(redacted);
  return redactedKwargs(value);
}

/** A secret may be a list (several keys) or a mapping; its shape may be seen. A number is no secret: a token's id. */
function withoutTexts(value: Json): Json {
  if (typeof value === 'string') return REDACTED;
  if (value === null || typeof value !== 'object') return value;
  if (isList(value)) return value.map(withoutTexts);
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, withoutTexts(inner)]));
}

function isList(value: object): value is readonly Json[] {
  return Array.isArray(value);
}
