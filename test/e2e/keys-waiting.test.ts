import { createClient } from '@connectrpc/connect';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ModelService } from '../../gen/sluice/v1/model_service_pb.ts';
import { PassthroughService } from '../../gen/sluice/v1/passthrough_service_pb.ts';
import type { KeySource } from '../../src/access/key-cache.ts';
import type { Grant, Limiter, Used } from '../../src/access/limiter.ts';
import { parseConfig } from '../../src/base/config/parse.ts';
import { SluiceError } from '../../src/base/errors.ts';
import { Inference } from '../../src/models/inference.ts';
import type { RelayContext } from '../../src/relay/enter.ts';
import { contextFrom } from '../../src/server/context.ts';
import { createHandlers } from '../../src/server/dispatch.ts';
import { createRest } from '../../src/server/rest.ts';
import { createRpcServer } from '../../src/server/rpc.ts';
import { createAdmission } from '../../src/service/admission.ts';
import { bind } from '../../src/service/binding.ts';
import { createForwardService } from '../../src/service/forward-service.ts';
import { createModelService } from '../../src/service/model-service.ts';
import type { StoredKey } from '../../src/store/key-store.ts';
import type { RequestRecord } from '../../src/telemetry/request-log.ts';
import { Http1Client } from '../../src/upstream/http1/http1-client.ts';
import { ReplicaTable } from '../../src/upstream/pick.ts';
import { PROVIDERS } from '../../src/upstream/providers.ts';
import { ask, errorOf, open, PROTOCOLS } from '../helpers/ask.ts';
import { type Script, type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts';
import { Watch } from '../helpers/watch.ts';
import { openWebSocket } from '../helpers/websocket.ts';
import { openPlane } from '../models/plane.ts';
import { openTestPort } from '../server/port-fixture.ts';
import { refusalOf, transportTo } from '../server/rpc-fixture.ts';
import { collect, headers as headerList } from '../service/forward-fixture.ts';
import { key as sample } from '../store/samples.ts';
import { bearer, CHAT, JSON_TYPE, TOKENS } from './keys-house.ts';

const SECRET = 'sk-of-the-one-who-asks';
const LIMITS = ['x-ratelimit-limit-requests', '7'];

/** What somebody waits for, until the test says what it is. */
class Answers<T> {
  readonly #waiting: PromiseWithResolvers<T>[] = [];
  readonly #watch = new Watch();

  ask(): Promise<T> {
    const waiting = Promise.withResolvers<T>();
    this.#waiting.push(waiting);
    this.#watch.changed();
    return waiting.promise;
  }

  /** Resolves when this many wait. */
  async asked(count: number): Promise<void> {
    await this.#watch.until(() => this.#waiting.length >= count);
  }

  /** Answers the one that waits longest, and waits until one does. */
  async give(answer: T | SluiceError): Promise<void> {
    await this.asked(1);
    const waiting = this.#waiting.shift();
    if (answer instanceof SluiceError) waiting?.reject(answer);
    else waiting?.resolve(answer);
  }
}

/** A grant that notes how it was settled. */
class NotedGrant implements Grant {
  readonly headers = LIMITS;
  readonly counts = true;
  readonly settled: Used[] = [];

  settle(used: Used): void {
    this.settled.push(used);
  }
}

interface House {
  readonly port: number;
  readonly url: string;
  readonly upstream: ScriptedUpstream;
  /** The door waits for these. */
  readonly keys: Answers<StoredKey | null>;
  /** And then for these. */
  readonly grants: Answers<Grant>;
  readonly records: readonly RequestRecord[];
  recorded(count: number): Promise<void>;
}

/** A gateway whose door has to ask for everything, as it does of Redis. */
async function slowHouse(script: Script = CHAT, runs: 'when complete' | 'at the head' = 'when complete') {
  const upstream = await startUpstream(script, { runs });
  const yaml = `
model_list:
  - {model_name: lang, litellm_params: {model: hosted_vllm/lang, api_base: "${upstream.url}"}}
  - {model_name: other, litellm_params: {model: openai/other, api_base: "${upstream.url}/v1", api_key: k}}
general_settings:
  master_key: sk-master
  pass_through_endpoints: [{path: /closed, target: "${upstream.url}/t", auth: true, include_subpath: true}]
`;
  const config = parseConfig(yaml, { file: 'config.yaml', env: {}, providers: PROVIDERS, baseDir: '.' });
  const keys = new Answers<StoredKey | null>();
  const grants = new Answers<Grant>();
  const source: KeySource = { find: () => keys.ask() };
  const limiter: Limiter = { take: () => grants.ask(), close: async () => {} };
  const records: RequestRecord[] = [];
  const watch = new Watch();
  const log = (record: RequestRecord): void => {
    records.push(record);
    watch.changed();
  };
  const client = new Http1Client();
  onTestFinished(() => client.close());
  const context: RelayContext = contextFrom(
    config,
    { deployments: [], asleep: new Set(), routes: config.routes },
    {
      client,
      log,
      detail: null,
      wake: () => Promise.reject(new Error('no model sleeps here')),
      replicas: new ReplicaTable(),
      keys: source,
      limiter,
    },
  );
  const { models } = await openPlane();
  const relay = () => context;
  const inference = new Inference({ models, relay });
  const admit = createAdmission(() => context.door);
  const shared = { admit, log, bodyTimeoutMs: 5_000 };
  const rpc = createRpcServer({
    ...shared,
    services: [
      bind(ModelService, createModelService({ models, inference, door: () => context.door })),
      bind(PassthroughService, createForwardService(relay), {
        forward: { quiet: true },
        fetch: { quiet: true },
      }),
    ],
  });
  const rest = createRest({ ...shared, services: rpc.services, transport: rpc.transport });
  const state = {
    context,
    hostCheck: null,
    draining: false,
    isDegraded: () => false,
    version: '0',
    configuredAt: 0,
  };
  const handlers = createHandlers(() => state, { rpc, rest, docs: () => null }, undefined);
  const port = await openTestPort({ handlers });
  const house: House = {
    port: port.address.port,
    url: `http://127.0.0.1:${port.address.port}`,
    upstream,
    keys,
    grants,
    records,
    recorded: (count) => watch.until(() => records.length >= count),
  };
  return house;
}

const KEY = sample('slow', { tpmLimit: 1_000 });
const away = () => new SluiceError('store_unavailable', 'The store is away.');
const HEADERS = [...JSON_TYPE, ...bearer(SECRET)];
const BODY = '{"model":"lang","messages":[]}';
const QUESTION = { method: 'POST', path: '/v1/chat/completions', headers: HEADERS };

describe.each(PROTOCOLS)('over %s a request that has to wait', (protocol) => {
  test('for the door, and for its limits, is answered in the end', async () => {
    const house = await slowHouse();
    const grant = new NotedGrant();
    const live = open(protocol, house.port, { ...QUESTION, body: BODY });
    await house.keys.give(KEY);
    await house.grants.give(grant);
    const answer = await live.answer();
    expect([answer.status, answer.header('x-ratelimit-limit-requests')]).toEqual([200, '7']);
    expect(house.upstream.exchanges[0]?.body.toString()).toBe(BODY);
    await house.recorded(1);
    expect(grant.settled).toEqual([{ tokens: TOKENS, costUsd: 0 }]);
  });

  test('keeps its body meanwhile, whole and in order, and sends nothing of it on', async () => {
    const house = await slowHouse();
    const grant = new NotedGrant();
    const large = `{"model":"lang","text":"${'0123456789'.repeat(300_000)}"}`;
    const live = open(protocol, house.port, { ...QUESTION, body: [] });
    live.write(large.slice(0, 10));
    await house.keys.asked(1);
    live.write(large.slice(10, 1_000_000));
    await house.keys.give(KEY);
    await house.grants.asked(1);
    expect(house.upstream.connections).toBe(0);
    live.write(large.slice(1_000_000));
    live.end();
    await house.grants.give(grant);
    expect((await live.answer()).status).toBe(200);
    expect(house.upstream.exchanges[0]?.body.toString() === large).toBe(true);
    await house.recorded(1);
    expect(grant.settled).toHaveLength(1);
  });

  test('is not asked for its body before the door has let it in', async () => {
    const house = await slowHouse();
    const headers = [...HEADERS, 'Expect', '100-continue'];
    const refused = open(protocol, house.port, { ...QUESTION, headers, body: [] });
    await house.keys.give(null);
    const { status, interim } = await refused.answer();
    expect([status, interim]).toEqual([401, []]);
    const admitted = open(protocol, house.port, { ...QUESTION, headers, body: [] });
    await house.keys.give(KEY);
    await admitted.interim(100);
    admitted.write(BODY);
    admitted.end();
    await house.grants.give(new NotedGrant());
    expect((await admitted.answer()).status).toBe(200);
  });

  test.each([
    ['an unknown key', null, 401, 'unknown_key'],
    ['a blocked one', sample('slow', { blocked: true }), 401, 'blocked_key'],
    ['a store that is away', away(), 503, 'store_unavailable'],
  ] as const)('is refused at the door: %s', async (_, found, status, code) => {
    const house = await slowHouse();
    for (const body of [BODY, undefined] as const) {
      const question = body === undefined ? { ...QUESTION, method: 'GET' } : { ...QUESTION, body };
      const live = open(protocol, house.port, question);
      await house.keys.give(found);
      const answer = await live.answer();
      expect([answer.status, errorOf(answer).code]).toEqual([status, code]);
    }
    expect(house.upstream.connections).toBe(0);
  });

  test('is refused by its limits', async () => {
    const house = await slowHouse();
    const live = open(protocol, house.port, { ...QUESTION, body: BODY });
    await house.keys.give(KEY);
    const headers = ['retry-after', '3', ...LIMITS];
    await house.grants.give(new SluiceError('rate_limited', 'wait', { headers }));
    const answer = await live.answer();
    expect([
      answer.status,
      answer.header('retry-after'),
      answer.header('x-ratelimit-limit-requests'),
    ]).toEqual([429, '3', '7']);
    expect(house.upstream.connections).toBe(0);
  });

  test.each(['before its body', 'in its body', 'behind its body'] as const)(
    'and whose client leaves at the door, %s, is gone',
    async (moment) => {
      const house = await slowHouse();
      const live = open(protocol, house.port, {
        ...QUESTION,
        body: moment === 'behind its body' ? BODY : [],
      });
      if (moment === 'in its body') live.write(BODY.slice(0, 12));
      await house.keys.asked(1);
      live.vanish();
      await house.recorded(1);
      expect(house.records[0]).toMatchObject({ status: 499, outcome: 'client_left' });
      await house.keys.give(KEY);
      await answersNext(house);
      expect(house.upstream.exchanges).toHaveLength(1);
    },
  );

  test.each(['in its body', 'behind its body'] as const)(
    'and whose client leaves while its limits are asked, %s, gives them back',
    async (moment) => {
      const house = await slowHouse();
      const late = new NotedGrant();
      const isWhole = moment === 'behind its body';
      const live = open(protocol, house.port, { ...QUESTION, body: isWhole ? BODY : [] });
      if (!isWhole) live.write(BODY);
      await house.keys.give(KEY);
      await house.grants.asked(1);
      live.vanish();
      await house.recorded(1);
      expect(house.records[0]).toMatchObject({ status: 499, outcome: 'client_left' });
      await house.grants.give(late);
      await answersNext(house);
      expect(late.settled).toEqual([{ tokens: 0, costUsd: 0 }]);
      expect(house.upstream.exchanges).toHaveLength(1);
    },
  );

  test('and whose second model comes while it waits is refused', async () => {
    const house = await slowHouse();
    const late = new NotedGrant();
    const live = open(protocol, house.port, { ...QUESTION, body: [] });
    live.write('{"model":"lang",');
    await house.keys.give(KEY);
    await house.grants.asked(1);
    live.write('"model":"other"}');
    live.end();
    expect((await live.answer()).status).toBe(400);
    await house.grants.give(late);
    await answersNext(house);
    expect(late.settled).toEqual([{ tokens: 0, costUsd: 0 }]);
  });

  test('for the list of models is answered, or gone', async () => {
    const house = await slowHouse();
    const question = { path: '/v1/models', headers: bearer(SECRET) };
    const left = open(protocol, house.port, question);
    await house.keys.asked(1);
    left.vanish();
    await house.keys.give(KEY);
    const live = open(protocol, house.port, question);
    await house.keys.give(sample('slow', { models: ['other'] }));
    const answer = await live.answer();
    expect(JSON.parse(answer.body.toString()).data).toMatchObject([{ id: 'other' }]);
    const refused = open(protocol, house.port, question);
    await house.keys.give(away());
    expect((await refused.answer()).status).toBe(503);
  });

  test('as a websocket is answered, refused, or gone', async () => {
    const house = await slowHouse(() => {});
    const options = { path: '/v1/realtime?model=lang', headers: bearer(SECRET) };
    const unknown = openWebSocket(protocol, house.port, options);
    await house.keys.give(null);
    expect((await unknown).status).toBe(401);
    const limited = openWebSocket(protocol, house.port, options);
    await house.keys.give(KEY);
    await house.grants.give(new SluiceError('rate_limited', 'wait', { headers: LIMITS }));
    expect((await limited).status).toBe(429);
    const grant = new NotedGrant();
    const declined = openWebSocket(protocol, house.port, options);
    await house.keys.give(KEY);
    await house.grants.give(grant);
    (await house.upstream.next()).send('HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n');
    const handshake = await declined;
    expect([handshake.status, handshake.header('x-ratelimit-limit-requests')]).toEqual([403, '7']);
    await house.recorded(3);
    expect(grant.settled).toEqual([{ tokens: 0, costUsd: 0 }]);
  });
});

/** Lets another request through, so that all that the ones before have set off has happened. */
async function answersNext(house: House): Promise<void> {
  const live = open('HTTP/1.1', house.port, { ...QUESTION, body: BODY });
  await house.keys.give(KEY);
  await house.grants.give(new NotedGrant());
  expect((await live.answer()).status).toBe(200);
}

describe('a call that has to wait', () => {
  const question = { modelId: 'lang', prompt: 'x' };
  const headers = { authorization: `Bearer ${SECRET}` };

  test.each(['connect', 'grpc', 'grpc-web'] as const)('is answered, or refused, by %s', async (protocol) => {
    const house = await slowHouse();
    const client = createClient(ModelService, transportTo(house.url, { protocol, httpVersion: '2' }));
    const grant = new NotedGrant();
    const answered = client.infer(question, { headers });
    await house.keys.give(KEY);
    await house.grants.give(grant);
    expect((await answered).response).toBe('Paris');
    expect(grant.settled).toEqual([{ tokens: TOKENS, costUsd: 0 }]);
    const unknown = refusalOf(client.infer(question, { headers }));
    await house.keys.give(null);
    expect((await unknown).message).toMatch(/^\[unauthenticated\]/);
    const unavailable = refusalOf(client.infer(question, { headers }));
    await house.keys.give(away());
    expect((await unavailable).message).toMatch(/^\[unavailable\]/);
    const administering = refusalOf(client.loadModel({ configId: 'x' }, { headers }));
    await house.keys.give(KEY);
    expect((await administering).message).toMatch(/^\[permission_denied\]/);
  });

  test('is answered over REST', async () => {
    const house = await slowHouse();
    const grant = new NotedGrant();
    const body = '{"model_id":"lang","prompt":"x"}';
    const live = open('HTTP/1.1', house.port, { ...QUESTION, path: '/llm/inference/', body });
    await house.keys.give(KEY);
    await house.grants.give(grant);
    const answer = await live.answer();
    expect([answer.status, answer.header('x-ratelimit-limit-requests')]).toEqual([200, '7']);
    expect(grant.settled).toHaveLength(1);
  });

  test.each(PROTOCOLS)(
    'over REST on %s, and whose client leaves, gives its limits back',
    async (protocol) => {
      const house = await slowHouse();
      const late = new NotedGrant();
      const body = '{"model_id":"lang","prompt":"x"}';
      const live = open(protocol, house.port, { ...QUESTION, path: '/llm/inference/', body });
      await house.keys.give(KEY);
      await house.grants.asked(1);
      live.vanish();
      await house.grants.give(late);
      await expect.poll(() => late.settled.length).toBe(1);
      expect(late.settled).toEqual([{ tokens: 0, costUsd: 0 }]);
    },
  );

  test('for a stream, and whose client leaves, gives its limits back once', async () => {
    const house = await slowHouse();
    const client = createClient(ModelService, transportTo(house.url, { protocol: 'grpc', httpVersion: '2' }));
    const leaving = new AbortController();
    const pieces = client.streamInfer(question, { headers, signal: leaving.signal });
    const left = refusalOf(pieces[Symbol.asyncIterator]().next());
    await house.keys.give(KEY);
    await house.grants.asked(1);
    leaving.abort();
    await left;
    const late = new NotedGrant();
    await house.grants.give(late);
    await expect.poll(() => late.settled.length).toBeGreaterThan(0);
    expect(late.settled).toEqual([{ tokens: 0, costUsd: 0 }]);
  });

  test('of Fetch is answered, and one that is cancelled is gone', async () => {
    const house = await slowHouse();
    const client = createClient(
      PassthroughService,
      transportTo(house.url, { protocol: 'grpc', httpVersion: '2' }),
    );
    const head = { method: 'POST', path: '/v1/x', headers: headerList(...JSON_TYPE) };
    const request = { head, body: Buffer.from(BODY) };
    const grant = new NotedGrant();
    const answered = collect(client.fetch(request, { headers }));
    // How much is held of the message for the call, and then what the relay's door says of what is in it.
    await house.keys.give(KEY);
    await house.keys.give(KEY);
    await house.grants.give(grant);
    expect((await answered).status).toBe(200);
    expect(grant.settled).toEqual([{ tokens: TOKENS, costUsd: 0 }]);
    const leaving = new AbortController();
    const left = refusalOf(collect(client.fetch(request, { headers, signal: leaving.signal })));
    await house.keys.give(KEY);
    await house.keys.give(KEY);
    await house.grants.asked(1);
    leaving.abort();
    await left;
    await house.recorded(2);
    const late = new NotedGrant();
    await house.grants.give(late);
    await answersNext(house);
    expect(late.settled).toEqual([{ tokens: 0, costUsd: 0 }]);
  });
});

test('a request of the master waits for nobody', async () => {
  const house = await slowHouse();
  const headers = [...JSON_TYPE, ...bearer('sk-master')];
  expect((await ask('HTTP/1.1', house.port, { ...QUESTION, headers, body: BODY })).status).toBe(200);
});
