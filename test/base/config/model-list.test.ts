import { describe, expect, test } from 'vitest';
import { faultsOf, parsed } from './parsed.ts';

/** A list of one model, with the given lines below litellm_params. */
function model(...lines: string[]): string {
  return [
    'model_list:',
    '  - model_name: m',
    '    litellm_params:',
    ...lines.map((line) => `      ${line}`),
  ].join('\n');
}

const AT = 'config.yaml:4: model_list[0].litellm_params';
const VLLM_ENV = { HOSTED_VLLM_API_BASE: 'http://vllm:8000/' };

describe('who serves a model', () => {
  test.each([
    // written, with api_base, provider, upstream model
    ['hosted_vllm/papluca/x', true, 'vllm', 'papluca/x'],
    ['vllm/papluca/x', true, 'vllm', 'papluca/x'],
    ['openai/gpt-4o', false, 'openai', 'gpt-4o'],
    ['openai/org/model', true, 'openai', 'org/model'],
    ['custom_openai/x', true, 'openai', 'x'],
    ['cohere_chat/command-r', false, 'cohere', 'command-r'],
    ['openrouter/google/gemini-2.5-pro', false, 'openrouter', 'google/gemini-2.5-pro'],
    ['litellm_proxy/openai/gpt-4o', true, 'litellm_proxy', 'openai/gpt-4o'],
    ['ollama_chat/llama3', false, 'ollama', 'llama3'],
    // bare names tell their provider, and stay whole
    ['gpt-3.5-turbo', false, 'openai', 'gpt-3.5-turbo'],
    ['o3-mini', false, 'openai', 'o3-mini'],
    ['ft:gpt-4o-mini:org::id', false, 'openai', 'ft:gpt-4o-mini:org::id'],
    ['text-embedding-3-small', false, 'openai', 'text-embedding-3-small'],
    ['claude-3-haiku-20240307', false, 'anthropic', 'claude-3-haiku-20240307'],
    ['command-nightly', false, 'cohere', 'command-nightly'],
    ['rerank-english-v3.0', false, 'cohere', 'rerank-english-v3.0'],
    ['mistral-large-latest', false, 'mistral', 'mistral-large-latest'],
    ['deepseek-chat', false, 'deepseek', 'deepseek-chat'],
    ['gemini-2.5-flash', false, 'gemini', 'gemini-2.5-flash'],
    // anything else with an address speaks OpenAI's API, under the whole name
    ['my-model', true, 'openai', 'my-model'],
    ['deepseek-ai/DeepSeek-V3', true, 'openai', 'deepseek-ai/DeepSeek-V3'],
    ['/models/llama', true, 'openai', '/models/llama'],
    ['anthropic.claude-v2', true, 'openai', 'anthropic.claude-v2'],
  ])('%s (api_base: %s) is %s’s %s', (written, hasBase, provider, upstreamModel) => {
    const lines = [`model: "${written}"`, ...(hasBase ? ['api_base: http://h:1'] : [])];
    expect(parsed(model(...lines)).deployments[0]).toMatchObject({ provider, upstreamModel });
  });

  test.each([
    ['openai/gpt-oss-20b', 'hosted_vllm', 'vllm', 'openai/gpt-oss-20b'], // a name that vLLM knows, as LiteLLM has it
    ['hosted_vllm/x', 'vllm', 'vllm', 'x'],
    ['x', 'groq', 'groq', 'x'],
  ])('%s with custom_llm_provider %s is %s’s %s', (written, custom, provider, upstreamModel) => {
    const text = model(`model: ${written}`, `custom_llm_provider: ${custom}`, 'api_base: http://h:1');
    expect(parsed(text).deployments[0]).toMatchObject({ provider, upstreamModel });
  });

  test.each([
    [
      'opnai/gpt-4o',
      `${AT}.model: "opnai" is no provider known here; did you mean openai/gpt-4o, or hosted_vllm/opnai/gpt-4o?`,
    ],
    [
      'OpenAI/gpt-4o',
      `${AT}.model: "OpenAI" is no provider known here; did you mean openai/gpt-4o, or hosted_vllm/OpenAI/gpt-4o?`,
    ],
    ['openai/', `${AT}.model: names no model behind "openai/"`],
    ['12', `${AT}.model: must be a text (a number wants quotes), not 12`],
    ['""', `${AT}.model: must not be empty`],
  ])('model: %s is a fault', (written, fault) => {
    expect(faultsOf(model(`model: ${written}`))).toEqual([fault]);
  });

  test('a name that tells no provider is a fault that names those it could be', () => {
    const [fault] = faultsOf(model('model: Qwen/Qwen3-8B'));
    expect(fault).toContain(
      `${AT}.model: no provider can be told from "Qwen/Qwen3-8B"; put one in front, like hosted_vllm/Qwen/Qwen3-8B, or give an api_base; known are vllm, openai, anthropic,`,
    );
  });

  test('an unknown custom_llm_provider is a fault with the nearest name', () => {
    expect(faultsOf(model('model: x', 'custom_llm_provider: gorq'))).toEqual([
      'config.yaml:5: model_list[0].litellm_params.custom_llm_provider: "gorq" is no provider known here; did you mean groq?',
    ]);
  });

  test.each([
    ['bedrock/anthropic.claude-v2', 'bedrock: it wants each request signed'],
    ['us.anthropic.claude-sonnet-4-5-20250929-v1:0', 'bedrock: it wants each request signed'],
    ['vertex_ai/gemini-pro', 'vertex_ai: it wants OAuth tokens of its own'],
    ['azure/my-deployment', 'azure: its addresses carry the deployment and an api-version'],
    ['sagemaker/x', 'sagemaker: it wants each request signed'],
  ])('%s is left out with a warning, and its other keys don’t matter', (written, why) => {
    const config = parsed(
      model(`model: ${written}`, 'api_key: os.environ/UNSET', 'aws_whatever: 1', 'no_such_key: 1'),
    );
    expect(config.deployments).toEqual([]);
    expect(config.warnings).toEqual([
      `config.yaml:2: model_list[0]: left out: this version doesn't serve models of ${why}`,
    ]);
  });

  test('a name with a wildcard is left out with a warning', () => {
    const text = 'model_list: [{model_name: "*", litellm_params: {model: "openai/*"}}]';
    expect(parsed(text).deployments).toEqual([]);
    expect(parsed(text).warnings).toEqual([
      'config.yaml:1: model_list[0]: left out: this version has no names with * in them; list each model',
    ]);
  });

  test('entries of one name are numbered, those left out not counted', () => {
    const entry = (name: string, of: string) =>
      `  - {model_name: ${name}, litellm_params: {model: ${of}, api_key: k}}\n`;
    const text = `model_list:\n${entry('a', 'openai/x')}${entry('a', 'azure/x')}${entry('b', 'groq/y')}${entry('a', 'groq/z')}`;
    expect(parsed(text).deployments.map(({ id }) => id)).toEqual(['a#0', 'b#0', 'a#1']);
  });
});

