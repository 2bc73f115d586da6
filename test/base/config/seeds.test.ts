import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parsed } from './parsed.ts';

const EXAMPLES = new URL('../../../examples/', import.meta.url);

/** The configuration files of the documents that the project started from, to the letter. */
const QUICKSTART = (params: string) => `model_list:
  - model_name: roberta-base-language-detection
    ${params}:
      model: hosted_vllm/papluca/xlm-roberta-base-language-detection
      api_base: http://localhost:8090
`;

const MY_VLLM_MODEL = `model_list:
  - model_name: "my-vllm-model"
    dheera_ai_params:
      model: hosted_vllm/vllm-1.72
      api_base: https://my-vllm-server.com
`;

const RERANK = `general_settings:
  master_key: sk-1234
  pass_through_endpoints:
    - path: "/v1/rerank"                                  # route you want to add to LiteLLM Proxy Server
      target: "https://api.cohere.com/v1/rerank"          # URL this route should forward requests to
      headers:                                            # headers to forward to this URL
        Authorization: "bearer os.environ/COHERE_API_KEY" # (Optional) Auth Header to forward to your Endpoint
        content-type: application/json                    # (Optional) Extra Headers to pass to this endpoint 
        accept: application/json
      forward_headers: True                      # (Optional) Forward all headers from the incoming request to the target endpoint
`;

const RERANK_AUTH = `general_settings:
  master_key: sk-1234
  pass_through_endpoints:
    - path: "/v1/rerank"
      target: "https://api.cohere.com/v1/rerank"
      auth: true # 👈 Key change to use LiteLLM Auth / Keys
      headers:
        Authorization: "bearer os.environ/COHERE_API_KEY"
        content-type: application/json
        accept: application/json
`;

const RERANK_SPEC = `general_settings:
  pass_through_endpoints:
    - path: "/v1/rerank"                                  # route you want to add to LiteLLM Proxy Server
      target: "https://api.cohere.com/v1/rerank"          # URL this route should forward requests to
      headers:                                            # headers to forward to this URL
        Authorization: "bearer os.environ/COHERE_API_KEY" # (Optional) Auth Header to forward to your Endpoint
        content-type: application/json                    # (Optional) Extra Headers to pass to this endpoint 
        accept: application/json
`;

const ADAPTER = `model_list:
  - model_name: my-fake-claude-endpoint
    litellm_params:
      model: gpt-3.5-turbo
      api_key: os.environ/OPENAI_API_KEY


general_settings:
  master_key: sk-1234
  pass_through_endpoints:
    - path: "/v1/messages"                 # route you want to add to LiteLLM Proxy Server
      target: custom_callbacks.anthropic_adapter          # Adapter to use for this route
      headers:
        litellm_user_api_key: "x-api-key" # Field in headers, containing LiteLLM Key
`;

const TIMEOUTS = { connectTimeoutMs: 5_000, firstByteTimeoutMs: 600_000, idleTimeoutMs: 600_000 };
const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'];
const ENV = { COHERE_API_KEY: 'co-key', OPENAI_API_KEY: 'sk-openai' };

