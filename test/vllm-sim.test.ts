import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { startVllmSim, type VllmSim } from './vllm-sim/index.ts';
import { eventsOf, getJson, post } from './vllm-sim/testing/client.ts';

let sim: VllmSim;

beforeAll(async () => {
  sim = await startVllmSim({ chunkIntervalMs: 0 });
});

afterAll(async () => {
  await sim.close();
});

const question = { messages: [{ role: 'user', content: 'What is the capital of France?' }] };

describe('chat completions', () => {
  test('answers with the message, the served model and usage', async () => {
    const { status, headers, json } = await post(`${sim.url}/v1/chat/completions`, {
      ...question,
      model: 'qwen2.5-7b-instruct',
    });
    expect(status).toBe(200);
    expect(headers.get('content-type')).toBe('application/json');
    expect(json()).toMatchObject({
      id: expect.stringMatching(/^chatcmpl-[0-9a-f]{32}$/),
      object: 'chat.completion',
      created: expect.any(Number),
      model: 'qwen2.5-7b-instruct',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: 'The capital of France is Paris.' },
          finish_reason: 'stop',
        },
      ],
      usage: { prompt_tokens: 12, total_tokens: 24, completion_tokens: 12 },
    });
  });

  test('streams the same words in chunks, usage only when asked, and says that it is done', async () => {
    const body = { ...question, stream: true, stream_options: { include_usage: true } };
    const { headers, text } = await post(`${sim.url}/v1/chat/completions`, body);
    expect(headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    const events = eventsOf(text);
    expect(events.at(-1)).toBe('[DONE]');
    expect(events.at(-2)).toMatchObject({ choices: [], usage: { completion_tokens: 12 } });
    const choices = events.slice(0, -2).map((event) => event.choices[0]);
    expect(choices[0].delta).toEqual({ role: 'assistant', content: '' });
    expect(choices.map((choice) => choice.delta.content).join('')).toBe('The capital of France is Paris.');
    expect(choices.at(-1).finish_reason).toBe('stop');
    const without = eventsOf(
      (await post(`${sim.url}/v1/chat/completions`, { ...question, stream: true })).text,
    );
    expect(without.some((event) => event.usage !== undefined)).toBe(false);
  });

  test('is served without /v1 too, and takes the trailing comma of the documented command', async () => {
    const body = `{
      "messages": [{"role": "user", "content": "I am going to Paris, what should I see?"}],
      "max_tokens": 2048, "temperature": 0.8, "top_p": 0.1, "model": "qwen2.5-7b-instruct",
    }`;
    const { status, json } = await post(`${sim.url}/chat/completions`, body);
    expect(status).toBe(200);
    expect(json().choices[0].message.content).toContain('Eiffel Tower');
  });

  test('makes exactly as many tokens as ignore_eos and max_tokens ask for', async () => {
    const body = { ...question, stream: true, ignore_eos: true, max_tokens: 100 };
    const events = eventsOf((await post(`${sim.url}/v1/chat/completions`, body)).text);
    expect(events.filter((event) => event.choices?.[0]?.delta.content)).toHaveLength(100);
    expect(events.at(-2).choices[0].finish_reason).toBe('length');
  });

  test('gives one choice for each conversation of a batch, and n of one', async () => {
    const batch = { messages: [question.messages, [{ role: 'user', content: 'hi' }]] };
    const { choices } = (await post(`${sim.url}/v1/chat/completions/batch`, batch)).json();
    expect(choices.map((choice: { message: { content: string } }) => choice.message.content)).toEqual([
      'The capital of France is Paris.',
      'Hello! How can I help you today?',
    ]);
    const several = (await post(`${sim.url}/v1/chat/completions`, { ...question, n: 3 })).json();
    expect(several.choices.map((choice: { index: number }) => choice.index)).toEqual([0, 1, 2]);
  });

  test('takes the answer’s id from x-request-id, as vLLM does', async () => {
    const { json } = await post(`${sim.url}/v1/chat/completions`, question, { 'x-request-id': 'abc' });
    expect(json().id).toBe('chatcmpl-abc');
  });
});

