import { Code, ConnectError, type HandlerContext } from '@connectrpc/connect';
import { describe, expect, test } from 'vitest';
import { ModelState } from '../../gen/sluice/v1/model_pb.ts';
import { SluiceError } from '../../src/base/errors.ts';
import { ask, errorOf, open, PROTOCOLS } from '../helpers/ask.ts';
import { rawClient } from '../helpers/raw-client.ts';
import { type RestFixtureOptions, startRest } from './rest-fixture.ts';

const JSON_TYPE = ['Content-Type', 'application/json'];
const INFER = { model_id: 'm', prompt: 'hello' };
const MASTER = ['Authorization', 'Bearer sk-master'];

const echo: RestFixtureOptions['model'] = {
  infer: ({ prompt }) => ({ response: prompt }),
  loadModel: () => ({ message: 'loaded' }),
  listLoadedModels: () => ({ modelIds: ['m'] }),
};

describe.for(PROTOCOLS)('REST over %s', (protocol) => {
  test('answers a wrong method with 405 and Allow', async () => {
    const { number, recorded } = await startRest({ model: echo });
    const answer = await ask(protocol, number, { method: 'PUT', path: '/llm/loaded_models/', body: 'x' });
    expect([answer.status, answer.header('allow')]).toEqual([405, 'GET, HEAD']);
    expect(errorOf(answer)).toMatchObject({ code: 'method_not_allowed', type: 'invalid_request_error' });
    expect(await recorded(1)).toMatchObject([
      { path: '/llm/loaded_models/', route: null, status: 405, why: 'method_not_allowed' },
    ]);
  });

  test('answers HEAD with GET’s head and no body', async () => {
    const { number } = await startRest({ model: echo });
    for (const path of ['/llm/loaded_models', '/llm/configuration/x']) {
      const got = await ask(protocol, number, { path });
      const head = await ask(protocol, number, { method: 'HEAD', path });
      expect([head.status, head.header('content-length'), head.body.length]).toEqual([
        got.status,
        String(got.body.length),
        0,
      ]);
    }
  });

  test('reads a body however it is cut', async () => {
    const { number, recorded } = await startRest({ model: echo });
    const text = JSON.stringify({ ...INFER, prompt: 'Grüße 😀'.repeat(20) });
    const bytes = Buffer.from(text);
    const live = open(protocol, number, {
      method: 'POST',
      path: '/llm/inference',
      headers: JSON_TYPE,
      body: [],
    });
    for (const byte of bytes) live.write(Buffer.from([byte]));
    live.end();
    const answer = await live.answer();
    expect(JSON.parse(answer.body.toString())).toEqual({ response: 'Grüße 😀'.repeat(20) });
    expect(await recorded(1)).toMatchObject([
      { status: 200, outcome: 'complete', why: null, bytesIn: bytes.length, bytesOut: answer.body.length },
    ]);
  });

  test('takes an empty body of unknown length for none', async () => {
    const { number } = await startRest({ model: echo });
    const answer = await ask(protocol, number, { method: 'POST', path: '/llm/load_model/x', body: [] });
    expect(answer.body.toString()).toBe('{"message":"loaded"}');
  });

  test('names the field at fault', async () => {
    const { number } = await startRest({ model: echo });
    const post = async (path: string, body: string) => {
      const { status, body: bytes } = await ask(protocol, number, {
        method: 'POST',
        path,
        headers: JSON_TYPE,
        body,
      });
      const { message, type, param, code } = JSON.parse(bytes.toString()).error;
      return [status, type, code, param, message] as const;
    };
    const faultOf = async (path: string, body: string) => (await post(path, body)).slice(0, 4);
    const invalid = [400, 'invalid_request_error', 'invalid_request'];
    // the bridge’s
    expect(await post('/llm/inference/', '{"model":"m"}')).toEqual([
      ...invalid,
      'model',
      'field "model" is not known; there are model_id, prompt, inference_kwargs',
    ]);
    expect(await faultOf('/llm/inference/?model_id=m', '{}')).toEqual([...invalid, 'model_id']);
    expect(await faultOf('/llm/load_model/x', '{}')).toEqual([...invalid, null]);
    // the proto’s rules
    expect(await faultOf('/llm/inference/', '{"model_id":"m"}')).toEqual([...invalid, 'prompt']);
    expect(
      await faultOf('/llm/configure_model/', '{"model_id":"m","model_name":"-x","model_type":"vllm"}'),
    ).toEqual([...invalid, 'model_name']);
  });

  test('refuses what is too large, and what isn’t JSON by its type', async () => {
    const { number } = await startRest({ model: echo, maxBodyBytes: 100 });
    const large = JSON.stringify({ ...INFER, prompt: 'x'.repeat(100) });
    const question = { method: 'POST', path: '/llm/inference', headers: JSON_TYPE };
    for (const body of [large, [large]]) {
      const answer = await ask(protocol, number, { ...question, body });
      expect([answer.status, errorOf(answer).code]).toEqual([413, 'body_too_large']);
    }
    const form = { ...question, headers: ['Content-Type', 'application/x-www-form-urlencoded'], body: 'a=b' };
    const answer = await ask(protocol, number, form);
    expect([answer.status, errorOf(answer).code]).toEqual([415, 'unsupported_media_type']);
  });

  test('gives up a body that doesn’t come', async () => {
    const { number, recorded } = await startRest({ model: echo, bodyTimeoutMs: 50 });
    const question = { method: 'POST', path: '/llm/inference', headers: JSON_TYPE, body: ['{'] };
    const answer = await open(protocol, number, question).answer();
    expect([answer.status, errorOf(answer).code]).toEqual([408, 'request_timeout']);
    expect(await recorded(1)).toMatchObject([{ status: 408, why: 'request_timeout', bytesIn: 1 }]);
  });

  test('asks for the key before it reads the body, and invites it only then', async () => {
    const { number, recorded } = await startRest({ model: echo, masterKey: 'sk-master' });
    const question = { method: 'POST', path: '/llm/inference', body: [] };
    const expecting = [...JSON_TYPE, 'Expect', '100-continue'];
    const refused = await open(protocol, number, { ...question, headers: expecting }).answer();
    expect([refused.status, errorOf(refused).code, refused.interim]).toEqual([401, 'missing_key', []]);
    expect(refused.header('www-authenticate')).toBe('Bearer');
    const live = open(protocol, number, { ...question, headers: [...expecting, ...MASTER] });
    await live.interim(100);
    live.write(JSON.stringify(INFER));
    live.end();
    const answer = await live.answer();
    expect([answer.status, answer.interim, answer.body.toString()]).toEqual([
      200,
      [100],
      '{"response":"hello"}',
    ]);
    expect(await recorded(2)).toMatchObject([{ bytesIn: 0 }, { bytesIn: JSON.stringify(INFER).length }]);
  });

  test('asks for the master key where the proto does', async () => {
    const { number } = await startRest({ model: echo, masterKey: 'sk-master' });
    const load = { method: 'POST', path: '/llm/load_model/x' };
    expect((await ask(protocol, number, load)).status).toBe(401);
    const wrong = await ask(protocol, number, { ...load, headers: ['Authorization', 'Bearer sk-other'] });
    expect([wrong.status, errorOf(wrong).code]).toEqual([401, 'unknown_key']);
    expect((await ask(protocol, number, { ...load, headers: MASTER })).status).toBe(200);
  });

  test('keeps keys in paths out of the log', async () => {
    const { number, recorded } = await startRest({ model: { unloadModel: () => ({ message: 'x' }) } });
    for (const path of ['/llm/unload_model/sk-secret', '/llm/unload_model/%73k%2Dsecret/']) {
      await ask(protocol, number, { method: 'POST', path });
    }
    expect((await recorded(2)).map(({ path }) => path)).toEqual([
      '/llm/unload_model/…',
      '/llm/unload_model/…/',
    ]);
  });

  test('tells nothing of an internal error but to the log', async () => {
    const { number, recorded } = await startRest({
      model: {
        loadModel: () => {
          throw new Error('secret');
        },
      },
    });
    const answer = await ask(protocol, number, { method: 'POST', path: '/llm/load_model/x' });
    expect([answer.status, errorOf(answer).code]).toEqual([500, 'internal']);
    expect(answer.body.toString()).not.toContain('secret');
    const [record] = await recorded(1);
    expect(record?.cause).toMatchObject({ message: 'secret' });
  });

  test('answers an RPC’s own error with its row, and its metadata as headers', async () => {
    const { number } = await startRest({
      model: {
        loadModel: () => {
          throw new ConnectError('too many', Code.ResourceExhausted, { 'Retry-After': '5' });
        },
      },
    });
    const answer = await ask(protocol, number, { method: 'POST', path: '/llm/load_model/x' });
    expect([answer.status, errorOf(answer), answer.header('retry-after')]).toEqual([
      429,
      { message: 'too many', type: 'rate_limit_error', param: null, code: 'resource_exhausted' },
      '5',
    ]);
    expect(answer.header('x-sluice-request-id')).toMatch(/^[\w-]+$/);
  });

  test('answers a method without implementation with 501, and a deadline with 504', async () => {
    const { number } = await startRest({
      model: { loadModel: () => new Promise(() => {}) },
    });
    const missing = await ask(protocol, number, { path: '/llm/configurations' });
    expect([missing.status, errorOf(missing).code]).toEqual([501, 'not_implemented']);
    const headers = ['Connect-Timeout-Ms', '10'];
    const late = await ask(protocol, number, { method: 'POST', path: '/llm/load_model/x', headers });
    expect([late.status, errorOf(late).code]).toEqual([504, 'deadline_exceeded']);
  });
});

