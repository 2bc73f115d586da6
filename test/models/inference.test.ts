import { describe, expect, onTestFinished, test } from 'vitest';
import { SluiceError } from '../../src/base/errors.ts';
import type { Json } from '../../src/base/json.ts';
import { type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts';
import { startVllmSim, type VllmSim, type VllmSimOptions } from '../vllm-sim/index.ts';
import { openPlane, type Plane } from './plane.ts';

const MODEL = 'qwen2.5-7b-instruct';
const QUESTION = 'What is the capital of France?';
const ANSWER = 'The capital of France is Paris.';

async function openSim(options: VllmSimOptions = {}): Promise<VllmSim> {
  const sim = await startVllmSim(options);
  onTestFinished(() => sim.close());
  return sim;
}

/** Loads the model `a` at a port. */
async function loadAt(
  plane: Plane,
  port: number,
  modelKwargs: Readonly<Record<string, Json>> = {},
): Promise<void> {
  const { models, driver } = plane;
  const config = await models.configure({ modelId: 'a', modelName: MODEL, modelType: 'vllm', modelKwargs });
  const loading = models.load(config);
  (await driver.next()).succeed(port);
  await loading;
}

function asking(plane: Plane, inferenceKwargs: Readonly<Record<string, Json>> = {}, modelId = 'a') {
  const abort = new AbortController();
  const prompt = { modelId, prompt: QUESTION, inferenceKwargs };
  return {
    abort,
    infer: () => plane.inference.infer(prompt, abort.signal),
    stream: () => plane.inference.stream(prompt, abort.signal),
  };
}

async function refusal(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof SluiceError) return `${error.status} ${error.reason}: ${error.message}`;
    throw error;
  }
  return 'none';
}

async function joined(pieces: AsyncIterable<string>): Promise<string[]> {
  const all: string[] = [];
  for await (const piece of pieces) all.push(piece);
  return all;
}

