import { createClient } from '@connectrpc/connect';
import { describe, expect, test } from 'vitest';
import { ModelService } from '../../gen/sluice/v1/model_service_pb.ts';
import { type Answer, ask, errorOf, open, PROTOCOLS, type Protocol } from '../helpers/ask.ts';
import { acceptWebSocket, closeFrame, openWebSocket } from '../helpers/websocket.ts';
import { transportTo, WIRES } from '../server/rpc-fixture.ts';
import { bearer, CHAT, JSON_TYPE, type KeysHouse, keysHouse, MASTER, TOKENS } from './keys-house.ts';

const SECRET = 'sk-of-the-one-who-asks';
const HEADERS = [...JSON_TYPE, ...bearer(SECRET)];

function chat(protocol: Protocol, { port }: KeysHouse, model = 'lang'): Promise<Answer> {
  const body = JSON.stringify({ model, messages: [] });
  return ask(protocol, port, { method: 'POST', path: '/v1/chat/completions', headers: HEADERS, body });
}

const limitsOf = ({ header }: Pick<Answer, 'header'>, what: 'requests' | 'tokens') =>
  [header(`x-ratelimit-limit-${what}`), header(`x-ratelimit-remaining-${what}`)] as const;

/** Resolves when the key has no request under way any more, and may have one. */
async function untilFree(house: KeysHouse): Promise<void> {
  for (;;) {
    if ((await chat('HTTP/1.1', house)).status !== 429) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test('answers say what is left of the limits', async () => {
    const house = await keysHouse();
    await house.add(SECRET, { rpmLimit: 3, tpmLimit: 100 });
    const first = await chat(protocol, house);
    expect([first.status, limitsOf(first, 'requests'), limitsOf(first, 'tokens')]).toEqual([
      200,
      ['3', '2'],
      ['100', '100'],
    ]);
    expect(first.header('x-ratelimit-reset-requests')).toMatch(/^\d+$/);
    const second = await chat(protocol, house);
    expect([limitsOf(second, 'requests'), limitsOf(second, 'tokens')]).toEqual([
      ['3', '1'],
      ['100', String(100 - TOKENS)],
    ]);
  });

  test('answers to who has no limits say nothing of them', async () => {
    const house = await keysHouse();
    await house.add(SECRET);
    expect((await chat(protocol, house)).headers.join('\n')).not.toMatch(/ratelimit/i);
    const path = '/v1/chat/completions';
    const asMaster = await ask(protocol, house.port, {
      method: 'POST',
      path,
      headers: [...JSON_TYPE, ...bearer(MASTER)],
      body: '{"model":"lang"}',
    });
    expect([asMaster.status, asMaster.headers.join('\n')]).toEqual([
      200,
      expect.not.stringMatching(/ratelimit/i),
    ]);
  });

  test("the target's own limits aren't taken for the key's", async () => {
    const theirs = 'X-RateLimit-Limit-Requests: 999\r\nx-ratelimit-limit-tokens: 888\r\n';
    const house = await keysHouse({ script: CHAT.replace('\r\n\r\n', `\r\n${theirs}\r\n`) });
    await house.add(SECRET, { rpmLimit: 3 });
    const answer = await chat(protocol, house);
    expect([answer.header('x-ratelimit-limit-requests'), answer.header('x-ratelimit-limit-tokens')]).toEqual([
      '3',
      '888',
    ]);
  });

  test('errors of ours behind the count say them, too, and the request counts', async () => {
    const house = await keysHouse({ script: (exchange) => exchange.reset() });
    await house.add(SECRET, { rpmLimit: 4 });
    const failed = await chat(protocol, house);
    expect([failed.status, limitsOf(failed, 'requests')]).toEqual([502, ['4', '3']]);
    const missing = await chat(protocol, house, 'nothing');
    expect([missing.status, limitsOf(missing, 'requests')]).toEqual([404, ['4', '2']]);
    const headers = [...HEADERS, 'x-sluice-model', 'lang'];
    const admin = await ask(protocol, house.port, { method: 'POST', path: '/vllm/sleep', headers, body: '' });
    expect([admin.status, errorOf(admin).code, limitsOf(admin, 'requests')]).toEqual([
      403,
      'master_key_required',
      ['4', '1'],
    ]);
  });

  test('what is refused by model or route counts nothing', async () => {
    const house = await keysHouse();
    await house.add(SECRET, { rpmLimit: 1, models: ['lang'], allowedRoutes: ['/v1'] });
    expect((await chat(protocol, house, 'team/code')).status).toBe(403);
    const elsewhere = await ask(protocol, house.port, { path: '/vllm/metrics', headers: HEADERS });
    expect(elsewhere.status).toBe(403);
    expect((await chat(protocol, house)).status).toBe(200);
  });

  test('the list of models is what the key may use, and counts nothing', async () => {
    const house = await keysHouse();
    await house.add(SECRET, { rpmLimit: 1, models: ['team/*', 'gone'] });
    const list = async (secret: string) => {
      const answer = await ask(protocol, house.port, { path: '/v1/models', headers: bearer(secret) });
      const { data } = JSON.parse(answer.body.toString()) as { readonly data: readonly { id: string }[] };
      return data.map(({ id }) => id);
    };
    expect(await list(MASTER)).toEqual(['lang', 'team/code']);
    for (let i = 0; i < 3; i++) expect(await list(SECRET)).toEqual(['team/code']);
    const one = async (model: string) => {
      const answer = await ask(protocol, house.port, {
        path: `/v1/models/${model}`,
        headers: bearer(SECRET),
      });
      return answer.status;
    };
    expect([await one('team%2Fcode'), await one('lang')]).toEqual([200, 403]);
    expect((await chat(protocol, house, 'team/code')).status).toBe(200);
  });

  test('an open route counts a key that is shown, and never sends it on', async () => {
    const house = await keysHouse();
    await house.add(SECRET, { rpmLimit: 1 });
    const path = '/open/x';
    const first = await ask(protocol, house.port, { path, headers: bearer(SECRET) });
    const second = await ask(protocol, house.port, { path, headers: bearer(SECRET) });
    const own = await ask(protocol, house.port, { path, headers: bearer('sk-own-of-the-target') });
    expect([first.status, second.status, own.status]).toEqual([200, 429, 200]);
    expect(house.upstream.exchanges.map((seen) => seen.header('authorization'))).toEqual([
      null,
      'Bearer sk-own-of-the-target',
    ]);
  });

  test('a closed route honours keys and their limits, and sends none of them on', async () => {
    const house = await keysHouse();
    await house.add(SECRET, { rpmLimit: 1 });
    const headers = [...bearer(SECRET), 'Cookie', `a=1; key=${SECRET}`, 'Accept', 'x/y'];
    const path = `/closed/x?q=1&copy=${SECRET}`;
    expect((await ask(protocol, house.port, { path, headers })).status).toBe(200);
    expect((await ask(protocol, house.port, { path, headers })).status).toBe(429);
    expect(house.upstream.exchanges).toHaveLength(1);
    expect(house.upstream.exchanges[0]?.bytes.toString('latin1')).not.toContain(SECRET);
  });

  test.each(['/vllm/sleep', '/hosted_vllm/%73leep', '/v1/load_lora_adapter', '/vllm//reset_prefix_cache/'])(
    '%s administers vLLM: no virtual key gets there',
    async (path) => {
      const house = await keysHouse();
      await house.add(SECRET);
      const headers = [...HEADERS, 'x-sluice-model', 'lang'];
      const answer = await ask(protocol, house.port, { method: 'POST', path, headers, body: '{}' });
      expect([answer.status, errorOf(answer).code]).toEqual([403, 'master_key_required']);
      expect(house.upstream.connections).toBe(0);
    },
  );

  test('a key in the path is refused, and not logged', async () => {
    const house = await keysHouse();
    await house.add(SECRET);
    const path = `/closed/${SECRET}`;
    expect((await ask(protocol, house.port, { path, headers: bearer(SECRET) })).status).toBe(400);
    // Nobody knows whose it is when its caller isn't let in.
    expect((await ask(protocol, house.port, { path })).status).toBe(401);
    await house.line(({ why }) => why === 'missing_key');
    expect(JSON.stringify(house.lines)).not.toContain(SECRET);
  });
});

