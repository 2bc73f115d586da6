import { describe, expect, test } from 'vitest';
import { parseYamlTree } from '../../../src/base/config/yaml-tree.ts';
import { faultsOf, parsed } from './parsed.ts';

describe('a text that is no configuration', () => {
  test.each([
    ['', 'config.yaml:1: holds nothing; a configuration has at least a model_list or general_settings'],
    [
      '# only a comment\n',
      'config.yaml:1: holds nothing; a configuration has at least a model_list or general_settings',
    ],
    ['---\n', 'config.yaml:1: holds nothing; a configuration has at least a model_list or general_settings'],
    ['hello', 'config.yaml:1: a configuration is a mapping, like "model_list: …", not "hello"'],
    ['- a', 'config.yaml:1: a configuration is a mapping, like "model_list: …", not a list'],
    ['a: 1\n---\nb: 2\n', 'config.yaml:2: not YAML: a second document begins here; a configuration is one'],
    ['model_list:\n\t- a', 'config.yaml:2: not YAML: a tab indents this line; YAML wants spaces'],
    ['model_list: *x', 'config.yaml:1: nothing above has the anchor &x'],
    [
      'a: b: c',
      'config.yaml:1: not YAML: a second key on this line, or a text with ": " in it; put the text in quotes',
    ],
    ['a: @b', 'config.yaml:1: not YAML: a text that begins like this must stand in quotes'],
    ['? [a]\n: b', 'config.yaml:1: not YAML: a key must be a plain text'],
    [
      'model_list: [1,\nb: 3',
      'config.yaml:2: not YAML: flow sequence in block collection must be sufficiently indented and end with a ]',
    ],
    ['['.repeat(5_000), 'config.yaml:1: not YAML: is nested too deeply'],
    ['x'.repeat(9_000_000), 'config.yaml:1: is longer than 8388608 characters'],
  ])('%.20j is a fault', (text, fault) => {
    expect(faultsOf(text)).toEqual([fault]);
  });

  test('several errors of syntax are told at once', () => {
    expect(faultsOf('a: @b\nc: 1\nd: `e`\n')).toEqual([
      'config.yaml:1: not YAML: a text that begins like this must stand in quotes',
      'config.yaml:3: not YAML: a text that begins like this must stand in quotes',
    ]);
  });
});