describe('infer', () => {
  test('answers with the text of the model', async () => {
    const sim = await openSim();
    const plane = await openPlane();
    await loadAt(plane, sim.port, { temperature: 0.7, max_tokens: 100, top_p: 0.9 });
    expect(await asking(plane, { max_tokens: 50, top_p: null, seed: 1 }).infer()).toBe(ANSWER);
    const [request] = sim.requests;
    expect(JSON.parse(String(request?.body))).toEqual({
      model: MODEL,
      messages: [{ role: 'user', content: QUESTION }],
      temperature: 0.7,
      max_tokens: 50,
      seed: 1,
    });
    expect(request?.header('accept-encoding')).toBe('identity');
    expect(plane.activity('a')).toMatchObject({ outstanding: 0, served: 1 });
  });

  test('refuses the fields that the gateway sets', async () => {
    const plane = await openPlane();
    const { infer, stream } = asking(plane, { model: 'x', temperature: 1, stream: false });
    const said = '400 invalid_request: inference_kwargs: model, stream are set by the gateway; remove them.';
    expect(await refusal(infer())).toBe(said);
    expect(await refusal(joined(stream()))).toBe(said);
  });

  test('refuses a number that JSON can’t have', async () => {
    const { infer } = asking(await openPlane(), { temperature: Number.NaN });
    expect(await refusal(infer())).toBe(
      '400 invalid_request: inference_kwargs.temperature: must be a finite number: JSON has no other.',
    );
  });

  test('says what to do about a model that is configured and not loaded, and knows no other', async () => {
    const sim = await openSim();
    const plane = await openPlane({ env: { HOSTED_VLLM_API_BASE: sim.url } });
    await plane.models.configure({ modelId: 'a', modelName: MODEL, modelType: 'vllm', modelKwargs: {} });
    expect(await refusal(asking(plane).infer())).toBe(
      '400 failed_precondition: The model "a" is not loaded: load it first, with `sluice models load` or POST /llm/load_model/{config_id}.',
    );
    expect(await refusal(asking(await openPlane()).infer())).toContain(
      '404 model_not_found: The model "a" does not exist here.',
    );
  });

  test('asks models of the configuration file, too', async () => {
    const sim = await openSim({ apiKeys: ['sk-up'] });
    const plane = await openPlane({
      yaml: `model_list: [{ model_name: filed, litellm_params: { model: hosted_vllm/${MODEL}, api_base: '${sim.url}/v1', api_key: sk-up } }]`,
    });
    expect(await asking(plane, {}, 'filed').infer()).toBe(ANSWER);
    expect(JSON.parse(String(sim.requests[0]?.body)).model).toBe(MODEL);
  });

  test('wakes a model that loads on request, and keeps its defaults', async () => {
    const sim = await openSim();
    const plane = await openPlane();
    await plane.models.configure({
      modelId: 'a',
      modelName: MODEL,
      modelType: 'vllm',
      modelKwargs: { load_on_request: true, temperature: 0.3 },
    });
    const answers = [asking(plane).infer(), asking(plane).infer()];
    (await plane.driver.next()).succeed(sim.port);
    expect(await Promise.all(answers)).toEqual([ANSWER, ANSWER]);
    expect(JSON.parse(String(sim.requests[0]?.body)).temperature).toBe(0.3);
  });

  test('a caller that leaves while its model wakes up does not stop it', async () => {
    const plane = await openPlane();
    await plane.models.configure({
      modelId: 'a',
      modelName: MODEL,
      modelType: 'vllm',
      modelKwargs: { load_on_request: true },
    });
    const { infer, abort } = asking(plane);
    const waiting = infer();
    const load = await plane.driver.next();
    const reason = new Error('left');
    abort.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    expect(load.signal.aborted).toBe(false);
  });

  test('stops the upstream when the caller leaves', async () => {
    const sim = await openSim();
    const plane = await openPlane();
    await loadAt(plane, sim.port);
    sim.fault({ fault: 'stall@head' });
    const { infer, abort } = asking(plane);
    const waiting = infer();
    await sim.waitForRequest('/v1/chat/completions');
    expect(plane.activity('a').outstanding).toBe(1);
    const reason = new Error('left');
    abort.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    await sim.waitForAbort('/v1/chat/completions');
    expect(plane.activity('a').outstanding).toBe(0);
  });

  test.each<[number, string, string]>([
    [400, '{"error":{"message":"max_tokens is too large"}}', '400 invalid_request: max_tokens is too large'],
    [422, '{"detail":"no"}', '400 invalid_request: no'],
    [
      401,
      '{"error":"sk-up is wrong"}',
      '400 failed_precondition: The upstream "a#loaded" refused the gateway\'s credential (401).',
    ],
    [
      404,
      '{"error":{"message":"The model `x` does not exist."}}',
      '404 model_not_found: The model `x` does not exist.',
    ],
    [413, '', '413 body_too_large: The upstream "a#loaded" answered 413.'],
    [429, '{"message":"slow down"}', '429 upstream_rate_limited: slow down'],
    [500, 'boom', '502 upstream_broken: boom'],
    [503, '<html>busy</html>', '502 upstream_broken: The upstream "a#loaded" answered 503.'],
    [504, '{}', '504 upstream_timeout: The upstream "a#loaded" answered 504.'],
    [
      200,
      '{}',
      '502 upstream_broken: The upstream "a#loaded" answered with something that is no chat completion.',
    ],
    [
      200,
      '{"choices":[]}',
      '502 upstream_broken: The upstream "a#loaded" answered with something that is no chat completion.',
    ],
    [200, '{"choices":[{"message":{"content":null}}]}', 'none'],
    [200, '{"choices":[{"index":1,"message":{}},{"index":0,"message":{"content":[{"text":"x"}]}}]}', 'none'],
  ])('an upstream that answers %i %s is told as it should be', async (status, body, said) => {
    const upstream = await startUpstream(answer(status, body, 'Retry-After: 7\r\n'));
    const plane = await openPlane();
    await loadAt(plane, upstream.port);
    expect(await refusal(asking(plane).infer())).toBe(said);
    if (status !== 200) expect(await refusal(joined(asking(plane).stream()))).toBe(said);
    expect(plane.activity('a').outstanding).toBe(0);
  });

  test('tells when a busy upstream may be asked again', async () => {
    const upstream = await startUpstream(answer(429, '', 'Retry-After: 7\r\n'));
    const plane = await openPlane();
    await loadAt(plane, upstream.port);
    await expect(asking(plane).infer()).rejects.toMatchObject({ headers: ['retry-after', '7'] });
  });

  test('a broken connection is told without its address', async () => {
    const upstream = await startUpstream((exchange) => exchange.reset());
    const plane = await openPlane();
    await loadAt(plane, upstream.port);
    expect(await refusal(asking(plane).infer())).toBe(
      '502 upstream_broken: The upstream "a#loaded" closed the connection before its answer was complete.',
    );
  });
});