describe('api_base', () => {
  test.each([
    ['http://h:8000', 'http://h:8000'],
    ['http://h:8000/', 'http://h:8000'],
    ['http://h:8000/v1//', 'http://h:8000/v1'],
    ['HTTPS://Example.COM:443/a%2Fb', 'https://example.com/a%2Fb'],
    ['http://[::1]:8000', 'http://[::1]:8000'],
  ])('%s becomes %s', (written, apiBase) => {
    expect(parsed(model('model: hosted_vllm/x', `api_base: "${written}"`)).deployments[0]?.apiBase).toBe(
      apiBase,
    );
  });

  test.each([
    ['localhost:8090', 'not a URL: "localhost:8090"; did you mean http://localhost:8090?'],
    ['192.168.0.7:8000/v1', 'not a URL: "192.168.0.7:8000/v1"; did you mean http://192.168.0.7:8000/v1?'],
    ['gpu-1.internal', 'not a URL: "gpu-1.internal"; did you mean http://gpu-1.internal?'],
    ['api.openai.com/v1', 'not a URL: "api.openai.com/v1"; did you mean https://api.openai.com/v1?'],
    ['//h/v1', 'not a URL: "//h/v1"; did you mean http://h/v1?'],
    ['wss://h/v1', 'not a URL: "wss://h/v1"; did you mean https://h/v1?'],
    ['ftp://h/v1', 'not a URL: "ftp://h/v1"; it must begin with http:// or https://'],
    ['http:///v1', 'not a URL: "http:///v1"; it must begin with http:// or https://'],
    ['http://h:99999', 'not a URL: "http://h:99999"'],
    [
      'http://h/a b',
      'not a URL: "http://h/a b" has a character that must be percent-encoded (a space, perhaps)',
    ],
    ['http://h/é', 'not a URL: "http://h/é" has a character that must be percent-encoded (a space, perhaps)'],
    ['http://h/v1/../x', 'has "." or ".." as a segment of its path; write the path without'],
    ['http://h/%2e%2E/x', 'has "." or ".." as a segment of its path; write the path without'],
    ['http://h/v1?api-version=1', 'has a query (?…), but paths are added behind it; remove the query'],
    ['http://h/v1#x', 'has a fragment (#…), which no server ever sees; remove it'],
  ])('%s is a fault', (written, problem) => {
    expect(faultsOf(model('model: hosted_vllm/x', `api_base: "${written}"`))).toEqual([
      `config.yaml:5: model_list[0].litellm_params.api_base: ${problem}`,
    ]);
  });

  test('credentials in it are a fault that doesn’t show them', () => {
    const faults = faultsOf(model('model: hosted_vllm/x', 'api_base: http://user:hunter2@h/'));
    expect(faults).toEqual([
      'config.yaml:5: model_list[0].litellm_params.api_base: has credentials in it; put them into api_key',
    ]);
  });

  test('what a variable holds isn’t shown, even where it is no URL', () => {
    const faults = faultsOf(model('model: hosted_vllm/x', 'api_base: os.environ/BASE'), {
      BASE: 'sk-secret',
    });
    expect(faults).toEqual([
      'config.yaml:5: model_list[0].litellm_params.api_base: not a URL: "os.environ/BASE"; it must begin with http:// or https://',
    ]);
  });

  test('base_url is another name of it', () => {
    expect(parsed(model('model: hosted_vllm/x', 'base_url: http://h/')).deployments[0]?.apiBase).toBe(
      'http://h',
    );
  });

  test('a vLLM model without one is at HOSTED_VLLM_API_BASE', () => {
    expect(parsed(model('model: hosted_vllm/x'), VLLM_ENV).deployments[0]?.apiBase).toBe('http://vllm:8000');
  });

  test('a vLLM model without one, and without the variable, is a fault that says so', () => {
    expect(faultsOf(model('model: hosted_vllm/x'))).toEqual([
      `${AT}: has no api_base, and vllm has no address of its own; give one, or set HOSTED_VLLM_API_BASE or VLLM_API_BASE`,
    ]);
  });

  test('OPENAI_BASE_URL moves openai’s models', () => {
    const config = parsed(model('model: gpt-4o', 'api_key: k'), {
      OPENAI_BASE_URL: 'https://eu.api.openai.com/v1',
    });
    expect(config.deployments[0]?.apiBase).toBe('https://eu.api.openai.com/v1');
  });
});

