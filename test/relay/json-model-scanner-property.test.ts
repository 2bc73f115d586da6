import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { JsonModelScanner } from '../../src/relay/json-model-scanner.ts';
import { cutAt, type Outcome, outcomeOf, singleBytes } from './model-scanner-outcome.ts';

/** A JSON value as it is written: an object is a list of members, so a key may come twice. */
type Written = string | number | boolean | null | readonly Written[] | WrittenObject;
interface WrittenObject {
  readonly members: readonly (readonly [key: string, value: Written])[];
}

const text = fc.oneof(
  { weight: 3, arbitrary: fc.string({ unit: 'binary', maxLength: 40 }) },
  { weight: 1, arbitrary: fc.string({ minLength: 30, maxLength: 80 }) },
  {
    weight: 2,
    arbitrary: fc.string({
      unit: fc.constantFrom('"', '\\', '{', '}', ':', ',', 'm', 'model'),
      maxLength: 9,
    }),
  },
);
const key = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      'model',
      'Model',
      'mode',
      'models',
      'mo',
      '',
      'messages',
      'm\u00f6del',
      'model\0',
    ),
  },
  { weight: 4, arbitrary: text },
);
const { value, object } = fc.letrec<{ value: Written; object: WrittenObject; array: Written[] }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    text,
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.constantFrom(true, false, null, 'model'),
    tie('array'),
    tie('object'),
  ),
  array: fc.array(tie('value'), { maxLength: 4 }),
  object: fc.record({ members: fc.array(fc.tuple(key, tie('value')), { maxLength: 6 }) }),
}));
/** Drives the free choices of the writer: white space, escapes. */
const choices = fc.array(fc.nat(255), { minLength: 1, maxLength: 64 });
const offsets = fc.array(fc.nat(400), { maxLength: 8 });

const WHITE_SPACE = ['', '', '', ' ', '\n', '\r\n\t', '    '];
const SHORT_ESCAPES: Record<string, string> = {
  '"': '\\"',
  '\\': '\\\\',
  '/': '\\/',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};

class Writer {
  readonly #choices: readonly number[];
  #next = 0;

  constructor(choices: readonly number[]) {
    this.#choices = choices;
  }

  write(value: Written): string {
    if (typeof value === 'string') return this.#string(value);
    if (value === null || typeof value !== 'object') return JSON.stringify(value);
    if (isArray(value)) return `[${this.#list(value.map((item) => this.write(item)))}]`;
    const written = value.members.map(
      ([name, member]) => `${this.#string(name)}${this.space()}:${this.space()}${this.write(member)}`,
    );
    return `{${this.#list(written)}}`;
  }

  space(): string {
    return this.#oneOf(WHITE_SPACE);
  }

  #list(items: readonly string[]): string {
    return this.space() + items.map((item) => item + this.space()).join(`,${this.space()}`);
  }

  #string(value: string): string {
    let written = '';
    // By UTF-16 code unit: an escape is one of those.
    for (let at = 0; at < value.length; at++) {
      const unit = value.charCodeAt(at);
      const character = value.charAt(at);
      const isSurrogate = unit >= 0xd800 && unit <= 0xdfff;
      const hex = unit.toString(16).padStart(4, '0');
      const escaped = this.#oneOf([
        `\\u${hex}`,
        `\\u${hex.toUpperCase()}`,
        SHORT_ESCAPES[character] ?? `\\u${hex}`,
      ]);
      const mustEscape = unit < 0x20 || character === '"' || character === '\\' || isSurrogate;
      written += mustEscape ? escaped : this.#oneOf([character, character, character, escaped]);
    }
    return `"${written}"`;
  }

  #oneOf<T>(options: readonly T[]): T {
    const choice = this.#choices[this.#next++ % this.#choices.length] ?? 0;
    return options[choice % options.length] as T;
  }
}

function isArray(value: readonly Written[] | WrittenObject): value is readonly Written[] {
  return Array.isArray(value);
}

/**
 * Each key of each object once: of two, V8's JSON.parse (Node 26.10) takes the first or the last, by what it has parsed
 * before.
 */
function withoutTwins({ members }: WrittenObject): WrittenObject {
  const unique = new Map(members.map(([name, member]) => [name, plain(member)]));
  return { members: [...unique] };
}