describe('the other generating endpoints', () => {
  test('completes several prompts, plain and streamed', async () => {
    const body = { prompt: ['What is the capital of France?', 'x'], max_tokens: 5 };
    const answer = (await post(`${sim.url}/v1/completions`, body)).json();
    expect(answer).toMatchObject({ object: 'text_completion', id: expect.stringMatching(/^cmpl-/) });
    expect(answer.choices).toMatchObject([
      { index: 0, text: 'The capital of', finish_reason: 'length' },
      { index: 1, text: 'You said: x' },
    ]);
    const events = eventsOf((await post(`${sim.url}/v1/completions`, { ...body, stream: true })).text);
    const first = events.filter((event) => event.choices?.[0]?.index === 0);
    expect(first.map((event) => event.choices[0].text).join('')).toBe('The capital of');
    expect(events.at(-1)).toBe('[DONE]');
  });

  test('speaks the Messages API: answers, named events, token counts and its own error shape', async () => {
    const body = { ...question, model: 'vllm-1.72', max_tokens: 100 };
    const answer = (await post(`${sim.url}/v1/messages`, body)).json();
    expect(answer).toMatchObject({
      type: 'message',
      role: 'assistant',
      content: [{ type: 'text', text: 'The capital of France is Paris.' }],
      stop_reason: 'end_turn',
      usage: { input_tokens: 12, output_tokens: 12 },
    });
    const { text } = await post(`${sim.url}/v1/messages`, { ...body, stream: true });
    expect([...new Set(text.match(/(?<=^event: ).*$/gm))]).toEqual([
      'message_start',
      'content_block_start',
      'content_block_delta',
      'content_block_stop',
      'message_delta',
      'message_stop',
    ]);
    const counted = (await post(`${sim.url}/v1/messages/count_tokens`, body)).json();
    expect(counted.input_tokens).toBe(12);
    const wrong = await post(`${sim.url}/v1/messages`, { ...body, model: 'nope' });
    expect([wrong.status, wrong.json()]).toEqual([
      404,
      { type: 'error', error: { type: 'NotFoundError', message: 'The model `nope` does not exist.' } },
    ]);
  });

  test('keeps responses to be asked for, streams them, and cancels those in the background', async () => {
    const made = (await post(`${sim.url}/v1/responses`, { input: 'hi' })).json();
    expect(made).toMatchObject({ object: 'response', status: 'completed' });
    expect(made.output[0].content[0].text).toBe('Hello! How can I help you today?');
    expect(await (await fetch(`${sim.url}/v1/responses/${made.id}`)).json()).toEqual(made);
    expect((await fetch(`${sim.url}/v1/responses/resp_nope`)).status).toBe(404);
    const streamed = eventsOf((await post(`${sim.url}/v1/responses`, { input: 'hi', stream: true })).text);
    expect(streamed.map((event) => event.sequence_number)).toEqual(streamed.map((_, index) => index));
    expect(streamed.at(-1)).toMatchObject({ type: 'response.completed', response: { status: 'completed' } });
    const slow = { input: 'hi', background: true };
    const queued = (await post(`${sim.url}/v1/responses`, slow, { 'x-sim-interval-ms': '10000' })).json();
    expect(queued.status).toBe('queued');
    const cancelled = await post(`${sim.url}/v1/responses/${queued.id}/cancel`, '');
    expect(cancelled.json().status).toBe('cancelled');
  });

  test('transcribes and translates the file of a multipart form, streamed or not', async () => {
    const form = new FormData();
    form.set('file', new Blob([Buffer.alloc(64_000)]), 'speech.wav');
    form.set('model', 'openai/whisper-small');
    const send = async (task: string) =>
      (await fetch(`${sim.url}/v1/audio/${task}`, { method: 'POST', body: form })).text();
    expect(JSON.parse(await send('transcriptions'))).toEqual({
      text: 'Transcription of speech.wav, 64000 bytes.',
      usage: { type: 'duration', seconds: 2 },
    });
    expect(JSON.parse(await send('translations')).text).toBe('Translation of speech.wav, 64000 bytes.');
    form.set('response_format', 'verbose_json');
    expect(JSON.parse(await send('transcriptions'))).toMatchObject({ duration: '2', language: 'en' });
    form.set('stream', 'true');
    const events = eventsOf(await send('transcriptions'));
    expect(events[0]).toMatchObject({ object: 'transcription.chunk', id: expect.stringMatching(/^trsc-/) });
    expect(events.at(-1)).toBe('[DONE]');
    form.set('model', 'nope');
    expect(JSON.parse(await send('transcriptions')).error.type).toBe('NotFoundError');
  });

  test('turns tokens into tokens, and scores items behind a query', async () => {
    const { tokens } = (
      await post(`${sim.url}/tokenize`, { prompt: 'What is the capital of France?' })
    ).json();
    const asked = { token_ids: tokens, sampling_params: { max_tokens: 50 } };
    const made = (await post(`${sim.url}/inference/v1/generate`, asked)).json();
    const said = (await post(`${sim.url}/detokenize`, { tokens: made.choices[0].token_ids })).json();
    expect(said).toEqual({ prompt: 'The capital of France is Paris.' });
    const events = eventsOf(
      (await post(`${sim.url}/inference/v1/generate`, { ...asked, stream: true })).text,
    );
    expect(events.slice(0, -1).flatMap((event) => event.choices[0].token_ids)).toEqual(
      made.choices[0].token_ids,
    );
    const scoring = {
      query: 'capital of France',
      items: ['Paris is the capital of France', 'x'],
      label_token_ids: [1],
    };
    const { data } = (await post(`${sim.url}/generative_scoring`, scoring)).json();
    expect(data[0].score).toBeGreaterThan(data[1].score);
  });

  test('finds out what is meant by an invocation', async () => {
    const chat = (await post(`${sim.url}/invocations`, question)).json();
    const rerank = (await post(`${sim.url}/invocations`, { query: 'a', documents: ['b'] })).json();
    expect([chat.object, rerank.results.length]).toEqual(['chat.completion', 1]);
  });
});

