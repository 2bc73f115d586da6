import type { BodySpec, Exchange, RequestSpec } from '../exchange.ts';

const JSON_TYPE = 'content-type: application/json';
const BOUNDARY = 'd74496d66958873e';

const post = (path: string, body: object | BodySpec, more: Partial<RequestSpec> = {}): RequestSpec => ({
  path,
  fields: [JSON_TYPE, 'accept: */*', 'user-agent: OpenAI/Python 2.8.1'],
  body:
    typeof body === 'object' && !Buffer.isBuffer(body) && !('chunks' in body) ? JSON.stringify(body) : body,
  ...more,
});

const serves = (path: string, body: object): Exchange => ({
  name: `POST ${path}`,
  why: 'an endpoint of vLLM',
  request: post(path, { model: '{model}', ...body }),
});

const streams = (path: string, body: object): Exchange => ({
  name: `POST ${path}, streamed`,
  why: 'server-sent events, to the byte',
  request: post(path, { model: '{model}', ...body, stream: true, stream_options: { include_usage: true } }),
});

const hears = (path: string, more: readonly (readonly [string, string])[] = []): Exchange => {
  const part = (name: string, value: string): string[] => [
    `--${BOUNDARY}`,
    `Content-Disposition: form-data; name="${name}"`,
    '',
    value,
  ];
  const body = [
    ...more.flatMap(([name, value]) => part(name, value)),
    `--${BOUNDARY}`,
    'Content-Disposition: form-data; name="file"; filename="speech.wav"',
    'Content-Type: audio/wav',
    '',
    `RIFF${'\0'.repeat(3_000)}`,
    ...part('model', '{model}'),
    `--${BOUNDARY}--`,
    '',
  ].join('\r\n');
  return {
    name: `POST ${path}${more.map((field) => `, ${field.join('=')}`).join('')}`,
    why: 'a multipart form whose model is a field',
    request: post(path, body, { fields: [`Content-Type: multipart/form-data; boundary=${BOUNDARY}`] }),
  };
};

const gets = (path: string, not?: Exchange['not']): Exchange => ({
  name: `GET ${path}`,
  why: 'an endpoint of vLLM without a body',
  request: { path },
  ...(not !== undefined && { not }),
});

/** An administrative endpoint; the gateway asks for the master key, which each way but the operator's sends. */
const administers = (request: RequestSpec, before: readonly RequestSpec[] = []): Exchange => ({
  name: `${request.method ?? (request.body === undefined ? 'GET' : 'POST')} ${request.path}`,
  why: 'an administrative endpoint',
  request,
  before,
});

const fails = (name: string, request: RequestSpec, more: Partial<Exchange> = {}): Exchange => ({
  name,
  why: 'vLLM’s own errors pass as they are',
  request,
  ...more,
});

const emptyPost = (path: string): RequestSpec => ({ method: 'POST', path });
const messages = [{ role: 'user', content: 'What is the capital of France? \u00c4\u{1f600}' }];
const background = post(
  '/v1/responses',
  { input: 'hi', background: true },
  { fields: [JSON_TYPE, 'x-request-id: later', 'x-sim-interval-ms: 60000'] },
);
const stored = post('/v1/responses', { input: 'hi' }, { fields: [JSON_TYPE, 'x-request-id: stored'] });
const adapter = { lora_name: 'sql', lora_path: '/adapters/sql' };
const LISTS_ITSELF = { v1: 'the gateway lists what the caller may use' };