describe('streamed inference', () => {
  test('sends pieces that join to the same text', async () => {
    const sim = await openSim({ chunkIntervalMs: 0 });
    const plane = await openPlane();
    await loadAt(plane, sim.port);
    const pieces = await joined(asking(plane, { stream_options: { include_usage: true } }).stream());
    expect(pieces.length).toBeGreaterThan(3);
    expect(pieces.join('')).toBe(ANSWER);
    expect(JSON.parse(String(sim.requests[0]?.body)).stream).toBe(true);
    expect(plane.activity('a')).toMatchObject({ outstanding: 0, served: 1 });
  });

  test('takes only the first of several choices', async () => {
    const plane = await streamingPlane([
      chunk({ index: 0, delta: { role: 'assistant', content: '' } }),
      chunk({ index: 1, delta: { content: 'no' } }),
      chunk({ index: 0, delta: { content: 'yes' } }),
      chunk({ index: 0, delta: {}, finish_reason: 'stop' }),
    ]);
    expect(await joined(asking(plane, { n: 2 }).stream())).toEqual(['yes']);
  });

  test.each<[string, readonly string[], string]>([
    [
      'an error event',
      [
        chunk({ delta: { content: 'a' } }),
        'data: {"error":{"message":"engine died"}}\n\n',
        'data: [DONE]\n\n',
      ],
      '502 upstream_broken: engine died',
    ],
    [
      'a named error event',
      ['event: error\ndata: {"message":"overloaded"}\n\n'],
      '502 upstream_broken: overloaded',
    ],
    [
      'an end without a finish',
      [chunk({ delta: { content: 'a' } })],
      '502 upstream_broken: The upstream "a#loaded" ended its stream before its answer was complete.',
    ],
    [
      'an event that is no chunk',
      ['data: hello\n\n'],
      '502 upstream_broken: The upstream "a#loaded" sent an event that is no chunk of a chat completion.',
    ],
  ])('breaks with %s', async (_what, events, said) => {
    const plane = await streamingPlane(events);
    expect(await refusal(joined(asking(plane).stream()))).toBe(said);
    expect(plane.activity('a').outstanding).toBe(0);
  });

  test('takes a finish for the end where the upstream forgets [DONE]', async () => {
    const plane = await streamingPlane([chunk({ delta: { content: 'all' }, finish_reason: 'length' })]);
    expect(await joined(asking(plane).stream())).toEqual(['all']);
  });

  test('takes an upstream that does not stream', async () => {
    const upstream = await startUpstream(answer(200, '{"choices":[{"message":{"content":"whole"}}]}'));
    const plane = await openPlane();
    await loadAt(plane, upstream.port);
    expect(await joined(asking(plane).stream())).toEqual(['whole']);
  });

  test('an upstream that breaks off is told, after what came before', async () => {
    const upstream = await startUpstream((exchange) => {
      exchange.send(`${STREAM_HEAD}${framed(chunk({ delta: { content: 'begun' } }))}`);
    });
    const plane = await openPlane();
    await loadAt(plane, upstream.port);
    const pieces = asking(plane).stream();
    expect((await pieces.next()).value).toBe('begun');
    upstream.exchanges[0]?.reset();
    expect(await refusal(pieces.next())).toContain('502 upstream_broken: The upstream "a#loaded" closed');
  });

  test.each(['leaves', 'has enough'] as const)('stops the upstream when the caller %s', async (how) => {
    const { plane, upstream } = await endlessPlane();
    const { stream, abort } = asking(plane);
    const pieces = stream();
    expect((await pieces.next()).value).toBe('more');
    expect(plane.activity('a').outstanding).toBe(1);
    if (how === 'leaves') {
      const next = pieces.next();
      const reason = new Error('left');
      abort.abort(reason);
      await expect(next).rejects.toBe(reason);
    } else await pieces.return();
    await upstream.exchanges[0]?.closed();
    expect(plane.activity('a').outstanding).toBe(0);
  });

  test('an unload waits for it', async () => {
    const { plane, upstream } = await endlessPlane();
    const pieces = asking(plane).stream();
    await pieces.next();
    const unloading = plane.models.unload('a');
    await plane.clock.advance(1_000);
    expect(plane.driver.loads[0]?.stops).toBe(0);
    upstream.exchanges[0]?.send(`${framed('data: [DONE]\n\n')}0\r\n\r\n`);
    expect((await pieces.next()).done).toBe(true);
    await plane.clock.advance(100);
    await unloading;
    expect(plane.driver.loads[0]?.stops).toBe(1);
  });

  test('a reader that takes its time pauses the upstream', async () => {
    const big = 'x'.repeat(60_000);
    const upstream = await startUpstream((exchange) => exchange.send(STREAM_HEAD));
    const plane = await openPlane();
    await loadAt(plane, upstream.port);
    const pieces = asking(plane).stream();
    const first = pieces.next();
    const exchange = await upstream.next();
    const event = framed(chunk({ delta: { content: big } }));
    exchange.send(event);
    await first;
    const { socket } = exchange;
    // What fits into the buffers of both sides' kernels is far below this.
    for (let i = 0; i < 1_000; i++) socket.write(event);
    await new Promise<void>((resolve) => {
      let last = -1;
      const look = setInterval(() => {
        if (socket.writableLength === last) {
          clearInterval(look);
          resolve();
        }
        last = socket.writableLength;
      }, 50);
    });
    expect(socket.writableLength).toBeGreaterThan(20_000_000);
    socket.write(`${framed('data: [DONE]\n\n')}0\r\n\r\n`);
    const rest = await joined(pieces);
    expect(rest.length).toBe(1_000);
  });
});

const STREAM_HEAD =
  'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n';

function answer(status: number, body: string, headers = ''): string {
  const type = body.startsWith('{') ? 'application/json' : 'text/plain';
  return `HTTP/1.1 ${status} X\r\nContent-Type: ${type}\r\n${headers}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

function framed(text: string): string {
  return `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
}

function chunk(choice: object): string {
  return `data: ${JSON.stringify({ object: 'chat.completion.chunk', choices: [choice] })}\n\n`;
}

/** A plane whose model `a` streams these events. */
async function streamingPlane(events: readonly string[]): Promise<Plane> {
  const upstream = await startUpstream(`${STREAM_HEAD}${events.map(framed).join('')}0\r\n\r\n`);
  const plane = await openPlane();
  await loadAt(plane, upstream.port);
  return plane;
}

/** A plane whose model `a` streams one piece and then nothing. */
async function endlessPlane(): Promise<{ readonly plane: Plane; readonly upstream: ScriptedUpstream }> {
  const upstream = await startUpstream(`${STREAM_HEAD}${framed(chunk({ delta: { content: 'more' } }))}`);
  const plane = await openPlane();
  await loadAt(plane, upstream.port);
  return { plane, upstream };
}