describe('YAML beyond plain values', () => {
  test('a key that is there twice is a fault with the place of the first', () => {
    expect(faultsOf('model_list: []\ngeneral_settings: {}\nmodel_list: []')).toEqual([
      'config.yaml:3: the key "model_list" is here twice; the first is on line 1',
    ]);
  });

  test.each([
    ['!env X', '!env'],
    ['!!python/object:os.system {}', '!!python/object:os.system'],
    ['!!binary aGk=', '!!binary'],
    ['!!timestamp 2001-12-14', '!!timestamp'],
  ])('the tag of %s is a fault', (value, tag) => {
    expect(faultsOf(`x-a: ${value}`)).toEqual([
      `config.yaml:1: the tag ${tag} is not known here; a variable of the environment is os.environ/NAME`,
    ]);
  });

  test('YAML’s own scalar tags are understood, whatever version a directive names', () => {
    expect(parsed('%YAML 1.1\n---\ngeneral_settings: {master_key: !!str 1234}').masterKey).toBe('1234');
    expect(faultsOf('%YAML 1.1\n---\ngeneral_settings: {master_key: 2001-12-14}')).toEqual([]);
  });

  test('"__proto__" can’t be a key, and nothing inherits from it', () => {
    const text =
      'model_list: [{model_name: m, params: {model: gpt-4o, api_key: k}, model_info: {__proto__: {polluted: 1}}}]';
    expect(faultsOf(text)).toEqual(['config.yaml:1: "__proto__" can\'t be a key']);
    expect(faultsOf('__proto__: {master_key: x}\n"__proto__": 1')).toHaveLength(2);
    expect('polluted' in {}).toBe(false);
  });

  test('keys named like an object’s own methods are unknown keys, and nothing else', () => {
    expect(
      faultsOf('constructor: 1\ntoString: 2\nhasOwnProperty: 3').map((line) => line.split(';')[0]),
    ).toEqual([
      'config.yaml:1: constructor: unknown key',
      'config.yaml:2: toString: unknown key',
      'config.yaml:3: hasOwnProperty: unknown key',
    ]);
  });

  test('aliases repeat values, and merge keys fill in what is not there', () => {
    const text = `x-a: &a {api_base: "http://a", api_key: k}
x-b: &b {api_base: "http://b", timeout: 5}
model_list:
  - {model_name: one, params: {model: hosted_vllm/m, <<: *a}}
  - {model_name: two, params: {model: hosted_vllm/m, <<: [*a, *b]}}
  - {model_name: three, params: {<<: *b, model: hosted_vllm/m, api_base: "http://c"}}
`;
    expect(
      parsed(text).deployments.map(({ apiBase, apiKey, timeouts }) => [
        apiBase,
        apiKey,
        timeouts.firstByteTimeoutMs,
      ]),
    ).toEqual([
      ['http://a', 'k', 600_000],
      ['http://a', 'k', 5_000],
      ['http://c', null, 5_000],
    ]);
  });

  test('a fault in a value that an anchor repeats is told where it is written', () => {
    const text = `x-a: &a
  api_base: nonsense
model_list:
  - {model_name: one, params: {model: hosted_vllm/m, <<: *a}}
  - {model_name: two, params: *a}
`;
    expect(faultsOf(text)).toEqual([
      'config.yaml:2: model_list[0].params.api_base: not a URL: "nonsense"; did you mean http://nonsense?',
      'config.yaml:5: model_list[1].params: has no model',
    ]);
  });

  test.each([
    ['x-a: &a [*a]', '*a stands inside of what it repeats'],
    ['x-a: {<<: 5}', '<< merges mappings, and this is none'],
    ['x-a: {<<: [{b: 1}, 2]}', '<< merges mappings, and this is none'],
  ])('%s is a fault', (text, problem) => {
    expect(faultsOf(text)).toEqual([`config.yaml:1: ${problem}`]);
  });

  test('a billion laughs cost nothing and are a fault', () => {
    const laughs = ['x-0: &x0 [ha, ha]'];
    for (let index = 1; index < 60; index += 1) {
      const times = Array.from({ length: 10 }, () => `*x${index - 1}`).join(', ');
      laughs.push(`x-${index}: &x${index} [${times}]`);
    }
    expect(faultsOf(laughs.join('\n'))).toEqual([
      'config.yaml:6: holds more than 200000 values, aliases included',
    ]);
  });

  test('a tower of merges costs no more than its bound', () => {
    const tower = ['x-0: &x0 {k0: 1}'];
    for (let index = 1; index < 3_000; index += 1)
      tower.push(`x-${index}: &x${index} {k${index}: 1, <<: *x${index - 1}}`);
    expect(faultsOf(tower.join('\n')).at(0)).toContain('holds more than 200000 values, aliases included');
  });

  test('a text nested deeper than any configuration is a fault', () => {
    expect(faultsOf(`x-a: ${'['.repeat(150)}${']'.repeat(150)}`)).toEqual([
      'config.yaml:1: is nested more than 100 levels deep',
    ]);
  });
});

describe('places', () => {
  const tree = parseYamlTree('a:\n  - b: one\n    c: &c {d: two}\n  - *c\n');

  test.each([
    [['a'], 2, 3],
    [['a', 0, 'b'], 2, 8],
    [['a', 0, 'c', 'd'], 3, 15],
    [['a', 1], 4, 5],
    [['a', 1, 'd'], 3, 15],
    [['a', 0, 'missing', 'deeper'], 2, 5],
    [['missing'], 1, 1],
  ])('of the value at %j is %d:%d', (path, line, column) => {
    expect(tree.valuePlace(path)).toEqual({ line, column });
  });

  test('of a key is where the key stands', () => {
    expect(tree.keyPlace(['a', 0, 'c'])).toEqual({ line: 3, column: 5 });
    expect(tree.keyPlace(['a'])).toEqual({ line: 1, column: 1 });
  });
});
