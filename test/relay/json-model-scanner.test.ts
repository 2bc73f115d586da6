import { describe, expect, test } from 'vitest';
import { JsonModelScanner } from '../../src/relay/json-model-scanner.ts';
import { everyChunking, type Outcome, outcomeOf, singleBytes } from './model-scanner-outcome.ts';

type Row = readonly [why: string, body: string | Buffer, outcome: Outcome];

function found(name: string, literal = `"${name}"`): Outcome {
  return { name, literal };
}

const BOM = '\ufeff';
const LONG = 'x'.repeat(40);

const FOUND: readonly Row[] = [
  ['alone', '{"model":"a"}', found('a')],
  ['first', '{"model":"a","n":1}', found('a')],
  ['last', '{"n":[1,{"x":"y"}],"s":"t","model":"a"}', found('a')],
  ['white space everywhere', ' \t\r\n{ "n" : 1 ,\n "model"\t:\r\n "a" } \n', found('a')],
  ['byte order mark, which Python and body-parser skip', `${BOM}{"model":"a"}`, found('a')],
  ['byte order mark, then white space', `${BOM} {"model":"a"}`, found('a')],
  ['an empty name is a name', '{"model":""}', found('')],
  ['trailing comma, as in a much copied curl', '{"n":1,"model":"a",\n}', found('a')],
  ['trailing comma in front', '{"n":[1,2,],"model":"a"}', found('a')],
  ['NaN and Infinity, which Python writes', '{"n":[NaN,-Infinity,Infinity],"model":"a"}', found('a')],
  ['literals and numbers', '{"a":true,"b":false,"c":null,"d":-1.5E+10,"model":"a"}', found('a')],
  ['body breaks off behind the name', '{"model":"a"', found('a')],
  ['a nested model is not the model', '{"n":{"model":"x"},"model":"a"}', found('a')],
  ['nor one in an array', '{"n":[{"model":"x"},"model"],"model":"a"}', found('a')],
  ['nor one in the text', '{"n":"\\"model\\":\\"x\\"","model":"a"}', found('a')],
  ['model as a value is no key', '{"n":"model","model":"a"}', found('a')],
  ['its own value too', '{"model":"model"}', found('model')],
  ['longer and shorter keys', '{"mode":"x","models":"y","modelx":1,"mod":2,"":3,"model":"a"}', found('a')],
  [
    'keys that escape into something else',
    '{"mod\\u0065ls":1,"mod\\n":2,"\\u006eodel":3,"model":"a"}',
    found('a'),
  ],
  ['a key with a broken escape', '{"mod\\u00zz":1,"mod\\u00":2,"model":"a"}', found('a')],
  [
    'NUL behind the word is another key (C libraries may differ)',
    '{"model\\u0000":"x","model":"a"}',
    found('a'),
  ],
  ['strings that end in backslashes', '{"n":"\\\\","o":"\\\\\\\\","p":"\\\\\\"","model":"a"}', found('a')],
  [
    `long strings that end in backslashes`,
    `{"n":"${LONG}\\\\","o":"${LONG}\\"${LONG}\\\\\\"","model":"a"}`,
    found('a'),
  ],
  ['raw control characters in a string, which some parsers take', '{"n":"a\n\t\0","model":"a"}', found('a')],
  [
    'invalid UTF-8 elsewhere is left to the upstream',
    Buffer.from('{"n":"\xff\xc0","model":"a"}', 'latin1'),
    found('a'),
  ],
  ['brackets are counted, not matched', '{"n":[},"model":"a"}', found('a')],
  ['a scalar behind a colon makes the next string a key', '{"n":1 "model":"a"}', found('a')],
];

const SPELLED: readonly Row[] = [
  ['one letter escaped', '{"mod\\u0065l":"a"}', found('a')],
  ['the first letter', '{"\\u006dodel":"a"}', found('a')],
  ['capital hex digits', '{"\\u006D\\u006Fdel":"a"}', found('a')],
  ['all of them', '{"\\u006d\\u006f\\u0064\\u0065\\u006c":"a"}', found('a')],
  ['an escaped quote in the name', '{"model":"a\\"b"}', found('a"b', '"a\\"b"')],
  ['an escaped slash', '{"model":"org\\/name"}', found('org/name', '"org\\/name"')],
  ['a backslash at the end of the name', '{"model":"a\\\\"}', found('a\\', '"a\\\\"')],
  ['UTF-8', '{"model":"modèle-模型-😀"}', found('modèle-模型-😀')],
  ['a surrogate pair', '{"model":"\\ud83d\\ude00"}', found('😀', '"\\ud83d\\ude00"')],
  ['a replacement character that was sent', '{"model":"\ufffd"}', found('\ufffd')],
];