describe('the documents’ configurations', () => {
  test.each(['remodl_params', 'litellm_params', 'dheera_ai_params', 'params'])(
    'the quickstart parses in the dialect %s',
    (params) => {
      const config = parsed(QUICKSTART(params));
      expect(config.deployments).toEqual([
        {
          id: 'roberta-base-language-detection#0',
          modelName: 'roberta-base-language-detection',
          provider: 'vllm',
          upstreamModel: 'papluca/xlm-roberta-base-language-detection',
          apiBase: 'http://localhost:8090',
          apiKey: null,
          headers: [],
          timeouts: TIMEOUTS,
          prices: {},
          modelInfo: {},
        },
      ]);
      expect(config.warnings).toEqual([]);
    },
  );

  test('the vLLM page’s model is served by its server', () => {
    const [deployment] = parsed(MY_VLLM_MODEL).deployments;
    expect(deployment).toMatchObject({
      modelName: 'my-vllm-model',
      provider: 'vllm',
      upstreamModel: 'vllm-1.72',
      apiBase: 'https://my-vllm-server.com',
    });
  });

  test('the vLLM page’s environment, exported empty, configures nothing', () => {
    const config = parsed(MY_VLLM_MODEL, {
      DATABASE_URL: '',
      DHEERA_AI_MASTER_KEY: '',
      HOSTED_VLLM_API_BASE: '',
    });
    expect(config.masterKey).toBeNull();
    expect(config.providerTargets.has('vllm')).toBe(false);
    expect(config.warnings).toEqual([]);
  });

  test('the tutorial’s route forwards to Cohere with the key of the environment', () => {
    const config = parsed(RERANK, ENV);
    expect(config.masterKey).toBe('sk-1234');
    expect(config.routes).toEqual([
      {
        path: '/v1/rerank',
        target: { kind: 'url', url: 'https://api.cohere.com/v1/rerank' },
        includeSubpath: false,
        methods: METHODS,
        headers: [
          'Authorization',
          'bearer co-key',
          'content-type',
          'application/json',
          'accept',
          'application/json',
        ],
        forwardHeaders: true,
        auth: false,
        keyHeader: null,
        defaultQueryParams: {},
        costPerRequest: null,
        timeouts: TIMEOUTS,
        guarded: false,
        line: 4,
      },
    ]);
    expect(config.warnings).toEqual([
      'config.yaml:4: pass_through_endpoints[0]: /v1/rerank is open to anyone who can reach the port; auth: true asks for a key',
    ]);
  });

  test('auth: true asks for a key, and there is nothing to warn of', () => {
    const config = parsed(RERANK_AUTH, ENV);
    expect(config.routes[0]).toMatchObject({ auth: true, forwardHeaders: false });
    expect(config.warnings).toEqual([]);
  });

  test('the spec’s example parses without a master key', () => {
    const config = parsed(RERANK_SPEC, ENV);
    expect(config.masterKey).toBeNull();
    expect(config.warnings).toEqual([]);
  });

  test('the adapter’s route is known, asks for the key in x-api-key, and warns that it isn’t served yet', () => {
    const config = parsed(ADAPTER, ENV);
    expect(config.deployments[0]).toMatchObject({
      provider: 'openai',
      upstreamModel: 'gpt-3.5-turbo',
      apiBase: 'https://api.openai.com/v1',
      apiKey: 'sk-openai',
    });
    expect(config.routes[0]).toMatchObject({
      path: '/v1/messages',
      target: { kind: 'adapter', name: 'custom_callbacks.anthropic_adapter' },
      includeSubpath: false,
      headers: [],
      auth: true,
      keyHeader: 'x-api-key',
    });
    expect(config.warnings).toEqual([
      'config.yaml:12: pass_through_endpoints[0].target: adapters are not served by this version yet: requests to /v1/messages get 501',
    ]);
  });
});

describe('examples/', () => {
  const env = {
    ANTHROPIC_API_KEY: 'a',
    BRIA_API_TOKEN: 'b',
    COHERE_API_KEY: 'c',
    HOSTED_VLLM_API_KEY: 'd',
    MISTRAL_API_KEY: 'e',
    OPENAI_API_KEY: 'f',
    SLUICE_MASTER_KEY: 'sk-1234',
  };
  const read = (name: string) => readFileSync(new URL(name, EXAMPLES), 'utf8');
  const names = readdirSync(EXAMPLES).filter((name) => name.endsWith('.yaml'));

  test('has a file for each thing that the documents show', () => {
    const shown = ['bria', 'providers', 'quickstart', 'rerank', 'rerank-auth', 'vllm'];
    expect(names).toEqual(expect.arrayContaining(shown.map((name) => `${name}.yaml`)));
  });

  test.each(names)('%s parses', (name) => {
    expect(() => parsed(read(name), env)).not.toThrow();
  });

  test('quickstart.yaml configures what the documents’ quickstart does', () => {
    expect(parsed(read('quickstart.yaml'))).toEqual(parsed(QUICKSTART('litellm_params')));
  });

  test('bria.yaml takes everything below its path, for a price', () => {
    expect(parsed(read('bria.yaml'), env).routes[0]).toMatchObject({
      path: '/bria',
      target: { kind: 'url', url: 'https://engine.prod.bria-api.com' },
      includeSubpath: true,
      headers: ['api_token', 'b'],
      auth: true,
      costPerRequest: 0.04,
    });
  });

  test('providers.yaml serves every model, without a warning', () => {
    const config = parsed(read('providers.yaml'), env);
    expect(config.deployments.map(({ id, provider, apiBase }) => [id, provider, apiBase])).toEqual([
      ['qwen#0', 'vllm', 'http://gpu-1.internal:8000'],
      ['qwen#1', 'vllm', 'http://gpu-2.internal:8000'],
      ['gpt-4o#0', 'openai', 'https://api.openai.com/v1'],
      ['claude#0', 'anthropic', 'https://api.anthropic.com'],
      ['rerank#0', 'cohere', 'https://api.cohere.com'],
      ['mistral-small#0', 'mistral', 'https://api.mistral.ai/v1'],
      ['local#0', 'openai', 'http://localhost:9000/v1'],
    ]);
    expect(config.warnings).toEqual([]);
  });
});