describe('api_key', () => {
  const key = (text: string, env: Record<string, string>) => parsed(text, env).deployments[0]?.apiKey;

  test('is the file’s before the environment’s', () => {
    expect(key(model('model: gpt-4o', 'api_key: mine'), { OPENAI_API_KEY: 'env' })).toBe('mine');
    expect(
      key(model('model: gpt-4o', 'api_key: os.environ/MINE'), { OPENAI_API_KEY: 'env', MINE: 'x' }),
    ).toBe('x');
  });

  test('is the environment’s for the provider’s own address, in the variables’ order', () => {
    expect(key(model('model: gpt-4o'), { OPENAI_API_KEY: 'env' })).toBe('env');
    expect(key(model('model: cohere/x'), { CO_API_KEY: 'second', COHERE_API_KEY: '' })).toBe('second');
    expect(
      key(model('model: gpt-4o', 'api_base: https://api.openai.com/v2'), { OPENAI_API_KEY: 'env' }),
    ).toBe('env');
  });

  test('of the environment goes where the environment puts the provider', () => {
    const env = { OPENAI_API_KEY: 'env', OPENAI_API_BASE: 'http://proxy:1/v1' };
    expect(key(model('model: gpt-4o'), env)).toBe('env');
    expect(key(model('model: gpt-4o', 'api_base: http://proxy:1/other'), env)).toBe('env');
  });

  test('of the environment never goes to another address, and a warning says so', () => {
    const text = model('model: openai/x', 'api_base: http://elsewhere/v1');
    const config = parsed(text, { OPENAI_API_KEY: 'env' });
    expect(config.deployments[0]?.apiKey).toBeNull();
    expect(config.warnings).toEqual([
      "config.yaml:3: model_list[0].litellm_params: has no api_key, and OPENAI_API_KEY only goes to openai's own address; write api_key: os.environ/OPENAI_API_KEY to send it here",
    ]);
    expect(parsed(text).warnings).toEqual([]);
  });

  test('of vLLM is HOSTED_VLLM_API_KEY wherever the server is, since it has no public address', () => {
    const text = model('model: hosted_vllm/x', 'api_base: http://anywhere');
    expect(key(text, { HOSTED_VLLM_API_KEY: 'v' })).toBe('v');
    expect(key(text, { VLLM_API_KEY: 'w' })).toBe('w');
    expect(parsed(text).warnings).toEqual([]);
  });

  test('that is nowhere is a warning for a provider that wants one', () => {
    expect(parsed(model('model: gpt-4o')).warnings).toEqual([
      'config.yaml:3: model_list[0].litellm_params: has no api_key, and OPENAI_API_KEY is not set: openai will refuse it',
    ]);
    expect(parsed(model('model: ollama/x')).warnings).toEqual([]);
  });

  test('that no header can carry is a fault that doesn’t show it', () => {
    expect(faultsOf(model('model: gpt-4o', 'api_key: os.environ/K'), { K: 'sk-secret\n' })).toEqual([
      'config.yaml:5: model_list[0].litellm_params.api_key: has a line break, which no header can carry (a variable read from a file may end in one)',
    ]);
    expect(faultsOf(model('model: gpt-4o', 'api_key: [sk-secret]'))).toEqual([
      'config.yaml:5: model_list[0].litellm_params.api_key: must be a text (a number wants quotes)',
    ]);
  });
});