describe('tokens, embeddings, models', () => {
  test('detokenizes what it tokenized, whatever the text', async () => {
    for (const prompt of ['Hello, world!', '  two  spaces\n\n', '日本語 🎉 né', 'Zwölf Boxkämpfer']) {
      const tokenized = (await post(`${sim.url}/tokenize`, { prompt, return_token_strs: true })).json();
      expect(tokenized.tokens).toHaveLength(tokenized.count);
      expect(tokenized.token_strs).toHaveLength(tokenized.count);
      const back = (await post(`${sim.url}/detokenize`, { tokens: tokenized.tokens })).json();
      expect(back.prompt).toBe(prompt);
    }
  });

  test('embeds alike what has words in common, as numbers and as base64', async () => {
    const input = ['a cat sat on the mat', 'the cat sat', 'stock markets fell'];
    const { data } = (await post(`${sim.url}/v1/embeddings`, { input, dimensions: 64 })).json();
    const [one, other, third] = data.map((entry: { embedding: number[] }) => entry.embedding);
    const cosine = (a: number[], b: number[]) => a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);
    expect(one).toHaveLength(64);
    expect(cosine(one, other)).toBeGreaterThan(cosine(one, third) + 0.3);
    const coded = (
      await post(`${sim.url}/v1/embeddings`, { input, dimensions: 64, encoding_format: 'base64' })
    ).json();
    expect(Buffer.from(coded.data[0].embedding, 'base64').readFloatLE(4)).toBeCloseTo(one[1], 6);
    const cohere = (await post(`${sim.url}/v2/embed`, { texts: input, output_dimension: 8 })).json();
    expect(cohere.embeddings.float.map((vector: number[]) => vector.length)).toEqual([8, 8, 8]);
    const pooled = (await post(`${sim.url}/pooling`, { input: 'x' })).json();
    expect(pooled.data[0]).toMatchObject({ object: 'pooling', data: expect.any(Array) });
  });

  test('lists its models, and serves a LoRA adapter from its loading to its unloading', async () => {
    const names = async () =>
      (await getJson(`${sim.url}/v1/models`)).data.map((card: { id: string }) => card.id);
    expect(await names()).toContain('papluca/xlm-roberta-base-language-detection');
    const loaded = await post(`${sim.url}/v1/load_lora_adapter`, { lora_name: 'fine', lora_path: '/a' });
    expect(loaded.text).toBe("Success: LoRA adapter 'fine' added successfully.");
    expect(await names()).toContain('fine');
    expect((await post(`${sim.url}/v1/completions`, { model: 'fine', prompt: 'x' })).json().model).toBe(
      'fine',
    );
    await post(`${sim.url}/v1/unload_lora_adapter`, { lora_name: 'fine' });
    expect((await post(`${sim.url}/v1/completions`, { model: 'fine', prompt: 'x' })).status).toBe(404);
  });
});

