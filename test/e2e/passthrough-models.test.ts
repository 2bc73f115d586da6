import { describe, expect, test } from 'vitest';
import { type Answer, ask, errorOf, open, PROTOCOLS } from '../helpers/ask.ts';
import { startTestGateway } from '../helpers/gateway.ts';
import { OK, type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts';

const JSON_TYPE = ['Content-Type', 'application/json'];

function modelList(entries: readonly (readonly [name: string, model: string, base: string])[]): string {
  const lines = entries.map(
    ([name, model, base]) =>
      `  - {model_name: ${name}, litellm_params: {model: ${model}, api_base: "${base}", api_key: sk-up}}`,
  );
  return `model_list:\n${lines.join('\n')}\n`;
}

async function twoModels(): Promise<{ port: number; lang: ScriptedUpstream; chat: ScriptedUpstream }> {
  const [lang, chat] = await Promise.all([startUpstream(), startUpstream()]);
  const { port } = await startTestGateway(
    modelList([
      ['lang', 'hosted_vllm/papluca/xlm-roberta', lang.url],
      ['chat', 'hosted_vllm/meta/llama', `${chat.url}/v1`],
    ]),
  );
  return { port, lang, chat };
}

describe.each(PROTOCOLS)('over %s', (protocol) => {
  const post = (port: number, path: string, body: string | Buffer, headers = JSON_TYPE): Promise<Answer> =>
    ask(protocol, port, { method: 'POST', path, body, headers });

  test.each(['/v1/classify', '/vllm/v1/classify', '/hosted_vllm/v1/classify'])(
    'on %s the model picks the deployment and gets its upstream name; nothing else changes',
    async (path) => {
      const { port, lang, chat } = await twoModels();
      const body =
        '{ "input":["Caf\\u00e9 \u2603", 1.0e5, 12345678901234567890],\n"model" :\t"lang" , "x":{"model":"lang"},}';
      expect((await post(port, path, body)).status).toBe(200);
      const [seen] = lang.exchanges;
      expect(seen?.line).toBe('POST /v1/classify HTTP/1.1');
      expect(seen?.body.toString()).toBe(body.replace('"lang" ,', '"papluca/xlm-roberta" ,'));
      expect(seen?.header('content-length')).toBe(String(seen?.bodyBytes));
      expect(seen?.header('authorization')).toBe('Bearer sk-up');
      expect(chat.exchanges).toHaveLength(0);
    },
  );

  test('a base that ends in /v1 does not get it twice', async () => {
    const { port, chat } = await twoModels();
    await post(port, '/v1/chat/completions', '{"model":"chat"}');
    expect(chat.exchanges[0]?.target).toBe('/v1/chat/completions');
  });

  test('a body without a length is spliced as it comes, and keeps its own chunking', async () => {
    const { port, lang } = await twoModels();
    const question = { method: 'POST', path: '/v1/classify', headers: JSON_TYPE };
    const live = open(protocol, port, { ...question, body: ['{"model":"la'] });
    live.write('ng","input":"');
    const seen = await lang.next();
    await seen.until(() => seen.body.toString() === '{"model":"papluca/xlm-roberta","input":"');
    live.write('x"}');
    await seen.until(() => seen.body.toString().endsWith('x"}'));
    expect(seen.complete).toBe(false);
    live.end(['X-Sum', '1']);
    expect((await live.answer()).status).toBe(200);
    expect(seen.header('transfer-encoding')).toBe('chunked');
    expect(seen.trailers.map((each) => each.toLowerCase())).toEqual(['x-sum', '1']);
  });

  test('the model of a multipart form picks too, as audio transcription sends it (CVE-2024-8984)', async () => {
    const { port, lang } = await twoModels();
    const form = (model: string): string =>
      `--b0und\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n\x00\xff--b0un\r\n--b0und\r\n` +
      `Content-Disposition: form-data; name="model"\r\n\r\n${model}\r\n--b0und--\r\n`;
    const headers = ['Content-Type', 'multipart/form-data; boundary=b0und'];
    const bytes = Buffer.from(form('lang'), 'latin1');
    expect((await post(port, '/v1/audio/transcriptions', bytes, headers)).status).toBe(200);
    expect(lang.exchanges[0]?.body.toString('latin1')).toBe(form('papluca/xlm-roberta'));
  });

  test.each(['-'.repeat(70), `-${'-a'.repeat(30)}`, 'a'.repeat(70)])(
    'a multipart body full of almost-boundaries is no work (CVE-2024-8984): %s',
    async (boundary) => {
      const { port } = await twoModels();
      const body = Buffer.from(`\r\n--${boundary.slice(0, -1)}`.repeat(30_000));
      const started = performance.now();
      const headers = [
        'Content-Type',
        `multipart/form-data; boundary="${boundary}"`,
        'x-sluice-model',
        'lang',
      ];
      expect((await post(port, '/v1/audio/transcriptions', body, headers)).status).toBe(200);
      expect(performance.now() - started).toBeLessThan(2_000);
    },
  );

  test('an unknown model is 404 and named with those that exist', async () => {
    const { port, lang, chat } = await twoModels();
    for (const path of ['/v1/chat/completions', '/vllm/classify']) {
      const answer = await post(port, path, '{"model":"nope"}');
      expect([answer.status, errorOf(answer).code, errorOf(answer).type]).toEqual([
        404,
        'model_not_found',
        'not_found_error',
      ]);
      expect(errorOf(answer).message).toMatch(/"nope".*lang, chat/);
      expect(answer.header('x-sluice-request-id')).not.toBeNull();
    }
    expect(lang.connections + chat.connections).toBe(0);
  });

  test('with HOSTED_VLLM_API_BASE an unknown model goes there unchanged', async () => {
    const [own, base] = await Promise.all([startUpstream(), startUpstream()]);
    const env = { HOSTED_VLLM_API_BASE: base.url, HOSTED_VLLM_API_KEY: 'sk-base' };
    const { port } = await startTestGateway(modelList([['lang', 'hosted_vllm/x', own.url]]), { env });
    await post(port, '/v1/classify', '{"model":"nope"}');
    expect(base.exchanges[0]?.body.toString()).toBe('{"model":"nope"}');
    expect(base.exchanges[0]?.header('authorization')).toBe('Bearer sk-base');
    await post(port, '/v1/classify', '{"model":"lang"}');
    expect(own.exchanges[0]?.body.toString()).toBe('{"model":"x"}');
  });

  test.each([
    ['no body', '', undefined],
    ['an array', '[{"model":"lang"}]', JSON_TYPE],
    ['no model', '{"input":1}', JSON_TYPE],
    ['no JSON', 'hello {"model":"lang"}', ['Content-Type', 'text/plain']],
    ['a model that is no string', '{"model":5}', JSON_TYPE],
  ])('%s: x-sluice-model chooses and stays here; else 400 with the names', async (_, body, headers = []) => {
    const { port, chat } = await twoModels();
    const question = { method: 'POST', path: '/vllm/classify', ...(body !== '' && { body }) };
    const answer = await ask(protocol, port, { ...question, headers });
    expect([answer.status, errorOf(answer).code]).toEqual([400, 'model_required']);
    expect(errorOf(answer).message).toContain('lang, chat');
    const chosen = await ask(protocol, port, {
      ...question,
      headers: [...headers, 'X-Sluice-Model', 'chat'],
    });
    expect(chosen.status).toBe(200);
    expect(chat.exchanges[0]?.header('x-sluice-model')).toBeNull();
    expect(chat.exchanges[0]?.body.toString()).toBe(body);
  });

  test('an unknown x-sluice-model is 404', async () => {
    const { port } = await twoModels();
    const answer = await ask(protocol, port, { path: '/vllm/metrics', headers: ['x-sluice-model', 'nope'] });
    expect([answer.status, errorOf(answer).param]).toEqual([404, 'x-sluice-model']);
  });

  test('without a model the only vLLM deployment is meant', async () => {
    const [vllm, other] = await Promise.all([startUpstream(), startUpstream()]);
    const { port } = await startTestGateway(
      modelList([
        ['lang', 'hosted_vllm/x', vllm.url],
        ['cohere', 'cohere/rerank-v3.5', other.url],
      ]),
    );
    for (const path of ['/vllm/metrics', '/v1/x', '/hosted_vllm/health']) await ask(protocol, port, { path });
    expect(vllm.exchanges.map(({ target }) => target)).toEqual(['/metrics', '/v1/x', '/health']);
    await ask(protocol, port, { path: '/cohere/v1/models' });
    expect(other.exchanges.map(({ target }) => target)).toEqual(['/v1/models']);
  });

  test.each([
    ['in one piece', ['{"model":"lang","a":1,"model":"chat"}']],
    ['behind the first', ['{"model":"lang","a":', '1,"mod\\u0065l":"chat"', '}']],
    ['in its last bytes', ['{"model":"lang","a":1,"mod', 'el":"chat"', '}']],
  ])(
    'a second model, %s, is 400 and never complete at the upstream (GHSA-4gph-2hhr-5mwg)',
    async (_, pieces) => {
      const { port, lang } = await twoModels();
      const live = open(protocol, port, {
        method: 'POST',
        path: '/v1/classify',
        headers: JSON_TYPE,
        body: pieces.slice(0, 1),
      });
      const seen = pieces.length > 1 ? await lang.next() : null;
      for (const piece of pieces.slice(1)) live.write(piece);
      live.end();
      const answer = await live.answer();
      expect([answer.status, errorOf(answer).code, errorOf(answer).param]).toEqual([
        400,
        'duplicate_model',
        'model',
      ]);
      await seen?.closed();
      expect(seen?.complete ?? false).toBe(false);
      expect(seen?.body.toString() ?? '').not.toContain('chat');
    },
  );

  test('a second model in a body of known length is never complete at the upstream either', async () => {
    const { port, lang } = await twoModels();
    const body = `{"model":"lang","a":"${'x'.repeat(300_000)}","model":"chat"}`;
    const answer = await post(port, '/v1/classify', body);
    expect([answer.status, errorOf(answer).code]).toEqual([400, 'duplicate_model']);
    for (const seen of lang.exchanges) {
      await seen.closed();
      expect(seen.complete).toBe(false);
    }
  });

  test('a model beyond max_body_bytes is 413, one before it flows however long the body', async () => {
    const upstream = await startUpstream();
    const list = modelList([['lang', 'hosted_vllm/x', upstream.url]]);
    const { port } = await startTestGateway(`${list}general_settings: {max_body_bytes: 1000}`);
    const padding = 'x'.repeat(200_000);
    const late = await post(port, '/v1/classify', `{"a":"${padding}","model":"lang"}`);
    expect([late.status, errorOf(late).code, errorOf(late).param]).toEqual([413, 'body_too_large', 'model']);
    expect(upstream.connections).toBe(0);
    expect((await post(port, '/v1/classify', `{"model":"lang","a":"${padding}"}`)).status).toBe(200);
    expect(upstream.exchanges[0]?.body.toString()).toBe(`{"model":"x","a":"${padding}"}`);
  });

  test('compressed JSON is 415 where the model decides, and passes where it does not', async () => {
    const upstream = await startUpstream();
    const route = `general_settings: {pass_through_endpoints: [{path: /r, target: "${upstream.url}/r"}]}`;
    const { port } = await startTestGateway(
      `${modelList([['lang', 'hosted_vllm/x', upstream.url]])}${route}`,
    );
    const bytes = Buffer.from([0x1f, 0x8b, 8, 0, 255, 254]);
    const gzip = [...JSON_TYPE, 'Content-Encoding', 'gzip'];
    for (const path of ['/v1/classify', '/vllm/classify']) {
      const answer = await post(port, path, bytes, gzip);
      expect([answer.status, errorOf(answer).param]).toEqual([415, 'content-encoding']);
    }
    expect(upstream.connections).toBe(0);
    expect((await post(port, '/r', bytes, gzip)).status).toBe(200);
    expect(upstream.exchanges[0]?.body).toEqual(bytes);
    expect(upstream.exchanges[0]?.header('content-encoding')).toBe('gzip');
    const identity = [...JSON_TYPE, 'Content-Encoding', 'identity'];
    expect((await post(port, '/v1/classify', '{"model":"lang"}', identity)).status).toBe(200);
  });

  test('three deployments of one name share the load: the one with the fewest under way is next', async () => {
    const upstreams = await Promise.all([0, 1, 2].map(() => startUpstream(() => {})));
    const list = modelList(upstreams.map(({ url }, i) => ['lang', `hosted_vllm/x${i}`, url] as const));
    const { port, gateway, line } = await startTestGateway(list);
    const question = { method: 'POST', path: '/v1/classify', headers: JSON_TYPE, body: '{"model":"lang"}' };
    for (let i = 0; i < 6; i++) {
      open(protocol, port, question);
      await upstreams[i % 3]?.arrived(Math.floor(i / 3) + 1);
      const arrived = upstreams.map(({ exchanges }) => exchanges.length);
      expect(arrived).toEqual([0, 1, 2].map((k) => Math.floor((i + 3 - k) / 3)));
    }
    expect([...gateway.outstanding.values()]).toEqual([2, 2, 2]);
    expect(upstreams[1]?.exchanges[0]?.body.toString()).toBe('{"model":"x1"}');
    upstreams[1]?.exchanges[0]?.send(OK);
    await line(({ outcome }) => outcome === 'complete');
    expect([...gateway.outstanding.values()]).toEqual([2, 1, 2]);
    open(protocol, port, question);
    await upstreams[1]?.arrived(3);
  });
});