describe('the rest of an entry', () => {
  test('timeouts are seconds in the file and milliseconds here', () => {
    const text = model(
      'model: gpt-4o',
      'api_key: k',
      'timeout: 1.5',
      'stream_timeout: "30"',
      'connect_timeout: 0.0001',
    );
    expect(parsed(text).deployments[0]?.timeouts).toEqual({
      connectTimeoutMs: 1,
      firstByteTimeoutMs: 1_500,
      idleTimeoutMs: 30_000,
    });
  });

  test.each(['-1', '0', '.nan', '.inf', 'soon', '"1e400"', 'true', '[1]', '2147484', '"0x10"'])(
    'timeout: %s is a fault',
    (written) => {
      const faults = faultsOf(model('model: gpt-4o', `timeout: ${written}`));
      expect(faults).toHaveLength(1);
      expect(faults[0]).toContain(
        'config.yaml:5: model_list[0].litellm_params.timeout: must be a number of seconds above 0 and below 2,147,483, not ',
      );
    },
  );

  test('extra_headers are raw pairs, as written', () => {
    const text = model('model: gpt-4o', 'api_key: k', 'extra_headers: {X-One: 1, x-two: os.environ/TWO}');
    expect(parsed(text, { TWO: ' two ' }).deployments[0]?.headers).toEqual(['X-One', '1', 'x-two', 'two']);
  });

  test('prices come from litellm_params first, then from model_info, which is kept as it is', () => {
    const text = `${model('model: gpt-4o', 'api_key: k', 'input_cost_per_token: 1e-6', 'cost_per_request: "0.5"')}
    model_info: {id: abc, mode: chat, input_cost_per_token: 9, output_cost_per_token: 0.000002, note: os.environ/NOTE}`;
    const [deployment] = parsed(text).deployments;
    expect(deployment?.prices).toEqual({
      cost_per_request: 0.5,
      input_cost_per_token: 0.000001,
      output_cost_per_token: 0.000002,
    });
    expect(deployment?.modelInfo).toEqual({
      id: 'abc',
      mode: 'chat',
      input_cost_per_token: 9,
      output_cost_per_token: 0.000002,
      note: 'os.environ/NOTE',
    });
  });

  test('a negative price is a fault, wherever it stands', () => {
    const text = `${model('model: gpt-4o', 'output_cost_per_token: -1')}
    model_info: {input_cost_per_token: free}`;
    expect(faultsOf(text)).toEqual([
      'config.yaml:5: model_list[0].litellm_params.output_cost_per_token: must be an amount in US dollars, 0 or more, not -1',
      'config.yaml:6: model_list[0].model_info.input_cost_per_token: must be an amount in US dollars, 0 or more, not "free"',
    ]);
  });

  test('a key that LiteLLM knows is one warning, however many entries have it', () => {
    const entry = '  - {model_name: m, litellm_params: {model: gpt-4o, api_key: k, rpm: 5}}\n';
    expect(parsed(`model_list:\n${entry.repeat(2)}`).warnings).toEqual([
      'config.yaml:2: model_list[0].litellm_params.rpm: known, but not acted on by this version (also on line 3)',
    ]);
    expect(parsed(`model_list:\n${entry.repeat(9)}`).warnings).toEqual([
      'config.yaml:2: model_list[0].litellm_params.rpm: known, but not acted on by this version (also on line 3, 4, 5, 6, 7 and 3 more)',
    ]);
  });

  test.each([
    ['temperature: 0.2'],
    ['max_retries: 3'],
    ['aws_region_name: eu-west-1'],
    ['vertex_project: p'],
    ['drop_params: true', ': request bodies are relayed as they come'],
  ])('%s is known and warned of', (line, hint = '') => {
    const key = line.slice(0, line.indexOf(':'));
    expect(parsed(model('model: gpt-4o', 'api_key: k', line)).warnings).toEqual([
      `config.yaml:6: model_list[0].litellm_params.${key}: known, but not acted on by this version${hint}`,
    ]);
  });

  test.each([
    ['api_bse: http://h', 'api_bse: unknown key; did you mean api_base?'],
    ['apiBase: http://h', 'apiBase: unknown key; did you mean api_base?'],
    ['temprature: 1', 'temprature: unknown key; did you mean temperature?'],
    ['input_cost_per_tokn: 1', 'input_cost_per_tokn: unknown key; did you mean input_cost_per_token?'],
  ])('%s is unknown, with the nearest name', (line, fault) => {
    expect(faultsOf(model('model: gpt-4o', 'api_key: k', line))).toEqual([
      `config.yaml:6: model_list[0].litellm_params.${fault}`,
    ]);
  });

  test.each([
    ['model_list: {a: b}', 'config.yaml:1: model_list: must be a list of models, not a mapping'],
    [
      'model_list: [gpt-4o]',
      'config.yaml:1: model_list[0]: must be a mapping with model_name and litellm_params, not "gpt-4o"',
    ],
    [
      'model_list: [{model_name: a}]',
      'config.yaml:1: model_list[0]: has no litellm_params (or remodl_params, dheera_ai_params, params)',
    ],
    [
      'model_list: [{model_name: a, litelm_params: {model: gpt-4o}}]',
      'config.yaml:1: model_list[0].litelm_params: unknown key; did you mean litellm_params?',
    ],
    [
      'model_list: [{model_name: a, litellm_params: }]',
      'config.yaml:1: model_list[0].litellm_params: must be a mapping with at least model, not nothing',
    ],
    [
      'model_list: [{model_name: a, params: {api_key: k}}]',
      'config.yaml:1: model_list[0].params: has no model',
    ],
    ['model_list: [{params: {model: gpt-4o}}]', 'config.yaml:1: model_list[0]: has no model_name'],
    [
      'model_list: [{model_name: a, params: {model: gpt-4o}, remodl_params: {model: gpt-4o}}]',
      'config.yaml:1: model_list[0].remodl_params: says the same as params; keep one of them',
    ],
    [
      'model_list: [{model_name: a, model_info: x, params: {model: gpt-4o}}]',
      'config.yaml:1: model_list[0].model_info: must be a mapping, not "x"',
    ],
  ])('%s is a fault', (text, fault) => {
    expect(faultsOf(text)).toEqual([fault]);
  });

  test('no model_list, or an empty one, is none', () => {
    for (const text of ['general_settings: {}', 'model_list:', 'model_list: []']) {
      expect(parsed(text).deployments).toEqual([]);
    }
  });
});