/** Every endpoint of VLLM.md, each with a request that it answers. */
export const VLLM: readonly Exchange[] = [
  serves('/v1/chat/completions', { messages, n: 2 }),
  streams('/v1/chat/completions', { messages }),
  serves('/v1/chat/completions/batch', { messages: [messages, messages] }),
  serves('/v1/completions', { prompt: ['a', 'b'], max_tokens: 5 }),
  streams('/v1/completions', { prompt: 'a' }),
  serves('/v1/responses', { input: 'hi' }),
  streams('/v1/responses', { input: 'hi' }),
  { ...gets('/v1/responses/resp_stored'), before: [stored] },
  {
    name: 'POST /v1/responses/{id}/cancel',
    why: 'a POST without a body',
    request: emptyPost('/v1/responses/resp_later/cancel'),
    before: [background],
  },
  serves('/v1/messages', { messages, max_tokens: 10 }),
  streams('/v1/messages', { messages, max_tokens: 10 }),
  serves('/v1/messages/count_tokens', { messages }),
  hears('/v1/audio/transcriptions'),
  hears('/v1/audio/transcriptions', [['response_format', 'verbose_json']]),
  hears('/v1/audio/transcriptions', [['stream', 'true']]),
  hears('/v1/audio/translations'),
  serves('/inference/v1/generate', { token_ids: [1, 2, 3], sampling_params: { max_tokens: 3 } }),
  streams('/inference/v1/generate', { token_ids: [1, 2, 3], sampling_params: {} }),
  serves('/v1/embeddings', { input: ['a', 'b'], dimensions: 8 }),
  serves('/v2/embed', { texts: ['a', 'b'], output_dimension: 8 }),
  serves('/pooling', { input: 'a', dimensions: 8 }),
  serves('/classify', { input: ['Hello, world!', 'Hallo, Welt!'] }),
  ...['/score', '/v1/score'].map((path) => serves(path, { text_1: 'a', text_2: ['a', 'b'] })),
  ...['/rerank', '/v1/rerank', '/v2/rerank'].map((path) =>
    serves(path, { query: 'a', documents: ['a', 'b'], top_n: 1 }),
  ),
  serves('/generative_scoring', { query: 'a', items: ['a'], label_token_ids: [1] }),
  serves('/tokenize', { prompt: 'gr\u00fc\u00df dich' }),
  serves('/detokenize', { tokens: [104, 105] }),
  serves('/invocations', { messages }),
  gets('/v1/models', LISTS_ITSELF),
  ...['/health', '/ping', '/version', '/load', '/metrics', '/tokenizer_info', '/docs'].map((path) =>
    gets(path),
  ),
  { name: 'POST /ping', why: 'SageMaker asks so', request: emptyPost('/ping') },
  {
    name: 'HEAD /metrics',
    why: 'vLLM refuses it with 405 and Allow',
    request: { method: 'HEAD', path: '/metrics' },
  },

  administers(post('/abort_requests', { request_ids: [] })),
  administers(post('/v1/load_lora_adapter', { ...adapter, load_inplace: true })),
  administers(post('/v1/unload_lora_adapter', { lora_name: 'sql' }), [
    post('/v1/load_lora_adapter', { ...adapter, load_inplace: true }),
  ]),
  administers(emptyPost('/start_profile')),
  administers(emptyPost('/stop_profile')),
  administers(post('/scale_elastic_ep', { new_data_parallel_size: 2 })),
  administers(emptyPost('/is_scaling_elastic_ep')),
  administers(emptyPost('/sleep?level=1&mode=abort')),
  administers({ path: '/is_sleeping' }),
  administers(emptyPost('/wake_up?tags=weights&tags=kv_cache')),
  administers(emptyPost('/pause?mode=keep')),
  administers({ path: '/is_paused' }),
  administers(emptyPost('/resume')),
  administers(emptyPost('/reset_prefix_cache')),
  administers(emptyPost('/reset_mm_cache')),
  administers(emptyPost('/reset_encoder_cache')),
  administers(post('/collective_rpc', { method: 'x', args: [] })),
  administers({ path: '/server_info?config_format=json' }),
  administers(post('/init_weight_transfer_engine', {})),
  administers(post('/start_weight_update', {})),
  administers(post('/update_weights', {})),
  administers(emptyPost('/finish_weight_update')),
  administers({ path: '/get_world_size' }),

  fails('an unknown model', post('/v1/chat/completions', { model: 'nobody-serves-this', messages })),
  fails('a missing member', post('/v1/chat/completions', { model: '{model}' })),
  fails('JSON that is none', post('/classify', '{"input": "x"')),
  fails('another media type', post('/classify', '{"input": "x"}', { fields: ['content-type: text/plain'] })),
  fails(
    'an error in the Messages API’s own shape',
    post('/v1/messages', { model: 'nobody-serves-this', messages, max_tokens: 1 }),
  ),
  fails('a path that does not exist', { path: '/v1/nothing?here' }),
  fails('a method that does not exist', {
    method: 'PUT',
    path: '/classify',
    fields: [JSON_TYPE],
    body: '{}',
  }),
  fails(
    'a slash too many',
    { path: '/version/?x=%2F' },
    { why: 'FastAPI redirects to the host that was asked for' },
  ),
  ...[400, 422, 429, 500, 503].map((status) =>
    fails(
      `status ${status}`,
      post(
        '/v1/completions',
        { model: '{model}', prompt: 'a' },
        { fields: [JSON_TYPE, `x-sim-fault: status:${status}`] },
      ),
    ),
  ),
  fails(
    'a CORS preflight',
    {
      method: 'OPTIONS',
      path: '/v1/chat/completions',
      fields: [
        'Origin: http://a',
        'Access-Control-Request-Method: POST',
        'Access-Control-Request-Headers: authorization, x-b',
      ],
    },
    { why: 'vLLM answers it, not the gateway' },
  ),
];
