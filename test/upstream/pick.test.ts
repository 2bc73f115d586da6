import { describe, expect, test } from 'vitest';
import type { Config } from '../../src/base/config/config.ts';
import { parseConfig } from '../../src/base/config/parse.ts';
import { SluiceError } from '../../src/base/errors.ts';
import type { Destination } from '../../src/upstream/destination.ts';
import { type Lease, type PickRequest, TargetPicker } from '../../src/upstream/pick.ts';
import { PROVIDERS } from '../../src/upstream/providers.ts';

interface Model {
  readonly name: string;
  readonly model: string;
  readonly base?: string;
  readonly params?: string;
}

/** A configuration of these models, and of this environment. */
function config(models: readonly Model[], env: Readonly<Record<string, string>> = {}): Config {
  const entries = models.map(
    ({ name, model, base, params = '' }) =>
      `  - model_name: ${name}\n    litellm_params: {model: ${model}${base === undefined ? '' : `, api_base: "${base}"`}${params}}`,
  );
  const text = models.length === 0 ? 'general_settings: {}' : `model_list:\n${entries.join('\n')}\n`;
  return parseConfig(text, { file: null, env, providers: PROVIDERS, baseDir: '.' });
}

const V1: Destination = { kind: 'v1', endpoint: 'v1/x' };

function to(provider: string): Destination {
  return { kind: 'provider', provider, endpoint: 'v1/x' };
}

function ask(
  destination: Destination,
  model: string | null = null,
  modelHeader: string | null = null,
): PickRequest {
  return { destination, model, modelHeader };
}

