import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { JsonTextError, parseJsonText } from '../../src/bridge/json-text.ts';

function errorFor(text: string): JsonTextError {
  try {
    parseJsonText(text);
  } catch (error) {
    if (error instanceof JsonTextError) return error;
    throw error;
  }
  throw new Error(`accepted: ${text}`);
}

function acceptedByNode(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

describe('parseJsonText', () => {
  test.for([
    'null',
    ' true ',
    'false',
    '0',
    '-0',
    '-0.5e-10',
    '1E+2',
    '1.7976931348623157e308',
    '4.9e-324',
    '1e-999',
    '9007199254740993.0',
    '123456789012345680000',
    '-9007199254740992',
    '""',
    '"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\uDE00 é 😀 \u007f\u2028"',
    '[]',
    '{}',
    ' [ 1 , [ ] , { } , "a" ] ',
    '{"a":{"a":{"a":[{"a":1},{"a":2}]}}, "":0, "b":null}',
    '\t\n\r {"a"\t:\n1\r}',
    '{"__proto__":{"x":1},"constructor":2,"toString":3,"1":4}',
  ])('reads %s as JSON.parse does', (text) => {
    expect(parseJsonText(text).value).toStrictEqual(JSON.parse(text));
  });

  test('reads any JSON value as JSON.parse does', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), fc.constantFrom(undefined, 1, '\t'), (value, space) => {
        const text = JSON.stringify(value, null, space);
        expect(parseJsonText(text).value).toStrictEqual(JSON.parse(text));
      }),
      { numRuns: 500 },
    );
  });

  test('takes no text that JSON.parse refuses, and refuses none without one of its own reasons', () => {
    const mutated = fc
      .record({
        text: fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.stringify(value)),
        at: fc.nat(),
        length: fc.nat({ max: 2 }),
        insert: fc.constantFrom(
          '',
          ',',
          ':',
          '"',
          '{',
          '}',
          '[',
          ']',
          '\\',
          '0',
          '-',
          '.',
          'e',
          ' ',
          '\n',
          'u',
          'null',
        ),
      })
      .map(({ text, at, length, insert }) => {
        const start = at % (text.length + 1);
        return text.slice(0, start) + insert + text.slice(start + length);
      });
    fc.assert(
      fc.property(mutated, (text) => {
        if (!acceptedByNode(text)) expect(() => parseJsonText(text)).toThrow(JsonTextError);
        else {
          try {
            expect(parseJsonText(text).value).toStrictEqual(JSON.parse(text));
          } catch (error) {
            if (!(error instanceof JsonTextError)) throw error;
            expect(error.message).toMatch(/given twice|only roughly|too large|surrogate/);
          }
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test.for([
    ['', 'ends at character 1, where a value is expected'],
    [' ', 'ends at character 2, where a value is expected'],
    ['nul', 'has "n" at character 1, where a value is expected'],
    ['undefined', 'has "u" at character 1, where a value is expected'],
    ['NaN', 'has "N" at character 1, where a value is expected'],
    ['+1', 'has "+" at character 1, where a value is expected'],
    ['.5', 'has "." at character 1, where a value is expected'],
    ['01', 'has "1" at character 2, where the end is expected'],
    ['1.', 'has "." at character 2, where the end is expected'],
    ['1e', 'has "e" at character 2, where the end is expected'],
    ['0x10', 'has "x" at character 2, where the end is expected'],
    ['"a', 'ends at character 3, where the end of a string is expected'],
    ["'a'", 'has "\'" at character 1, where a value is expected'],
    ['"\\x"', 'has "x" at character 3, where an escape such as \\n or \\u00e9 is expected'],
    ['"\\u00g0"', 'has "u" at character 3, where an escape such as \\n or \\u00e9 is expected'],
    ['"\\u12', 'has "u" at character 3, where an escape such as \\n or \\u00e9 is expected'],
    ['[1,]', 'has "]" at character 4, where a value is expected'],
    ['[1 2]', 'has "2" at character 4, where "," or "]" is expected'],
    ['[', 'ends at character 2, where a value is expected'],
    ['{"a":1,}', 'has "}" at character 8, where a key in quotation marks is expected'],
    ['{a:1}', 'has "a" at character 2, where a key in quotation marks is expected'],
    ['{"a" 1}', 'has "1" at character 6, where ":" is expected'],
    ['{"a":1', 'ends at character 7, where "," or "}" is expected'],
    ['{} {}', 'has "{" at character 4, where the end is expected'],
    ['// no', 'has "/" at character 1, where a value is expected'],
    ['\u00a01', 'has U+00A0 at character 1, where a value is expected'],
    ['1\u0000', 'has U+0000 at character 2, where the end is expected'],
    ['😀', 'has U+1F600 at character 1, where a value is expected'],
  ] as const)('says of %j that it %s', ([text, message]) => {
    expect(errorFor(text)).toMatchObject({ message, path: [] });
  });

  test.for([
    // JSON.parse would keep one of them, and which one has changed between versions of V8
    ['{"a":1,"a":2}', ['a'], /given twice/],
    ['{"a":1,"\\u0061":1}', ['a'], /given twice/],
    ['{"x":[0,{"b":{"__proto__":1,"__proto__":2}}]}', ['x', 1, 'b', '__proto__'], /given twice/],
    ['{"a":"\\ud800"}', ['a'], /surrogate/],
    ['["x\\udc00\\ud800"]', [0], /surrogate/],
    ['{"\\ud800":1}', [], /surrogate/],
    ['{"a":{"b":9007199254740993}}', ['a', 'b'], /only roughly/],
    ['[-9007199254740993]', [0], /only roughly/],
    ['[12345678901234567890123]', [0], /only roughly/],
    ['{"a":1e999}', ['a'], /too large/],
    ['{"a":-1e999}', ['a'], /too large/],
    ['{"a":"\n"}', ['a'], /control character/],
    ['{"a":"\u0000"}', ['a'], /control character/],
  ] as const)('refuses %s', ([text, path, message]) => {
    const error = errorFor(text);
    expect(error.message).toMatch(message);
    expect(error.path).toEqual(path);
  });

  test.for([
    ['9007199254740991', false],
    ['-9007199254740991', false],
    ['9007199254740992', true],
    ['-9007199254740992', true],
    ['100000000000000000000', true],
    ['1e300', true],
    ['{"a":[1,2e16]}', true],
    ['"9007199254740993"', false],
  ] as const)('of %s says whether it has a number beyond 2^53: %s', ([text, expected]) => {
    expect(parseJsonText(text).hasLargeNumber).toBe(expected);
  });

  test('takes 100 levels and no more', () => {
    const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);
    expect(parseJsonText(nested(100)).value).toEqual(JSON.parse(nested(100)));
    expect(errorFor(nested(101)).message).toMatch(/more than 100 levels deep/);
    expect(errorFor('{"a":'.repeat(101)).message).toMatch(/more than 100 levels deep/);
    expect(errorFor('['.repeat(1_000_000)).message).toMatch(/more than 100 levels deep/);
  });

  test.for([
    ['keys', (n: number) => `{${Array.from({ length: n / 8 }, (_, i) => `"k${i}":1`).join()}}`],
    ['integer keys', (n: number) => `{${Array.from({ length: n / 8 }, (_, i) => `"${i}":1`).join()}}`],
    [
      'a twin key at the end',
      (n: number) => `{${Array.from({ length: n / 8 }, (_, i) => `"k${i}":1`).join()},"k0":1}`,
    ],
    ['escapes', (n: number) => `"${'\\u0041'.repeat(n / 6)}"`],
    ['short escapes', (n: number) => `"${'\\n'.repeat(n / 2)}"`],
    ['backslashes', (n: number) => `"${'\\'.repeat(n)}`],
    ['an open string', (n: number) => `"${'a'.repeat(n)}`],
    ['digits', (n: number) => '9'.repeat(n)],
    ['digits of a fraction', (n: number) => `0.${'9'.repeat(n)}`],
    ['zeros of an exponent', (n: number) => `1e-${'0'.repeat(n)}1`],
    [
      'long integers',
      (n: number) => `[${Array.from({ length: n / 301 }, () => `1${'0'.repeat(300)}`).join()}]`,
    ],
    ['spaces', (n: number) => `${' '.repeat(n)}1`],
    ['empty arrays', (n: number) => `[${Array.from({ length: n / 3 }, () => '[]').join()}]`],
  ] as const)('needs little time for 1 MB of %s', ([, make]) => {
    const text = make(1_000_000);
    const started = performance.now();
    try {
      parseJsonText(text);
    } catch (error) {
      expect(error).toBeInstanceOf(JsonTextError);
    }
    // Anything quadratic would take minutes.
    expect(performance.now() - started).toBeLessThan(2_000);
  });
});
