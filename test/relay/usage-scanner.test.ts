import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { UsageScanner } from '../../src/relay/usage-scanner.ts';

function found(...pieces: readonly (string | Buffer)[]): unknown {
  const scanner = new UsageScanner();
  for (const piece of pieces) scanner.scan(Buffer.from(piece));
  return scanner.found;
}

const USAGE = { prompt_tokens: 12, completion_tokens: 34, prompt_tokens_details: { cached_tokens: 5 } };
const TEXT = JSON.stringify({
  id: 'chatcmpl-1',
  choices: [{ index: 0, message: { role: 'assistant', content: 'a "quoted\\" {usage}: é\u2028' } }],
  usage: USAGE,
});

describe('finds', () => {
  test.each([
    ['at the top level', TEXT, USAGE],
    ['with spaces', '{ "usage" : { "total_tokens" : 1 } }', { total_tokens: 1 }],
    ['first', '{"usage":{"total_tokens":1},"x":[{"usage":2}]}', { total_tokens: 1 }],
    ['the last of two', '{"usage":{"total_tokens":1},"usage":{"total_tokens":2}}', { total_tokens: 2 }],
    [
      "in Anthropic's message",
      '{"type":"message_start","message":{"usage":{"input_tokens":3}}}',
      { input_tokens: 3 },
    ],
    ['in a response', '{"response":{"output":[],"usage":{"input_tokens":3}}}', { input_tokens: 3 }],
    [
      'braces in its strings',
      '{"usage":{"note":"}{\\"}","total_tokens":1}}',
      { note: '}{"}', total_tokens: 1 },
    ],
    ['behind lists', '{"a":[1,"usage",[]],"usage":{"total_tokens":1}}', { total_tokens: 1 }],
  ])('a usage %s', (_, text, expected) => {
    expect(found(text)).toEqual(expected);
  });

  test('it wherever the text is cut in two', () => {
    const bytes = Buffer.from(TEXT);
    for (let cut = 0; cut <= bytes.length; cut++) {
      expect(found(bytes.subarray(0, cut), bytes.subarray(cut))).toEqual(USAGE);
    }
  });

  test('it byte by byte', () => {
    expect(found(...TEXT.split('').map((_, i) => TEXT.slice(i, i + 1)))).toEqual(USAGE);
  });
});

describe('passes over', () => {
  test.each([
    ['a usage in a string', '{"content":"\\"usage\\":{\\"total_tokens\\":1}"}'],
    ['a usage in a deeper place', '{"metadata":{"usage":{"total_tokens":1}}}'],
    ['a usage in a list', '{"choices":[{"usage":{"total_tokens":1}}]}'],
    ['a usage in what a message holds', '{"message":{"content":{"usage":{"total_tokens":1}}}}'],
    ['a usage of a message in a message', '{"message":{"message":{"usage":{"total_tokens":1}}}}'],
    ['null', '{"usage":null}'],
    ['a value that is called usage', '{"a":"usage","b":{"total_tokens":1}}'],
    ['an item that is called usage', '["usage",{"total_tokens":1}]'],
    ['a longer key', '{"usage_of_what_the_caller_likes":{"total_tokens":1}}'],
    ['one that never ends', '{"usage":{"total_tokens":1'],
    ['one that is no JSON', '{"usage":{"total_tokens":1,}}'],
    ['one too long to be one', `{"usage":{"x":"${'a'.repeat(20_000)}","total_tokens":1}}`],
    ['another object behind it', '{"usage":3,"x":{"total_tokens":1}}'],
  ])('%s', (_, text) => {
    expect(found(text)).toBeNull();
  });
});

test('agrees with JSON.parse on any value, however it is cut', () => {
  const usage = fc.record({ total_tokens: fc.nat(), note: fc.string() });
  const text = fc
    .tuple(fc.dictionary(fc.string(), fc.jsonValue()), fc.option(usage))
    .map(([rest, own]) => JSON.stringify(own === null ? rest : { ...rest, usage: own }));
  fc.assert(
    fc.property(text, fc.array(fc.nat(200)), (json, cuts) => {
      const bytes = Buffer.from(json);
      const pieces: Buffer[] = [];
      let at = 0;
      for (const cut of cuts) {
        pieces.push(bytes.subarray(at, at + cut));
        at += cut;
      }
      pieces.push(bytes.subarray(at));
      const value = JSON.parse(json) as Record<string, unknown>;
      const wanted = ['message', 'response']
        .map((key) => value[key])
        .concat([value])
        .flatMap((holder) => {
          if (holder === null || typeof holder !== 'object' || Array.isArray(holder)) return [];
          const own = Object.hasOwn(holder, 'usage') ? (holder as Record<string, unknown>).usage : null;
          return own !== null && typeof own === 'object' && !Array.isArray(own) ? [own] : [];
        });
      const got = found(...pieces);
      if (wanted.length === 0) expect(got).toBeNull();
      else expect(wanted).toContainEqual(got);
    }),
    { numRuns: 500 },
  );
});
