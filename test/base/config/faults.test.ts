import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../../src/base/config/load.ts';
import { parseConfig } from '../../../src/base/config/parse.ts';
import { PROVIDERS } from '../../../src/upstream/providers.ts';
import { faultsOf, parsed } from './parsed.ts';

const MANY = `model_list:
  - model_name: one
    litellm_params:
      model: opnai/gpt-4o
      api_bse: http://localhost
      timeout: -1
  - model_name: two
    litellm_params:
      model: hosted_vllm/two
      api_key: os.environ/NOT_THERE
      api_base: localhost:8000
general_settings:
  master_key: 1234
  max_headers: many
  pass_through_endpoints:
    - path: v1/rerank
      target: api.cohere.com
      headers:
        Host: example.com
        Authorization: bearer os.environ/NOT_THERE
      methods: [POST, PSOT]
    - path: /health
      auth: perhaps
router_setings: {}
`;

describe('a file with many faults', () => {
  test('is told of all of them, in the order of their lines', () => {
    const env = { DATABASE_URL: 'postgres://user:secret@db/x' };
    expect(faultsOf(MANY, env)).toEqual([
      'config.yaml:4: model_list[0].litellm_params.model: "opnai" is no provider known here; did you mean openai/gpt-4o, or hosted_vllm/opnai/gpt-4o?',
      'config.yaml:5: model_list[0].litellm_params.api_bse: unknown key; did you mean api_base?',
      'config.yaml:6: model_list[0].litellm_params.timeout: must be a number of seconds above 0 and below 2,147,483, not -1',
      'config.yaml:10: model_list[1].litellm_params.api_key: the environment variable NOT_THERE is not set',
      'config.yaml:11: model_list[1].litellm_params.api_base: not a URL: "localhost:8000"; did you mean http://localhost:8000?',
      'config.yaml:13: general_settings.master_key: must be a text (a number wants quotes)',
      'config.yaml:14: general_settings.max_headers: must be a whole number above 0, not "many"',
      'config.yaml:16: pass_through_endpoints[0].path: must begin with a slash, like "/v1/rerank", not "v1/rerank"',
      'config.yaml:17: pass_through_endpoints[0].target: not a URL: "api.cohere.com"; did you mean https://api.cohere.com?',
      'config.yaml:19: pass_through_endpoints[0].headers.Host: Host is set by Sluice for each request; remove it',
      'config.yaml:20: pass_through_endpoints[0].headers.Authorization: the environment variable NOT_THERE is not set',
      'config.yaml:21: pass_through_endpoints[0].methods[1]: is no method that can be relayed; did you mean POST?',
      'config.yaml:22: pass_through_endpoints[1]: has no target',
      "config.yaml:22: pass_through_endpoints[1].path: is a path of Sluice's own control plane; take another",
      'config.yaml:23: pass_through_endpoints[1].auth: must be true or false, not "perhaps"',
      'config.yaml:24: router_setings: unknown key; did you mean router_settings?',
      'environment: DATABASE_URL: Postgres is not supported; leave it out (state is then kept in .sluice/sluice.db), or write sqlite:/absolute/path, sqlite:relative/path or redis://host:6379',
    ]);
  });

  test('has each fault as data, too', () => {
    try {
      parsed('general_settings:\n  timeout: -1');
      expect.unreachable();
    } catch (thrown) {
      expect((thrown as ConfigError).faults).toEqual([
        {
          file: 'config.yaml',
          line: 2,
          column: 12,
          path: 'general_settings.timeout',
          message: 'must be a number of seconds above 0 and below 2,147,483, not -1',
        },
      ]);
    }
  });

  test('that came from no file is told by line', () => {
    const parse = () => parseConfig('a: 1', { file: null, env: {}, providers: PROVIDERS, baseDir: '.' });
    expect(parse).toThrow(/^line 1: a: unknown key/);
  });
});

describe('a configuration', () => {
  test('is frozen to the bottom', () => {
    const text = `model_list: [{model_name: m, params: {model: gpt-4o, api_key: k, headers: {a: b}}, model_info: {deep: {list: [1]}}}]
general_settings:
  allowed_hosts: [h]
  pass_through_endpoints: [{path: /a, target: "https://h", headers: {a: b}, default_query_params: {c: d}}]
`;
    const config = parsed(text);
    const seen = new Set<unknown>();
    const visit = (value: unknown, path: string): void => {
      if (typeof value !== 'object' || value === null || seen.has(value)) return;
      seen.add(value);
      expect(Object.isFrozen(value), path).toBe(true);
      const entries = value instanceof Map ? [...value] : Object.entries(value);
      for (const [key, item] of entries) visit(item, `${path}.${key}`);
    };
    visit(config, 'config');
    expect(seen.size).toBeGreaterThan(15);
    const targets = config.providerTargets as Map<string, unknown>;
    expect(() => targets.set('x', 1)).toThrow('a configuration is never changed');
    expect(() => targets.delete('openai')).toThrow('a configuration is never changed');
    expect(() => targets.clear()).toThrow('a configuration is never changed');
  });
});