describe.for(PROTOCOLS)('streams of REST over %s', (protocol) => {
  const WATCH = '/llm/load_model/x/events';
  const EVENTS = ['Accept', 'text/event-stream'];
  const STATUS =
    '"model_id":"m","config_id":"","state":"MODEL_STATE_READY","stage":"LOAD_STAGE_UNSPECIFIED","percent":100,"last_log_line":"","failure":""}';
  const ready = { status: { modelId: 'm', state: ModelState.READY, percent: 100 } };

  test('are events or lines, as the client likes', async () => {
    const { number, recorded } = await startRest({
      model: {
        async *watchLoad() {
          yield ready;
          yield ready;
        },
      },
    });
    const events = await ask(protocol, number, { path: WATCH, headers: EVENTS });
    expect(events.header('content-type')).toBe('text/event-stream');
    expect(events.header('x-sluice-request-id')).not.toBeNull();
    expect(events.body.toString()).toBe(`data: {${STATUS}\n\n`.repeat(2));
    const lines = await ask(protocol, number, { path: `${WATCH}/` });
    expect(lines.header('content-type')).toBe('application/x-ndjson');
    expect(lines.body.toString()).toBe(`{"result":{${STATUS}}\n`.repeat(2));
    expect(await recorded(2)).toMatchObject([
      { route: 'rest sluice.v1.ModelService/WatchLoad', outcome: 'complete', bytesOut: events.body.length },
      { outcome: 'complete', bytesOut: lines.body.length },
    ]);
  });

  test('end with the envelope of an error that comes late, and begin with one that comes at once', async () => {
    const refusal = new SluiceError('load_failed', 'It went away.');
    const { number, recorded } = await startRest({
      model: {
        async *watchLoad({ configId }) {
          if (configId === 'late') yield ready;
          throw refusal;
        },
      },
    });
    const late = await ask(protocol, number, { path: '/llm/load_model/late/events', headers: EVENTS });
    expect(late.body.toString()).toBe(`data: {${STATUS}\n\nevent: error\ndata: ${refusal.envelope}\n\n`);
    const lines = await ask(protocol, number, { path: '/llm/load_model/late/events' });
    expect(lines.body.toString()).toBe(`{"result":{${STATUS}}\n${refusal.envelope}\n`);
    const atOnce = await ask(protocol, number, { path: WATCH, headers: EVENTS });
    expect([atOnce.status, atOnce.body.toString()]).toEqual([503, refusal.envelope]);
    expect(await recorded(3)).toMatchObject([
      { status: 200, outcome: 'refused', why: 'load_failed' },
      { status: 200, outcome: 'refused', why: 'load_failed' },
      { status: 503, outcome: 'refused', why: 'load_failed' },
    ]);
  });

  test('stop the implementation when the client leaves', async () => {
    const { promise: stopped, resolve } = Promise.withResolvers<void>();
    const { number, recorded } = await startRest({
      model: {
        async *watchLoad(_, { signal }: HandlerContext) {
          signal.addEventListener('abort', () => resolve());
          yield ready;
          await stopped;
        },
      },
    });
    const live = open(protocol, number, { path: WATCH });
    await live.received(1);
    live.vanish();
    await stopped;
    expect(await recorded(1)).toMatchObject([{ status: 200, outcome: 'client_left', why: null }]);
  });

  test('stop a unary implementation when the client leaves', async () => {
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    const { promise: stopped, resolve: stop } = Promise.withResolvers<void>();
    const { number, recorded } = await startRest({
      model: {
        loadModel: (_, { signal }) => {
          signal.addEventListener('abort', () => stop());
          begin();
          return new Promise(() => {});
        },
      },
    });
    const live = open(protocol, number, { method: 'POST', path: '/llm/load_model/x' });
    await begun;
    live.vanish();
    await stopped;
    expect(await recorded(1)).toMatchObject([{ status: 499, outcome: 'client_left' }]);
  });

  test('wait for a client that is slow', async () => {
    const text = 'x'.repeat(64 * 1024);
    const total = 400;
    let made = 0;
    const { number } = await startRest({
      model: {
        async *streamInfer() {
          for (; made < total; made++) yield { response: text };
        },
      },
    });
    const question = {
      method: 'POST',
      path: '/llm/inference/stream',
      headers: JSON_TYPE,
      body: JSON.stringify(INFER),
    };
    const live = open(protocol, number, question);
    await live.head();
    live.pause();
    // What the sockets hold is far less than 25 MB: the stream comes to rest.
    let before = -1;
    while (before !== made) {
      before = made;
      for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(made).toBeLessThan(total);
    live.resume();
    const answer = await live.answer();
    expect(answer.whole).toBe(true);
    expect(answer.body.toString().split('\n')).toHaveLength(total + 1);
  });
});

describe('REST over HTTP/1.1', () => {
  test('answers 500 where an implementation sets a header that HTTP has no bytes for', async () => {
    const { number, recorded } = await startRest({
      model: {
        loadModel: (_, { responseHeader }) => {
          responseHeader.set('x-odd', 'a\u0001b');
          return {};
        },
      },
    });
    const answer = await ask('HTTP/1.1', number, { method: 'POST', path: '/llm/load_model/x' });
    expect([answer.status, errorOf(answer).code]).toEqual([500, 'internal']);
    expect(await recorded(1)).toMatchObject([{ status: 500, why: 'internal' }]);
  });

  test('closes the connection behind an answer to a body that it hasn’t read', async () => {
    const { number } = await startRest({ model: echo, masterKey: 'sk-master' });
    const client = await rawClient(number);
    client.send('POST /llm/inference HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n{"model_id"');
    const { bytes } = await client.closed();
    expect(bytes.toString()).toMatch(/^HTTP\/1\.1 401 /);
    expect(bytes.toString()).toMatch(/\r\nConnection: close\r\n/i);
  });

  test('keeps the connection behind an error that left nothing unread', async () => {
    const { number } = await startRest({ model: echo });
    const client = await rawClient(number);
    const request = 'POST /llm/inference HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n[]';
    client.send(request);
    await client.until('the body must be a JSON object');
    client.send('GET /llm/loaded_models HTTP/1.1\r\nHost: h\r\n\r\n');
    await client.until('["m"]');
  });

  test('answers pipelined requests in their order', async () => {
    const first = Promise.withResolvers<{ message: string }>();
    const { number } = await startRest({
      model: { ...echo, loadModel: () => first.promise },
    });
    const client = await rawClient(number);
    client.send(
      'POST /llm/load_model/x HTTP/1.1\r\nHost: h\r\n\r\nGET /llm/loaded_models HTTP/1.1\r\nHost: h\r\n\r\n',
    );
    first.resolve({ message: 'first' });
    const text = await client.until('["m"]');
    expect(text.indexOf('first')).toBeLessThan(text.indexOf('["m"]'));
  });
});