const NONE: readonly Row[] = [
  ['empty', '', 'none'],
  ['white space', ' \n', 'none'],
  ['half a byte order mark', Buffer.from([0xef, 0xbb]), 'none'],
  [
    'a broken byte order mark',
    Buffer.concat([Buffer.from([0xef, 0xbb]), Buffer.from('{"model":"a"}')]),
    'none',
  ],
  ['two byte order marks', `${BOM}${BOM}{"model":"a"}`, 'none'],
  ['a byte order mark behind white space', ` ${BOM}{"model":"a"}`, 'none'],
  ['no model', '{"n":1}', 'none'],
  ['an array', '[{"model":"a"}]', 'none'],
  ['a string', '"model"', 'none'],
  ['a number', '12', 'none'],
  ['a form', 'model=a&n=1', 'none'],
  ['text that mentions one', 'see {"model":"a"}', 'none'],
  ['a number as model', '{"model":1}', 'none'],
  ['null', '{"model":null}', 'none'],
  ['an object, whose own model is nested', '{"model":{"model":"a"}}', 'none'],
  ['an array of names', '{"model":["a"]}', 'none'],
  ['no colon', '{"model" "a"}', 'none'],
  ['no value', '{"model":}', 'none'],
  ['a set, not a map', '{"model"}', 'none'],
  ['another case: upstreams with exact keys see no model either', '{"Model":"a","MODEL":"b"}', 'none'],
  ['escapes that only JSON5 has', '{"\\model":"a","mod\\x65l":"b"}', 'none'],
  ['the name breaks off', '{"model":"a', 'none'],
  ['the name breaks off in an escape', '{"model":"a\\', 'none'],
  ['an escape that JSON has not', '{"model":"a\\x41"}', 'none'],
  ['a broken \\u', '{"model":"\\u00g0"}', 'none'],
  ['a raw line break in the name', '{"model":"a\nb"}', 'none'],
  ['a name that is not UTF-8', Buffer.from('{"model":"a\xff"}', 'latin1'), 'none'],
  ['a name in overlong UTF-8', Buffer.from('{"model":"\xc1\xa1"}', 'latin1'), 'none'],
  ['a name of more than 16 KiB', `{"model":"${'a'.repeat(16 * 1024 + 1)}"}`, 'none'],
  ['comments are not JSON: what is behind one is not found', '{/* "x":1, */"model":"a"}', 'none'],
  ['a comment that hides quotes', '{"n":1,// it"s\n"model":"a"}', 'none'],
  ['single quotes', "{'model':'a'}", 'none'],
  ['bare keys', '{model:"a"}', 'none'],
  ['a NUL byte between tokens', '{"n":1,\0"model":"a"}', 'none'],
  ['UTF-16, which Python detects', Buffer.from('{"model":"a"}', 'utf16le'), 'none'],
  ['an object without a model, then one with', '{"n":1}{"model":"a"}', 'none'],
  ['the object ends too early', '{"n":1},"model":"a"}', 'none'],
];

const TWICE: readonly Row[] = [
  ['the same again', '{"model":"a","model":"a"}', 'duplicate'],
  ['far apart', `{"model":"a","n":[{"x":"${LONG}"}],"model":"b"}`, 'duplicate'],
  ['spelled with escapes', '{"model":"a","m\\u006fdel":"b"}', 'duplicate'],
  ['the first is a number', '{"model":1,"model":"b"}', 'duplicate'],
  ['the first is an object', '{"model":{"a":[1]},"model":"b"}', 'duplicate'],
  ['the second is null', '{"model":"a","model":null}', 'duplicate'],
  ['the first is no valid string', '{"model":"\\x","model":"b"}', 'duplicate'],
  ['the second breaks off behind its key', '{"model":"a","model"', 'duplicate'],
  ['Go and .NET match in any case, and take the last', '{"model":"a","Model":"b"}', 'duplicate'],
  ['or the first', '{"MODEL":"b","model":"a"}', 'duplicate'],
  ['a capital, escaped', '{"model":"a","\\u004dodel":"b"}', 'duplicate'],
  ["JSON5's hex escape", '{"model":"a","mod\\x65l":"b"}', 'duplicate'],
  ['an escape of nothing, which JSON5 drops', '{"model":"a","\\model":"b"}', 'duplicate'],
  ["JSON5's line break", '{"model":"a","mod\\\nel":"b"}', 'duplicate'],
  ['and its other one', '{"model":"a","mod\\\r\nel":"b"}', 'duplicate'],
  ['no comma between', '{"model":"a" "model":"b"}', 'duplicate'],
  [
    'a second object: stream decoders read on into the same target',
    '{"model":"a"}{"model":"b"}',
    'duplicate',
  ],
  ['the next line of NDJSON', '{"model":"a"}\n{"n":1,"model":"b"}\n', 'duplicate'],
  ['one bracket too many', '{"model":"a"},"model":"b"}', 'duplicate'],
  ['behind a comment', '{"model":"a",/* " */"model":"b"}', 'duplicate'],
  ['behind a line comment', '{"model":"a",//"\n"model":"b"}', 'duplicate'],
  ['in single quotes', `{"model":"a",'model':'b'}`, 'duplicate'],
  ['bare', '{"model":"a",model:"b"}', 'duplicate'],
  ['bare, in capitals', '{"model":"a",MODEL:"b"}', 'duplicate'],
  ['bare, with escapes', '{"model":"a",\\u006dodel:"b"}', 'duplicate'],
  ["with JSON5's escapes", `{"model":"a",'\\x6d\\odel':"b"}`, 'duplicate'],
  ['over a long line break', `{"model":"a",'mod\\\r\nel':"b"}`, 'duplicate'],
  ['over a JSON5 line break', `{"model":"a",'mod\\\nel':"b"}`, 'duplicate'],
  ['behind a NUL byte', '{"model":"a"\0,"model":"b"}', 'duplicate'],
  ['behind the end, a false start before it', '{"model":"a"}mmodel', 'duplicate'],
];