describe('parseConfig', () => {
  const word = fc.constantFrom(
    ...[
      'model_list',
      'litellm_params',
      'params',
      'model',
      'model_name',
      'model_info',
      'api_base',
      'api_key',
      'headers',
    ],
    ...[
      'general_settings',
      'pass_through_endpoints',
      'path',
      'target',
      'tls',
      'cert',
      'methods',
      'timeout',
      '<<',
    ],
    ...[
      'environment_variables',
      'router_settings',
      'litellm_settings',
      '__proto__',
      'constructor',
      'x-a',
      '*a',
      '&a',
    ],
    ...[
      'http://h',
      '/a',
      'gpt-4o',
      'hosted_vllm/x',
      'os.environ/A',
      'os.environ/',
      'true',
      '-1',
      '1e9',
      '.nan',
      '~',
    ],
    ...['!!str', '!x', '"', "'", '|', '>', '%YAML 1.1', '---', '...', '\t', '#', '@', '\u0000', '☃', ''],
  );
  const glue = fc.constantFrom(
    ': ',
    ':\n',
    '\n',
    '\n  ',
    '\n    ',
    '- ',
    ' ',
    ', ',
    '[',
    ']',
    '{',
    '}',
    '? ',
    '\r\n',
  );
  const yamlish = fc
    .array(fc.tuple(word, glue), { maxLength: 40 })
    .map((parts) => parts.map(([one, other]) => one + other).join(''));
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      fc.oneof(word, fc.integer(), fc.boolean(), fc.constant(null)),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(word, tie('value'), { maxKeys: 5 }),
    ),
  }));
  const env = fc.dictionary(
    fc.constantFrom('A', 'DATABASE_URL', 'OPENAI_BASE_URL', 'SLUICE_MASTER_KEY'),
    fc.string(),
  );

  const throwsNothingElse = (text: string, environment: Readonly<Record<string, string>>): void => {
    try {
      parsed(text, environment);
    } catch (thrown) {
      if (!(thrown instanceof ConfigError)) throw thrown;
      expect(thrown.faults.length).toBeGreaterThan(0);
      const lines = thrown.faults.map(({ line }) => line ?? Number.POSITIVE_INFINITY);
      expect(lines).toEqual(lines.toSorted((a, b) => a - b));
    }
  };

  test('throws nothing but ConfigError for texts that look like YAML', () => {
    fc.assert(fc.property(yamlish, env, throwsNothingElse), { numRuns: 1_500 });
  });

  test('throws nothing but ConfigError for any text', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), env, throwsNothingElse), {
      numRuns: 500,
    });
  });

  test('throws nothing but ConfigError for any value in any place', () => {
    const trees = fc.dictionary(word, value, { minKeys: 1, maxKeys: 5 }).map((tree) => JSON.stringify(tree));
    fc.assert(fc.property(trees, env, throwsNothingElse), { numRuns: 1_500 });
  });

  test('shows no secret, wherever it is wrong', () => {
    const SECRET = 'hunter2hunter2';
    const places = fc.constantFrom(
      ...['model', 'api_base', 'api_key', 'timeout', 'custom_llm_provider', 'input_cost_per_token'].map(
        (key) =>
          `model_list: [{model_name: m, params: {model: gpt-4o, api_base: "http://h", ${key}: os.environ/S}}]`,
      ),
      ...['master_key', 'database_url', 'max_headers', 'tls'].map(
        (key) => `general_settings: {${key}: os.environ/S}`,
      ),
      ...['path', 'target', 'auth', 'methods', 'headers', 'cost_per_request'].map(
        (key) =>
          `general_settings: {pass_through_endpoints: [{path: /a, target: "https://h", ${key}: os.environ/S}]}`,
      ),
    );
    const secret = fc
      .constantFrom('', '\n', '\0', ' ', ':', '/', '@', '☃')
      .map((odd) => `${odd}${SECRET}${odd}`);
    fc.assert(
      fc.property(places, secret, (text, held) => {
        // The key under test stands in the place of the good one before it.
        const once = text.replaceAll(/(model|path|target|api_base): [^,]+, (?=.*\1: os)/g, '');
        expect(faultsOf(once, { S: held }).join('\n')).not.toContain(SECRET);
      }),
    );
  });
});