describe('a key that may use some models alone', () => {
  async function held(models: readonly string[]) {
    const house = await keysHouse();
    await house.add(SECRET, { models });
    const status = async (path: string, headers: readonly string[] = [], body?: string) => {
      const question = body === undefined ? { method: 'GET' } : { method: 'POST', body };
      const all = [...headers, ...bearer(SECRET)];
      const answer = await ask('HTTP/1.1', house.port, { ...question, path, headers: all });
      return answer.status === 200 ? 200 : `${answer.status} ${errorOf(answer).code}`;
    };
    return { house, status };
  }

  test('may send what names no model where it would go to one of them', async () => {
    const { status } = await held(['lang']);
    // The only vLLM server, and the only one of OpenAI.
    expect(await status('/vllm/metrics')).toBe(200);
    expect(await status('/openai/v1/files')).toBe('403 model_not_allowed');
    expect(await status('/vllm/metrics', ['x-sluice-model', 'lang'])).toBe(200);
    expect(await status('/vllm/metrics', ['x-sluice-model', 'team/code'])).toBe('403 model_not_allowed');
    expect(await status('/v1/x', ['Content-Type', 'image/png'], '\x89PNG')).toBe(200);
  });

  test('may send no body whose model nobody can read', async () => {
    const { house, status } = await held(['lang']);
    const body = '{"model":"team/code"}';
    for (const headers of [
      ['Content-Type', 'application/json; charset=utf-16'],
      ['Content-Type', 'application/x-ndjson'],
      ['Content-Type', 'multipart/form-data'],
    ]) {
      expect(await status('/v1/x', headers, body)).toBe('403 model_not_allowed');
      expect(await status('/closed/x', headers, body)).toBe('403 model_not_allowed');
    }
    const zipped = ['Content-Type', 'image/png', 'Content-Encoding', 'gzip'];
    expect(await status('/v1/x', zipped, body)).toBe('415 unsupported_encoding');
    expect(house.upstream.connections).toBe(0);
  });

  test('may name no other model on a route, where a model need not be named', async () => {
    const { house, status } = await held(['lang']);
    expect(await status('/closed/x', JSON_TYPE, '{"model":"rerank-v3"}')).toBe('403 model_not_allowed');
    expect(await status('/closed/x', JSON_TYPE, '{"model":"lang"}')).toBe(200);
    expect(await status('/closed/x', JSON_TYPE, '{"query":"x"}')).toBe(200);
    expect(await status('/closed/x')).toBe(200);
    expect(house.upstream.exchanges.map(({ body }) => body.toString())).toEqual([
      '{"model":"lang"}',
      '{"query":"x"}',
      '',
    ]);
  });

  test('may open a websocket to no other', async () => {
    const { house } = await held(['lang']);
    for (const path of ['/v1/realtime?model=team%2Fcode', '/closed/x?model=team%2Fcode']) {
      const { status } = await openWebSocket('HTTP/1.1', house.port, { path, headers: bearer(SECRET) });
      expect(status).toBe(403);
    }
  });
});