function plain(value: Written): Written {
  if (value === null || typeof value !== 'object') return value;
  return isArray(value) ? value.map(plain) : withoutTwins(value);
}

/** What the scanner must make of an object, told from what was written and not from its bytes. */
function expected({ members }: WrittenObject): 'none' | 'duplicate' | { name: string } {
  const models = members.filter(([name]) => name === 'model');
  const lookalikes = members.filter(([name]) => name === 'Model');
  if (models.length > 1 || (models.length === 1 && lookalikes.length > 0)) return 'duplicate';
  const [, name] = models[0] ?? [];
  return typeof name === 'string' ? { name } : 'none';
}

function nameOf(outcome: Outcome): 'none' | 'duplicate' | { name: string } {
  return typeof outcome === 'string' ? outcome : { name: outcome.name };
}

function outcome(chunks: readonly Buffer[]): Outcome {
  return outcomeOf(new JsonModelScanner(), chunks);
}

describe('for any JSON object, white space, escapes and chunking, the JSON scanner', () => {
  test('decides as one who knows the keys', () => {
    fc.assert(
      fc.property(object, choices, offsets, (written, drive, cuts) => {
        const writer = new Writer(drive);
        const text = writer.space() + writer.write(written) + writer.space();
        const result = nameOf(outcome(cutAt(Buffer.from(text), cuts)));
        expect(result).toEqual(expected(written));
        if (typeof result !== 'string') expect(JSON.parse(text).model).toBe(result.name);
      }),
      { numRuns: 2000 },
    );
  });

  test('makes the same of single bytes as of the whole, whatever the body', () => {
    const near = fc.string({
      unit: fc.constantFrom(
        '{',
        '}',
        '[',
        ']',
        '"',
        ':',
        ',',
        ' ',
        '\\',
        'u006d',
        '"model"',
        'model',
        'M',
        '1',
        '/',
        "'",
        '\xff',
      ),
      maxLength: 40,
    });
    fc.assert(
      fc.property(
        fc.oneof(
          near,
          near.map((body) => `{"model":"a",${body}`),
        ),
        (body) => {
          for (const bytes of [Buffer.from(body), Buffer.from(body, 'latin1')]) {
            expect(outcome(singleBytes(bytes))).toEqual(outcome([bytes]));
          }
        },
      ),
      { numRuns: 4000 },
    );
  });

  test('changes the model alone when it is spliced', () => {
    const single = fc
      .tuple(object, fc.nat(5), fc.string({ unit: 'binary' }))
      .map(([{ members }, at, name]) => {
        const others = members.filter(([other]) => other.toLowerCase() !== 'model');
        others.splice(at, 0, ['model', name]);
        return withoutTwins({ members: others });
      });
    const trailing = fc.constantFrom('', '\n', ' \t ', '\0', ' the end', ']}', '{"n":1}');
    const replacement = fc.string({ unit: 'binary' });
    fc.assert(
      fc.property(single, choices, offsets, trailing, replacement, (written, drive, cuts, tail, name) => {
        const before = new Writer(drive).write(written);
        const body = Buffer.from(before + tail);
        const scanner = new JsonModelScanner();
        for (const chunk of cutAt(body, cuts)) scanner.scan(chunk);
        const { found } = scanner;
        if (found === null) throw new Error('not found');

        const spliced = Buffer.concat([
          body.subarray(0, found.start),
          scanner.encode(name),
          body.subarray(found.end),
        ]);
        const after = spliced.toString().slice(0, spliced.toString().length - tail.length);
        expect(JSON.parse(after)).toEqual({ ...JSON.parse(before), model: name });
        expect(JSON.parse(before).model).toBe(found.name);
        // The span is the literal and no byte more.
        expect(JSON.parse(body.subarray(found.start, found.end).toString())).toBe(found.name);
      }),
      { numRuns: 2000 },
    );
  });

  test('never throws and never finds where the text is no object', () => {
    const noObject = value.filter(
      (written) => typeof written !== 'object' || written === null || Array.isArray(written),
    );
    fc.assert(
      fc.property(noObject, choices, (written, drive) => {
        expect(outcome([Buffer.from(new Writer(drive).write(written))])).toBe('none');
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        const result = outcome([Buffer.from(bytes)]);
        expect(result === 'none' || bytes.includes(0x7b)).toBe(true);
      }),
    );
  });
});