describe('status and errors', () => {
  test('answers health, ping, version, docs, load and metrics', async () => {
    const get = async (path: string) => (await fetch(sim.url + path)).text();
    expect([await get('/health'), await get('/ping')]).toEqual(['', '']);
    expect(JSON.parse(await get('/version'))).toEqual({ version: '0.32.0' });
    expect(JSON.parse(await get('/load'))).toEqual({ server_load: 0 });
    expect(await get('/docs')).toContain('Swagger UI');
    const page = await get('/metrics');
    for (const name of [
      'num_requests_running',
      'num_requests_waiting',
      'kv_cache_usage_perc',
      'prefix_cache_hits',
    ])
      expect(page).toMatch(
        new RegExp(`^vllm:${name}(_total)?\\{engine="0",model_name="papluca/.*"\\} [\\d.]+$`, 'm'),
      );
  });

  test('shows in the metrics what a test pretends', async () => {
    sim.pretendLoad({ waiting: 12, kvCacheUsage: 0.5 });
    const page = await (await fetch(`${sim.url}/metrics`)).text();
    sim.pretendLoad({});
    expect(page).toMatch(/^vllm:num_requests_waiting\{.*\} 12\.0$/m);
    expect(page).toMatch(/^vllm:kv_cache_usage_perc\{.*\} 0\.5$/m);
  });

  test('words its errors as vLLM does', async () => {
    const unknown = await post(`${sim.url}/classify`, { model: 'x', input: 'y' });
    expect([unknown.status, unknown.json()]).toEqual([
      404,
      {
        error: { message: 'The model `x` does not exist.', type: 'NotFoundError', param: 'model', code: 404 },
      },
    ]);
    const broken = await post(`${sim.url}/classify`, '{"input": ');
    expect([broken.status, broken.json().error.type]).toEqual([400, 'Bad Request']);
    const missing = await post(`${sim.url}/v1/chat/completions`, {});
    expect(missing.json().error).toMatchObject({ param: 'body.messages', code: 400 });
    const noJson = await post(`${sim.url}/classify`, 'a=b', { 'content-type': 'text/plain' });
    expect(noJson.json().error.message).toContain("Only \\'application/json\\' is allowed");
    const nowhere = await post(`${sim.url}/nowhere`, {});
    expect([nowhere.status, nowhere.json()]).toEqual([404, { detail: 'Not Found' }]);
    const method = await fetch(`${sim.url}/classify`);
    expect([method.status, method.headers.get('allow'), await method.json()]).toEqual([
      405,
      'POST',
      { detail: 'Method Not Allowed' },
    ]);
    const slash = await fetch(`${sim.url}/v1/models/?a=b`, { redirect: 'manual' });
    expect([slash.status, slash.headers.get('location')]).toEqual([307, `${sim.url}/v1/models?a=b`]);
  });

  test('asks for its key on /v1, /v2 and /inference alone', async () => {
    const guarded = await startVllmSim({ apiKeys: ['k1', 'k2'] });
    const status = async (path: string, headers: Record<string, string> = {}) =>
      (await fetch(guarded.url + path, { headers })).status;
    expect(await status('/v1/models')).toBe(401);
    expect(await status('/v2/rerank')).toBe(401);
    expect(await status('/inference/v1/generate')).toBe(401);
    expect(await status('/v1/models', { authorization: 'Bearer k2' })).toBe(200);
    expect(await status('/v1/models', { authorization: 'Bearer k' })).toBe(401);
    expect(await status('/metrics')).toBe(200);
    expect(await (await fetch(`${guarded.url}/v1/models`)).json()).toEqual({ error: 'Unauthorized' });
    const socket = new WebSocket(`${guarded.url.replace('http', 'ws')}/v1/realtime`);
    const refused = await new Promise((resolve) => socket.once('error', (error) => resolve(error.message)));
    expect(refused).toContain('401');
    await guarded.close();
  });

  test('answers a preflight, and any web page', async () => {
    const headers = { origin: 'http://page', 'access-control-request-method': 'POST' };
    const preflight = await fetch(`${sim.url}/classify`, { method: 'OPTIONS', headers });
    expect([preflight.status, preflight.headers.get('access-control-allow-origin')]).toEqual([200, '*']);
    const page = await fetch(`${sim.url}/version`, { headers: { origin: 'http://page' } });
    expect(page.headers.get('access-control-allow-origin')).toBe('*');
  });

  test('repeats itself to the byte when frozen', async () => {
    const frozen = await startVllmSim({ frozen: true });
    const ask = async () => {
      const { text, headers } = await post(`${frozen.url}/v1/chat/completions`, question);
      return [text, [...headers], await (await fetch(`${frozen.url}/metrics`)).text()];
    };
    expect(await ask()).toEqual(await ask());
    await frozen.close();
  });
});