const BEHIND: readonly Row[] = [
  ['nested ones are not duplicates', '{"model":"a","n":{"model":"b","m":[{"model":"c"}]}}', found('a')],
  ['nor is text', '{"model":"a","n":"\\"model\\":"}', found('a')],
  ['nor a value', '{"model":"a","n":"model","o": \n"model"}', found('a')],
  ['text behind the object', '{"model":"a"} the end \\u006d \\ \\x mode l', found('a')],
  ['a comment', '{"model":"a",/* " */"n":1}', found('a')],
  ['more closing brackets', '{"model":"a"}]}}', found('a')],
  ['a second object without one', '{"model":"a"}{"mode":1}', found('a')],
  ['an escape that breaks off into the word is not the word', '{"model":"a"}\\u006mod-el', found('a')],
];

describe.each([
  ['finds the model', FOUND],
  ['finds the model however key and name are spelled', SPELLED],
  ['finds nothing', NONE],
  ['refuses a second model', TWICE],
  ['lets pass behind the model', BEHIND],
] as const)('the JSON scanner %s', (_, rows) => {
  test.each(rows)('%s', (_, body, outcome) => {
    const bytes = Buffer.from(body as Buffer);
    // Long bodies only whole and byte by byte: every offset of 16 KiB would take its time.
    const chunkings = bytes.length > 1024 ? [[bytes], singleBytes(bytes)] : everyChunking(bytes);
    for (const chunks of chunkings) expect(outcomeOf(new JsonModelScanner(), chunks)).toEqual(outcome);
  });
});

describe('the JSON scanner', () => {
  test('gives the span in bytes, quotes included', () => {
    const scanner = new JsonModelScanner();
    scanner.scan(Buffer.from('{"é":"模","model": "a'));
    expect(scanner.found).toBeNull();
    scanner.scan(Buffer.from('b" }'));
    expect(scanner.found).toEqual({ start: 21, end: 25, name: 'ab' });
  });

  test('refuses the second key at its closing quote, before its value came', () => {
    const scanner = new JsonModelScanner();
    scanner.scan(Buffer.from('{"model":"a","model'));
    expect(() => scanner.scan(Buffer.from('"'))).toThrow('more than one top-level "model"');
  });

  test.each([
    ['a first byte other than a brace', 'f'],
    ['a first byte of UTF-16', '\xff'],
    ['a closed object', '{"n":1}'],
    ['a model that is no string', '{"model":1'],
    ['a model without a colon', '{"model",'],
    ['a name that cannot be decoded', '{"model":"\\x"'],
    ['a byte that JSON does not have', "{'"],
  ])('lets the body flow after %s', (_, body) => {
    const scanner = new JsonModelScanner();
    scanner.scan(Buffer.from(body.slice(0, -1), 'latin1'));
    expect(scanner.inert).toBe(false);
    scanner.scan(Buffer.from(body.slice(-1), 'latin1'));
    expect(scanner.inert).toBe(true);
  });

  test('encodes a name as a JSON string in UTF-8', () => {
    const name = 'a"b\\c\n模型😀\ud800';
    const bytes = new JsonModelScanner().encode(name);
    expect(JSON.parse(bytes.toString())).toBe(name);
    expect(bytes.toString()).toBe('"a\\"b\\\\c\\n模型😀\\ud800"');
  });

  test.each([
    ['empty strings', '{"n":[', '"",'],
    ['escaped quotes', '{"n":"', '\\"'],
    ['backslashes', '{"n":"', '\\\\'],
    ['white space before keys', '{', ',          "m":1'],
    ['white space alone', '{"n":1', '  '],
    ['deep nesting', '{"n":', '['],
    ['keys that nearly match', '{"n":1', ',"mode\\u006":1'],
    ['a name without end', '{"model":"', 'a'],
    ['a name of escapes', '{"model":"', '\\"'],
    ['text behind the object', '{"model":1}', 'mode\\u006'],
  ])('takes 2 MB of %s, whole and byte by byte', (_, prefix, unit) => {
    const body = Buffer.from(prefix + unit.repeat(2_000_000 / unit.length));
    const whole = outcomeOf(new JsonModelScanner(), [body]);
    const scanner = new JsonModelScanner();
    // Quadratic work over so many chunks would take minutes.
    for (let at = 0; at < body.length; at++) scanner.scan(body.subarray(at, at + 1));
    expect(whole).toBe('none');
    expect(scanner.found).toBeNull();
  });
});
