import * as z from 'zod';

/*
 * The types of single values. Each takes what YAML or the environment gives (a number may be a text), says in
 * plain words what it must be, and carries the description that editors show (schema/config.schema.json).
 */

interface About {
  readonly description: string;
  /** As the file would write it; for the editor only. */
  readonly default?: string | number | boolean;
}

/** Node's timers take 32 bits of milliseconds; a longer one would fire at once. */
const MAX_SECONDS = 2_147_483;

export function text(about: About) {
  return z
    .string({ error: 'must be a text (a number wants quotes)' })
    .min(1, { error: 'must not be empty' })
    .meta({ ...about });
}

/** A text that no message and no log shows. */
export function secret(about: About) {
  return z.string({ error: 'must be a text (a number wants quotes)' }).meta({ ...about, writeOnly: true });
}

export function textList(about: About) {
  return z
    .array(z.string({ error: 'must be a text' }), { error: 'must be a list of texts' })
    .meta({ ...about });
}

/** A duration in seconds above zero → milliseconds. */
export function seconds(about: About) {
  return numeric(
    'must be a number of seconds above 0 and below 2,147,483',
    (value) => value > 0 && value <= MAX_SECONDS,
  )
    .transform(millisecondsFrom)
    .meta({ ...about });
}

/** A duration in seconds, zero included → milliseconds. */
export function secondsFromZero(about: About) {
  return numeric(
    'must be a number of seconds from 0 to 2,147,483',
    (value) => value >= 0 && value <= MAX_SECONDS,
  )
    .transform(millisecondsFrom)
    .meta({ ...about });
}

/** A whole number above zero. */
export function count(about: About) {
  return numeric('must be a whole number above 0', (value) => value > 0 && Number.isSafeInteger(value)).meta({
    ...about,
  });
}

/** An amount of US dollars, zero or more. */
export function dollars(about: About) {
  return numeric('must be an amount in US dollars, 0 or more', (value) => value >= 0).meta({ ...about });
}

/** YAML 1.2's booleans, and those of YAML 1.1 (`yes`, `off`), which PyYAML's users write. */
export function flag(about: About) {
  return z
    .union([z.boolean(), z.string()], { error: MUST_BE_FLAG })
    .transform((value, context) => {
      const known = typeof value === 'boolean' ? value : FLAGS.get(value.toLowerCase());
      if (known !== undefined) return known;
      context.addIssue(MUST_BE_FLAG);
      return z.NEVER;
    })
    .meta({ ...about });
}

/** One of a few words. */
export function oneOf<const Word extends string>(words: readonly Word[], about: About) {
  return z.enum(words, { error: `must be one of ${words.join(', ')}` }).meta({ ...about });
}

const MUST_BE_FLAG = 'must be true or false';
const FLAGS: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['yes', true],
  ['on', true],
  ['false', false],
  ['no', false],
  ['off', false],
]);

/** Names with single values: headers, query parameters. Numbers and booleans become texts. */
export function texts(about: About & { readonly writeOnly?: boolean }) {
  const value = z.union([z.string(), z.number(), z.boolean()], { error: 'must be a text' }).transform(String);
  return z.record(z.string(), value, { error: 'must be a mapping of names to texts' }).meta({ ...about });
}

function numeric(mustBe: string, accepts: (value: number) => boolean) {
  return z.union([z.number(), z.string()], { error: mustBe }).transform((value, context) => {
    const number = typeof value === 'number' ? value : numberFrom(value);
    if (Number.isFinite(number) && accepts(number)) return number;
    context.addIssue(mustBe);
    return z.NEVER;
  });
}

/** NaN for what isn't a decimal number; `10_000`, which PyYAML takes, is one. */
function numberFrom(written: string): number {
  const plain = written.trim().replaceAll(/(?<=\d)_(?=\d)/g, '');
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(plain) ? Number(plain) : Number.NaN;
}

function millisecondsFrom(value: number): number {
  return value === 0 ? 0 : Math.max(1, Math.round(value * 1000));
}