describe('websockets', () => {
  test('transcribes in realtime, event by event', async () => {
    const socket = new WebSocket(`${sim.url.replace('http', 'ws')}/v1/realtime`);
    const events: { type: string }[] = [];
    const done = new Promise<void>((resolve) => {
      socket.on('message', (data) => {
        const event = JSON.parse(String(data));
        events.push(event);
        if (event.type === 'transcription.done') resolve();
      });
    });
    await new Promise((resolve) => socket.once('open', resolve));
    const audio = Buffer.alloc(3200).toString('base64');
    for (const event of [
      { type: 'nonsense' },
      { type: 'input_audio_buffer.commit' },
      { type: 'session.update', model: 'openai/whisper-small' },
      { type: 'input_audio_buffer.append', audio },
      { type: 'input_audio_buffer.commit' },
      { type: 'input_audio_buffer.append', audio },
      { type: 'input_audio_buffer.commit', final: true },
    ])
      socket.send(JSON.stringify(event));
    await done;
    expect(events).toMatchObject([
      { type: 'session.created', id: expect.stringMatching(/^sess-/) },
      { type: 'error', code: 'unknown_event' },
      { type: 'error', code: 'model_not_validated' },
      { type: 'transcription.delta', delta: '(1600 samples)' },
      { type: 'transcription.delta', delta: ' (1600 samples)' },
      { type: 'transcription.done', text: '(1600 samples) (1600 samples)' },
    ]);
    const closed = new Promise((resolve) => socket.once('close', (code) => resolve(code)));
    socket.close(1000);
    expect(await closed).toBe(1000);
    await sim.waitForRequest((request) => request.path === '/v1/realtime' && request.outcome === 'answered');
  });

  test('echoes messages, pings when told, and closes with the code it is told', async () => {
    const socket = new WebSocket(`${sim.url.replace('http', 'ws')}/sim/ws`, ['one', 'two']);
    const heard: unknown[] = [];
    socket.on('message', (data, isBinary) => heard.push(isBinary ? data : String(data)));
    socket.on('ping', (data) => heard.push(`ping ${data}`));
    await new Promise((resolve) => socket.once('open', resolve));
    expect(socket.protocol).toBe('one');
    for (const message of ['hello', Buffer.from([1, 2, 3]), 'ping', 'close 4001 enough'])
      socket.send(message);
    const closed = await new Promise((resolve) =>
      socket.once('close', (code, reason) => resolve([code, String(reason)])),
    );
    expect(heard).toEqual(['hello', Buffer.from([1, 2, 3]), 'ping are you there']);
    expect(closed).toEqual([4001, 'enough']);
  });
});
