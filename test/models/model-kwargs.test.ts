import { describe, expect, test } from 'vitest';
import { SluiceError } from '../../src/base/errors.ts';
import type { Json } from '../../src/base/json.ts';
import { parseDuration } from '../../src/models/duration.ts';
import { parseModelKwargs } from '../../src/models/model-kwargs.ts';
import { redactedKwargs } from '../../src/models/redaction.ts';

function refusal(kwargs: Readonly<Record<string, Json>>): SluiceError {
  try {
    parseModelKwargs(kwargs);
  } catch (error) {
    if (error instanceof SluiceError) return error;
  }
  throw new Error(`accepted: ${JSON.stringify(kwargs)}`);
}

describe('model_kwargs', () => {
  test('are told apart into sampling, own and engine', () => {
    const parsed = parseModelKwargs({
      temperature: 0.7,
      seed: 1,
      api_base: 'http://127.0.0.1:8000/v1/',
      api_key: 'sk-upstream',
      keep_alive: '5m',
      load_on_request: true,
      load_timeout: 90,
      tensor_parallel_size: 2,
      enable_prefix_caching: true,
      mm_processor_kwargs: { num_crops: 4 },
      quantization: null,
      top_p: null,
    });
    expect(parsed).toEqual({
      sampling: { temperature: 0.7, seed: 1 },
      own: {
        apiBase: 'http://127.0.0.1:8000/v1',
        apiKey: 'sk-upstream',
        keepAliveMs: 300_000,
        loadOnRequest: true,
        loadTimeoutMs: 90_000,
      },
      engine: { tensor_parallel_size: 2, enable_prefix_caching: true, mm_processor_kwargs: { num_crops: 4 } },
    });
  });

  test('have defaults', () => {
    expect(parseModelKwargs({}).own).toEqual({
      apiBase: null,
      apiKey: null,
      keepAliveMs: null,
      loadOnRequest: false,
      loadTimeoutMs: 1_800_000,
    });
  });

  test.each([
    ['model_kwargs.seed', { seed: Number.NaN }],
    ['model_kwargs.max_model_len', { max_model_len: Number.POSITIVE_INFINITY }],
    ['model_kwargs.hf_overrides.rope[1].factor', { hf_overrides: { rope: [1, { factor: -1 / 0 }] } }],
  ])('a number that JSON can’t have is refused: %s', (param, kwargs) => {
    // It would be stored as null, and stand for nothing given.
    const error = refusal(kwargs);
    expect([error.reason, error.param, error.message]).toEqual([
      'invalid_request',
      param,
      `${param}: must be a finite number: JSON has no other`,
    ]);
  });

  test('a name of the prototype is an engine argument like any other', () => {
    const kwargs = JSON.parse('{"constructor":1,"__proto__":2}') as Record<string, Json>;
    const { engine } = parseModelKwargs(kwargs);
    expect(Object.entries(engine)).toEqual([
      ['constructor', 1],
      ['__proto__', 2],
    ]);
  });

  test('more than can be meant is refused at once, and not looked at one by one', () => {
    const many = Object.fromEntries(Array.from({ length: 513 }, (_, index) => [`temperatur${index}`, 1]));
    expect(refusal(many).message).toBe('model_kwargs: has 513 names; 512 are taken');
    expect(refusal({ ['x'.repeat(257)]: 1 }).message).toContain('has a name of more than 256 characters');
    const slashes = `http://a${'/'.repeat(2_000_000)}b`;
    expect(refusal({ api_base: slashes }).message).toContain('api_base: is longer than 4096 characters');
  });

  test('what is nested too deep for clients to read it is refused', () => {
    const nested = (levels: number): Json => (levels === 0 ? 1 : { a: [nested(levels - 1)] });
    expect(parseModelKwargs({ stop: nested(15) }).sampling).toEqual({ stop: nested(15) });
    expect(refusal({ stop: [nested(15)] }).message).toBe(
      'model_kwargs.stop: is nested more than 30 levels deep',
    );
  });

  test('every fault is told at once, with its place', () => {
    const error = refusal({
      api_base: 'api.openai.com/v1',
      api_key: 'two\nlines',
      keep_alive: 'long',
      load_on_request: 'yes',
      model: 'x',
      'max-tokens': 3,
    });
    expect(error.reason).toBe('invalid_request');
    expect(error.param).toBe('model_kwargs.api_base');
    expect(error.message.split('\n')).toHaveLength(6);
    expect(error.message).toContain('model_kwargs.api_base: not a URL');
    expect(error.message).toContain('did you mean https://api.openai.com/v1?');
    expect(error.message).toContain('model_kwargs.keep_alive: must be a duration');
    expect(error.message).toContain('model_kwargs.max-tokens: write it max_tokens');
    expect(error.message).not.toContain('two');
  });

  test.each<[Readonly<Record<string, Json>>, string]>([
    [{ api_key: '***' }, 'redacted'],
    [{ api_key: 'os.environ/OPENAI_API_KEY' }, 'only the configuration file'],
    [{ api_key: '' }, 'not empty'],
    [{ api_base: 7 }, 'must be a URL'],
    [{ api_base: 'http://me:pw@host' }, 'credentials'],
    [{ api_base: 'http://169.254.169.254/latest' }, 'where no model is served'],
    [{ api_base: 'http://a', base_url: 'http://b' }, 'keep one'],
    [{ keep_alive: 0 }, 'above 0'],
    [{ load_timeout: -1 }, 'above 0'],
    [{ stream: true }, 'part of each request'],
  ])('%o is refused', (kwargs, said) => {
    expect(refusal(kwargs).message).toContain(said);
  });
});

test.each<[Json, number | null]>([
  ['30s', 30_000],
  ['5m', 300_000],
  ['2h', 7_200_000],
  ['1h30m', 5_400_000],
  ['1.5s', 1_500],
  ['250ms', 250],
  ['1d', 86_400_000],
  ['20', 20_000],
  [20, 20_000],
  [0.5, 500],
  ['30m1h', null],
  ['1s1s', null],
  ['', null],
  ['5 minutes', null],
  ['-5m', null],
  [-1, null],
  [0, null],
  [null, null],
  [true, null],
  ['40d', null],
  [1e300, null],
])('the duration %o is %o ms', (value, milliseconds) => {
  expect(parseDuration(value)).toBe(milliseconds);
});

test('secrets are redacted at any depth, and nothing else is', () => {
  const kwargs = {
    api_key: 'sk-1',
    api_base: 'http://host',
    hf_token: 'hf_1',
    HF_TOKEN: 'hf_2',
    'ssl-keyfile-password': 'pw',
    max_tokens: 5,
    stop_token_ids: [1],
    image_token: 32_000,
    stop: ['token'],
    model_loader_extra_config: { aws_secret_access_key: 'x', list: [{ accessKey: 'y', region: 'eu' }] },
    download_dir: 's3://id:secret@bucket/weights',
    api_keys: ['a', 'b'],
  };
  expect(redactedKwargs(kwargs)).toEqual({
    api_key: '***',
    api_base: 'http://host',
    hf_token: '***',
    HF_TOKEN: '***',
    'ssl-keyfile-password': '***',
    max_tokens: 5,
    stop_token_ids: [1],
    image_token: 32_000,
    stop: ['token'],
    model_loader_extra_config: {
      aws_secret_access_key: '***',
      list: [{ accessKey: '***', region: 'eu' }],
    },
    download_dir: 's3://***@bucket/weights',
    api_keys: ['***', '***'],
  });
});
