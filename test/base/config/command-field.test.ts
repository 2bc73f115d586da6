import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { splitCommand } from '../../../src/base/config/command-field.ts';
import { faultsOf, parsed } from './parsed.ts';

const general = (line: string) => `general_settings:\n  ${line}`;
const commandOf = (line: string) => parsed(general(line)).vllmCommand;

describe('vllm_command', () => {
  test('is vllm unless the file says otherwise', () => {
    expect(parsed('general_settings:').vllmCommand).toEqual(['vllm']);
    expect(Object.isFrozen(parsed('general_settings:').vllmCommand)).toBe(true);
  });

  test('is a text that is split, or a list that is not', () => {
    expect(commandOf('vllm_command: uv run vllm')).toEqual(['uv', 'run', 'vllm']);
    expect(commandOf('vllm_command: [/opt/my models/vllm, "--a b", ""]')).toEqual([
      '/opt/my models/vllm',
      '--a b',
      '',
    ]);
    expect(parsed(general('vllm_command: os.environ/VENV/bin/vllm'), { VENV: '/opt/v' }).vllmCommand).toEqual(
      ['/opt/v/bin/vllm'],
    );
  });

  const MUST_BE = 'must be a command like "vllm", or a list of its words';
  test.each([
    ['vllm_command: 5', `${MUST_BE}, not 5`],
    ['vllm_command: {}', `${MUST_BE}, not a mapping`],
    ['vllm_command: [vllm, 5]', `${MUST_BE}, not a list`],
    ['vllm_command: ""', 'names no program'],
    ['vllm_command: []', 'names no program'],
    ['vllm_command: ["", a]', 'names no program'],
    ['vllm_command: ["vllm", "a\\0b"]', 'has a NUL character in it'],
    ['vllm_command: "vllm \'a"', "has a quotation mark (') without its other"],
    ['vllm_command: vllm \\', 'ends in a backslash'],
    [
      'vllm_command: vllm | tee log',
      'has a | that a shell would act on, and none reads this; write a list of the words',
    ],
  ])('%s is a fault', (line, problem) => {
    expect(faultsOf(general(line))).toEqual([`config.yaml:2: general_settings.vllm_command: ${problem}`]);
  });
});

describe('splitting a command', () => {
  test.each([
    ['vllm', ['vllm']],
    ['  a \t b\nc ', ['a', 'b', 'c']],
    [`a 'b c' "d e"`, ['a', 'b c', 'd e']],
    [`a'b'"c"\\ d`, ['abc d']],
    [`'' "" a`, ['', '', 'a']],
    [`'\\ "$HOME"'`, ['\\ "$HOME"']],
    [`"\\$ \\\` \\" \\\\ \\n"`, ['$ ` " \\ \\n']],
    ['"a\\\nb" c\\\nd', ['ab', 'cd']],
    [`--x '{"a":[1,"*"]}'`, ['--x', '{"a":[1,"*"]}']],
    ['a~ b#c a=b ./é', ['a~', 'b#c', 'a=b', './é']],
    ['', []],
  ])('%j', (text, words) => {
    expect(splitCommand(text)).toEqual(words);
  });

  test.each([
    'a $HOME',
    'a;b',
    'a && b',
    'a > b',
    '`a`',
    '(a)',
    '~/vllm',
    'a #b',
    'a *.py',
    'a [b]',
    '"$A"',
    '"`a`"',
  ])('refuses %s, which wants a shell', (text) => {
    expect(splitCommand(text)).toMatch(/that a shell would act on/);
  });

  test('gives back any words that were quoted', () => {
    const quoted = (word: string) => `'${word.replaceAll("'", `'\\''`)}'`;
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' })), (words) => {
        expect(splitCommand(words.map(quoted).join(' '))).toEqual(words);
      }),
    );
  });
});