describe('what was used', () => {
  test('is paid for: tokens by their prices', async () => {
    const house = await keysHouse();
    const key = await house.add(SECRET);
    await chat('HTTP/1.1', house);
    await chat('HTTP/2', house);
    expect(await house.spent(key, (usd) => usd >= 26)).toBe(2 * (7 + 2 * 3));
  });

  test('is paid for: requests by their price, but for those that the target refused or never had', async () => {
    const answers = [CHAT, 'HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n', 'no HTTP at all\r\n\r\n', CHAT];
    const house = await keysHouse({ script: (exchange) => exchange.send(answers.shift() ?? '') });
    const key = await house.add(SECRET);
    const statuses = [];
    for (let i = 0; i < 4; i++) {
      statuses.push((await ask('HTTP/1.1', house.port, { path: '/dear', headers: bearer(SECRET) })).status);
    }
    expect(statuses).toEqual([200, 500, 502, 200]);
    expect(await house.spent(key, (usd) => usd >= 0.5)).toBe(0.5);
  });

  test('is counted by whatever RPC it came', async () => {
    const house = await keysHouse();
    const key = await house.add(SECRET, { tpmLimit: 1_000_000, rpmLimit: 1_000 });
    let asked = 0;
    for (const wire of WIRES) {
      const client = createClient(ModelService, transportTo(house.url, wire));
      const headers = { authorization: `Bearer ${SECRET}` };
      const told: Headers[] = [];
      const onHeader = (head: Headers) => void told.push(head);
      await client.infer({ modelId: 'lang', prompt: 'x' }, { headers, onHeader });
      for await (const _ of client.streamInfer({ modelId: 'lang', prompt: 'x' }, { headers, onHeader })) {
        // Read to its end.
      }
      asked += 2;
      expect(told.map((head) => head.get('x-ratelimit-remaining-requests'))).toEqual([
        String(1_001 - asked),
        String(1_000 - asked),
      ]);
    }
    expect(await house.spent(key, (usd) => usd >= asked * 13)).toBe(asked * 13);
    const rest = await ask('HTTP/1.1', house.port, {
      method: 'POST',
      path: '/llm/inference/',
      headers: HEADERS,
      body: '{"model_id":"lang","prompt":"x"}',
    });
    expect([rest.status, limitsOf(rest, 'requests'), limitsOf(rest, 'tokens')]).toEqual([
      200,
      ['1000', String(999 - asked)],
      ['1000000', String(1_000_000 - asked * TOKENS)],
    ]);
  });

  test('of a stream that breaks off counts as far as it came', async () => {
    const event = 'data: {"choices":[{"delta":{"content":"x"}}]}\n\n';
    const head = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n';
    const piece = event.repeat(5);
    const house = await keysHouse({
      script: (exchange) => {
        exchange.send(`${head}${piece.length.toString(16)}\r\n${piece}\r\n`);
        exchange.end();
      },
    });
    await house.add(SECRET, { tpmLimit: 1_000 });
    const body = JSON.stringify({ model: 'lang', messages: [] });
    const broken = await chat('HTTP/1.1', house);
    expect([broken.status, broken.whole]).toEqual([200, false]);
    // Five events, and a guess at the prompt.
    const used = 5 + Math.ceil(body.length / 4);
    expect(limitsOf(await chat('HTTP/1.1', house), 'tokens')).toEqual(['1000', String(1_000 - used)]);
  });
});