function refusal(run: () => unknown): SluiceError {
  try {
    run();
  } catch (error) {
    if (error instanceof SluiceError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

const A = { name: 'a', model: 'hosted_vllm/org/a', base: 'http://one:8000' };
const B = { name: 'b', model: 'hosted_vllm/b', base: 'http://two:8000/v1' };

describe('a request that names a model', () => {
  test('goes to its deployment under the name that the upstream knows', () => {
    const picker = new TargetPicker(config([A, B]));
    expect(picker.pick(ask(V1, 'a'))).toMatchObject({
      name: 'a#0',
      provider: 'vllm',
      apiBase: 'http://one:8000',
      upstreamModel: 'org/a',
      servesVllm: true,
    });
    expect(picker.pick(ask(to('vllm'), 'b'))).toMatchObject({ name: 'b#0', apiBase: 'http://two:8000/v1' });
  });

  test('is refused when nobody has it, with the names that exist', () => {
    const error = refusal(() => new TargetPicker(config([A, B])).pick(ask(V1, 'c"\n')));
    expect(error).toMatchObject({ reason: 'model_not_found', status: 404, param: 'model' });
    expect(error.message).toContain('"c\\"\\n"');
    expect(error.message).toContain('Known models: a, b.');
  });

  test.each([
    ['model', ask(V1, 'c')],
    ['x-sluice-model', ask(V1, null, 'c')],
  ])('is told what to do about one that only has to be loaded: %s', (param, asked) => {
    const remedyFor = (model: string): string | null => (model === 'c' ? 'load it first' : null);
    const picker = new TargetPicker(config([A]), { remedyFor });
    expect(refusal(() => picker.pick(asked))).toMatchObject({
      reason: 'model_not_found',
      param,
      message: 'The model "c" is not loaded: load it first. Known models: a.',
    });
    expect(refusal(() => picker.pick(ask(V1, 'd'))).message).toContain('"d" does not exist here.');
  });

  test('is told of fifty names at most', () => {
    const models = Array.from({ length: 60 }, (_, i) => ({ ...A, name: `m${i}` }));
    const { message } = refusal(() => new TargetPicker(config(models)).pick(ask(V1, 'x')));
    expect(message).toContain('m0, ');
    expect(message).toContain('m49, and 10 more.');
  });

  test.each(['__proto__', 'constructor', 'toString', ''])(
    'finds no model %j that nobody configured',
    (model) => {
      expect(refusal(() => new TargetPicker(config([A])).pick(ask(V1, model))).reason).toBe(
        'model_not_found',
      );
    },
  );

  test('goes unchanged to HOSTED_VLLM_API_BASE when the model is unknown', () => {
    const env = { HOSTED_VLLM_API_BASE: 'http://default:8000', HOSTED_VLLM_API_KEY: 'sk-up' };
    const picker = new TargetPicker(config([A], env));
    for (const destination of [V1, to('vllm')]) {
      expect(picker.pick(ask(destination, 'unknown'))).toMatchObject({
        name: 'vllm',
        apiBase: 'http://default:8000',
        upstreamModel: null,
        servesVllm: true,
        headers: ['authorization', 'Bearer sk-up'],
      });
    }
    expect(picker.pick(ask(V1, 'a')).name).toBe('a#0');
  });

  test('goes to its deployment on the path of another provider too', () => {
    expect(new TargetPicker(config([A])).pick(ask(to('openai'), 'a')).name).toBe('a#0');
  });

  test("goes to that provider's own API when it is no deployment's and the provider is configured", () => {
    const picker = new TargetPicker(config([A], { OPENAI_API_KEY: 'sk-openai' }));
    expect(picker.pick(ask(to('openai'), 'gpt-x'))).toMatchObject({
      name: 'openai',
      apiBase: 'https://api.openai.com/v1',
      upstreamModel: null,
      servesVllm: false,
      headers: ['authorization', 'Bearer sk-openai'],
    });
    expect(refusal(() => picker.pick(ask(to('anthropic'), 'claude-x'))).reason).toBe('model_not_found');
  });
});

describe('a request that names no model', () => {
  test('goes by x-sluice-model', () => {
    const env = { HOSTED_VLLM_API_BASE: 'http://default:8000' };
    const picker = new TargetPicker(config([A, B], env));
    expect(picker.pick(ask(to('vllm'), null, 'b')).name).toBe('b#0');
    expect(refusal(() => picker.pick(ask(to('vllm'), null, 'c')))).toMatchObject({
      reason: 'model_not_found',
      param: 'x-sluice-model',
    });
  });

  test('heeds the body before the header', () => {
    expect(new TargetPicker(config([A, B])).pick(ask(V1, 'a', 'b')).name).toBe('a#0');
  });

  test('goes to HOSTED_VLLM_API_BASE, else to VLLM_API_BASE', () => {
    const both = { VLLM_API_BASE: 'http://second', HOSTED_VLLM_API_BASE: 'http://first' };
    expect(new TargetPicker(config([A], both)).pick(ask(to('vllm'))).apiBase).toBe('http://first');
    const one = { VLLM_API_BASE: 'http://second' };
    expect(new TargetPicker(config([A], one)).pick(ask(to('vllm'))).apiBase).toBe('http://second');
  });

  test('goes to the only vLLM deployment', () => {
    const openai = { name: 'gpt', model: 'openai/gpt-x', params: ', api_key: sk' };
    const picker = new TargetPicker(config([openai, A]));
    expect(picker.pick(ask(to('vllm'))).name).toBe('a#0');
    expect(picker.pick(ask(V1)).name).toBe('a#0');
    expect(picker.pick(ask(to('openai'))).name).toBe('gpt#0');
  });

  test('goes to the only deployment there is on /v1', () => {
    const openai = { name: 'gpt', model: 'openai/gpt-x', params: ', api_key: sk' };
    expect(new TargetPicker(config([openai])).pick(ask(V1)).name).toBe('gpt#0');
    expect(refusal(() => new TargetPicker(config([openai])).pick(ask(to('vllm')))).reason).toBe(
      'model_required',
    );
  });

  test('is asked which one it means when there are several', () => {
    const error = refusal(() =>
      new TargetPicker(config([A, B, { ...A, base: 'http://three' }])).pick(ask(to('vllm'))),
    );
    expect(error).toMatchObject({ reason: 'model_required', status: 400, param: 'model' });
    expect(error.message).toMatch(/x-sluice-model: a, b\.$/);
  });

  test.each([
    [to('vllm'), /\/vllm: add a model to model_list, or set HOSTED_VLLM_API_BASE/],
    [V1, /this path: add a model to model_list, or set HOSTED_VLLM_API_BASE/],
    [to('cohere'), /\/cohere: add a model to model_list, or set COHERE_API_KEY\.$/],
  ])('is told what to configure when there is nothing', (destination, message) => {
    const error = refusal(() => new TargetPicker(config([])).pick(ask(destination)));
    expect(error.reason).toBe('model_required');
    expect(error.message).toMatch(message);
  });
});

describe('several deployments of one name', () => {
  const THREE = ['http://one', 'http://two', 'http://three'].map((base) => ({ ...A, base }));

  test('take turns when nothing is under way', () => {
    const picker = new TargetPicker(config(THREE));
    const names = Array.from({ length: 6 }, () => {
      const lease = picker.pick(ask(V1, 'a'));
      lease.release();
      return lease.name;
    });
    expect(names).toEqual(['a#0', 'a#1', 'a#2', 'a#0', 'a#1', 'a#2']);
  });

  test('share by what is under way', () => {
    const picker = new TargetPicker(config(THREE));
    const leases = Array.from({ length: 9 }, () => picker.pick(ask(V1, 'a')));
    expect([...picker.outstanding().values()]).toEqual([3, 3, 3]);
    for (const lease of leases.filter(({ name }) => name === 'a#1')) lease.release();
    const next = [1, 2, 3].map(() => picker.pick(ask(V1, 'a')).name);
    expect(next).toEqual(['a#1', 'a#1', 'a#1']);
  });

  test('prefer those of the provider in the path', () => {
    const other = { name: 'a', model: 'openai/gpt-x', params: ', api_key: sk' };
    const picker = new TargetPicker(config([A, other]));
    for (let round = 0; round < 3; round++) {
      expect(picker.pick(ask(to('openai'), 'a')).provider).toBe('openai');
    }
    expect(picker.pick(ask(to('cohere'), 'a')).provider).toBe('vllm');
  });

  test('count a release once, however often it is called', () => {
    const picker = new TargetPicker(config(THREE));
    const [first, second] = [picker.pick(ask(V1, 'a')), picker.pick(ask(V1, 'a'))] as [Lease, Lease];
    first.release();
    first.release();
    expect(Object.fromEntries(picker.outstanding())).toEqual({ 'a#0': 0, 'a#1': 1, 'a#2': 0 });
    second.release();
    expect([...picker.outstanding().values()]).toEqual([0, 0, 0]);
  });

  test('are counted anew by another configuration', () => {
    const parsed = config(THREE);
    const lease = new TargetPicker(parsed).pick(ask(V1, 'a'));
    const picker = new TargetPicker(parsed);
    expect([...picker.outstanding().values()]).toEqual([0, 0, 0]);
    lease.release();
    expect([...picker.outstanding().values()]).toEqual([0, 0, 0]);
  });

  test('have one name in the list of models', () => {
    expect(new TargetPicker(config([...THREE, B])).modelNames).toEqual(['a', 'b']);
  });
});

describe('the headers that go along', () => {
  test.each([
    ['hosted_vllm/x', ['authorization', 'Bearer sk-1']],
    ['openai/x', ['authorization', 'Bearer sk-1']],
    ['anthropic/x', ['x-api-key', 'sk-1']],
    ['gemini/x', ['x-goog-api-key', 'sk-1']],
  ])('carry the key as %s takes it', (model, headers) => {
    const parsed = config([{ name: 'm', model, base: 'http://h', params: ', api_key: sk-1' }]);
    expect(new TargetPicker(parsed).pick(ask(V1, 'm')).headers).toEqual(headers);
  });

  test('are none without a key', () => {
    expect(new TargetPicker(config([A])).pick(ask(V1, 'a')).headers).toEqual([]);
  });

  test("keep an operator's own credential in place of the key's, whatever its case", () => {
    const params = ', api_key: sk-1, extra_headers: {AUTHORIZATION: "Basic x", X-Team: blue}';
    const { headers } = new TargetPicker(config([{ ...A, params }])).pick(ask(V1, 'a'));
    expect(headers).toEqual(['AUTHORIZATION', 'Basic x', 'X-Team', 'blue']);
  });

  test("stand before an operator's other headers", () => {
    const params = ', api_key: sk-1, extra_headers: {X-Team: blue}';
    const { headers } = new TargetPicker(config([{ ...A, params }])).pick(ask(V1, 'a'));
    expect(headers).toEqual(['authorization', 'Bearer sk-1', 'X-Team', 'blue']);
  });
});

describe('whether a vLLM server may be behind it', () => {
  test.each([
    [{ model: 'hosted_vllm/x', base: 'http://h' }, true],
    [{ model: 'openai/x', base: 'http://gpu:8000/v1' }, true],
    [{ model: 'openai/x', base: 'https://api.openai.com/v2' }, false],
    [{ model: 'openai/x', params: ', api_key: sk' }, false],
    [{ model: 'openai/x', base: 'http://api.openai.com/v1' }, true],
  ])('%j: %s', (model, expected) => {
    const parsed = config([{ name: 'm', ...model }]);
    expect(new TargetPicker(parsed).pick(ask(V1, 'm')).servesVllm).toBe(expected);
  });
});

describe("an operator's route", () => {
  const parsed = parseConfig(
    'general_settings:\n  pass_through_endpoints:\n    - {path: /x, target: "https://h.example/y", headers: {X-A: b}}\n    - {path: /z, target: mod.adapter}\n',
    { file: null, env: {}, providers: PROVIDERS, baseDir: '.' },
  );
  const [toUrl, toAdapter] = parsed.routes.map(
    (route): Destination => ({ kind: 'route', route, subpath: '' }),
  ) as [Destination, Destination];

  test('is its own target, and leaves the body alone', () => {
    const lease = new TargetPicker(parsed).pick(ask(toUrl, 'any', 'any'));
    expect(lease).toMatchObject({
      name: '/x',
      provider: null,
      apiBase: 'https://h.example/y',
      upstreamModel: null,
      servesVllm: false,
      headers: ['X-A', 'b'],
    });
    lease.release();
    lease.release();
  });

  test('to an adapter is not served yet', () => {
    expect(refusal(() => new TargetPicker(parsed).pick(ask(toAdapter)))).toMatchObject({
      reason: 'not_implemented',
      status: 501,
    });
  });
});

describe('defaults', () => {
  test('are known by provider', () => {
    const picker = new TargetPicker(config([], { OPENAI_API_KEY: 'sk' }));
    expect(picker.hasDefault('openai')).toBe(true);
    expect(picker.hasDefault('vllm')).toBe(false);
  });

  test('can be released as often as one likes', () => {
    const picker = new TargetPicker(config([], { HOSTED_VLLM_API_BASE: 'http://h' }));
    const lease = picker.pick(ask(V1));
    lease.release();
    lease.release();
    expect(picker.pick(ask(V1)).apiBase).toBe('http://h');
  });
});