describe('a place among the requests under way', () => {
  const HANGING = { script: () => {}, runs: 'at the head' } as const;
  const question = {
    method: 'POST',
    path: '/v1/chat/completions',
    headers: HEADERS,
    body: JSON.stringify({ model: 'lang', messages: [] }),
  };

  test.each(PROTOCOLS)('is taken as long as the answer comes, over %s', async (protocol) => {
    const house = await keysHouse(HANGING);
    await house.add(SECRET, { maxParallelRequests: 1 });
    const live = open(protocol, house.port, question);
    const exchange = await house.upstream.next();
    expect((await ask(protocol, house.port, question)).status).toBe(429);
    exchange.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n');
    await live.received(1);
    expect((await ask(protocol, house.port, question)).status).toBe(429);
    exchange.send('0\r\n\r\n');
    await live.answer();
    const next = open(protocol, house.port, question);
    (await house.upstream.next()).send(CHAT);
    expect((await next.answer()).status).toBe(200);
  });

  test.each(PROTOCOLS)('is given back by a client that leaves, over %s', async (protocol) => {
    for (const moment of ['before the head', 'in the answer'] as const) {
      let isLeft = false;
      const house = await keysHouse({
        runs: 'at the head',
        script: (exchange) => {
          if (isLeft) exchange.send(CHAT);
          else if (moment === 'in the answer') {
            exchange.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n');
          }
        },
      });
      await house.add(SECRET, { maxParallelRequests: 1 });
      const live = open(protocol, house.port, question);
      await house.upstream.next();
      if (moment === 'in the answer') await live.received(1);
      isLeft = true;
      live.vanish();
      await untilFree(house);
    }
  });

  test('is given back when the upstream breaks off', async () => {
    const answers = ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n', ''];
    const house = await keysHouse({
      script: (exchange) => exchange.end(answers.shift() ?? CHAT),
    });
    await house.add(SECRET, { maxParallelRequests: 1 });
    expect((await ask('HTTP/1.1', house.port, question)).whole).toBe(false);
    expect((await ask('HTTP/1.1', house.port, question)).status).toBe(502);
    expect((await ask('HTTP/1.1', house.port, question)).status).toBe(200);
  });

  test('is given back by an error of ours', async () => {
    const house = await keysHouse();
    await house.add(SECRET, { maxParallelRequests: 1 });
    for (let i = 0; i < 3; i++) {
      expect((await chat('HTTP/1.1', house, 'nothing')).status).toBe(404);
      const admin = { ...question, path: '/vllm/sleep' };
      expect((await ask('HTTP/1.1', house.port, admin)).status).toBe(403);
      const twice = { ...question, body: '{"model":"lang","model":"team/code"}' };
      expect((await ask('HTTP/1.1', house.port, twice)).status).toBe(400);
    }
    expect((await chat('HTTP/1.1', house)).status).toBe(200);
  });

  test.each(PROTOCOLS)('is a websocket’s until it is closed, over %s', async (protocol) => {
    const house = await keysHouse({ script: () => {} });
    await house.add(SECRET, { maxParallelRequests: 1, rpmLimit: 50 });
    const options = { path: '/v1/realtime?model=lang', headers: bearer(SECRET) };
    const asking = openWebSocket(protocol, house.port, options);
    const server = acceptWebSocket(await house.upstream.next());
    const handshake = await asking;
    expect(handshake.header('x-ratelimit-remaining-requests')).toBe('49');
    expect((await openWebSocket(protocol, house.port, options)).status).toBe(429);
    handshake.end?.send(closeFrame(1000, '', true));
    server.send(closeFrame(1000, '', false));
    server.stream.end();
    await handshake.end?.over();
    await house.line(({ outcome, path }) => outcome === 'complete' && path === '/v1/realtime');
    const again = openWebSocket(protocol, house.port, options);
    acceptWebSocket(await house.upstream.next());
    expect((await again).end).not.toBeNull();
  });

  test('is given back by a stream of RPC that is left', async () => {
    const head = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n';
    const event = 'data: {"choices":[{"delta":{"content":"x"}}]}\n\n';
    let isLeft = false;
    const house = await keysHouse({
      script: (exchange) => {
        if (isLeft) exchange.send(CHAT);
        else exchange.send(`${head}${event.length.toString(16)}\r\n${event}\r\n`);
      },
    });
    await house.add(SECRET, { maxParallelRequests: 1 });
    const client = createClient(ModelService, transportTo(house.url, { protocol: 'grpc', httpVersion: '2' }));
    const leaving = new AbortController();
    const pieces = client.streamInfer(
      { modelId: 'lang', prompt: 'x' },
      { headers: { authorization: `Bearer ${SECRET}` }, signal: leaving.signal },
    );
    const iterator = pieces[Symbol.asyncIterator]();
    expect((await iterator.next()).value).toMatchObject({ response: 'x' });
    expect((await chat('HTTP/1.1', house)).status).toBe(429);
    isLeft = true;
    leaving.abort();
    await expect(iterator.next()).rejects.toThrow();
    await untilFree(house);
  });
});
