import { Code, type ConnectError, createClient, type Interceptor } from '@connectrpc/connect';
import { describe, expect, test } from 'vitest';
import { ErrorInfoSchema, RetryInfoSchema } from '../../gen/google/rpc/error_details_pb.ts';
import { ModelService } from '../../gen/sluice/v1/model_service_pb.ts';
import { PassthroughService } from '../../gen/sluice/v1/passthrough_service_pb.ts';
import type { StoredKey } from '../../src/store/key-store.ts';
import { ask, PROTOCOLS } from '../helpers/ask.ts';
import { openWebSocket } from '../helpers/websocket.ts';
import { refusalOf, transportTo, WIRES } from '../server/rpc-fixture.ts';
import { collect, headers as headerList, messages } from '../service/forward-fixture.ts';
import { bearer, JSON_TYPE, type KeysHouse, keysHouse } from './keys-house.ts';

const SECRET = 'sk-of-the-one-who-asks';

/** One refusal of ACCESS, as it is on every way in. */
interface Refusal {
  readonly name: string;
  /** Of the key that is stored with `SECRET`; null: none is. */
  readonly key: Partial<StoredKey> | null;
  /** What is shown, as a whole; default: the secret as a bearer. */
  readonly authorization?: string | null;
  /** Default `lang`. */
  readonly model?: string;
  /** Requests that pass before. */
  readonly before?: number;
  readonly status: number;
  readonly type: string;
  readonly code: string;
  readonly param?: string;
  readonly message: RegExp;
  readonly rpc: Code;
  /** Of the answer, beside those that all have; null: must not be there. */
  readonly headers: Readonly<Record<string, RegExp | null>>;
}

const UNAUTHENTICATED = {
  status: 401,
  type: 'authentication_error',
  rpc: Code.Unauthenticated,
  headers: { 'www-authenticate': /^Bearer$/, 'retry-after': null },
} as const;

const FORBIDDEN = {
  status: 403,
  type: 'permission_error',
  rpc: Code.PermissionDenied,
  headers: { 'www-authenticate': null, 'retry-after': null, 'x-ratelimit-limit-requests': null },
} as const;

const SECONDS = /^[1-9]\d?$/;

const REFUSALS: readonly Refusal[] = [
  {
    ...UNAUTHENTICATED,
    name: 'no key',
    key: null,
    authorization: null,
    code: 'missing_key',
    message: /^no API key passed in: send Authorization: Bearer sk-…$/,
  },
  {
    ...UNAUTHENTICATED,
    name: 'something that is no key',
    key: null,
    authorization: 'Bearer anything',
    code: 'malformed_key',
    message: /malformed/,
  },
  {
    ...UNAUTHENTICATED,
    name: 'a key without its scheme',
    key: {},
    authorization: SECRET,
    code: 'malformed_key',
    message: /malformed/,
  },
  { ...UNAUTHENTICATED, name: 'an unknown key', key: null, code: 'unknown_key', message: /not known/ },
  {
    ...UNAUTHENTICATED,
    name: 'an expired key',
    key: { expiresAt: 1_800_000 },
    code: 'expired_key',
    message: /expired/,
  },
  {
    ...UNAUTHENTICATED,
    name: 'a blocked key',
    key: { blocked: true },
    code: 'blocked_key',
    message: /blocked/,
  },
  {
    ...FORBIDDEN,
    name: 'a model that is not the key’s',
    key: { models: ['lang', 'openai/*'], rpmLimit: 5 },
    model: 'team/code',
    code: 'model_not_allowed',
    param: 'model',
    message: /may not use the model "team\/code"; it may use lang, openai\/\*\.$/,
  },
  {
    ...FORBIDDEN,
    name: 'a model that nobody has, and not the key',
    key: { models: ['lang'] },
    model: 'nothing',
    code: 'model_not_allowed',
    param: 'model',
    message: /may not use the model "nothing"/,
  },
  {
    ...FORBIDDEN,
    name: 'a route that is not the key’s',
    key: { allowedRoutes: ['/bria', '/v1x', '/ll', '/sluice'], rpmLimit: 5 },
    code: 'route_not_allowed',
    message: /may not call \/.*; it may call \/bria, \/v1x, \/ll, \/sluice\.$/,
  },
  {
    name: 'a request beyond those of a minute',
    key: { rpmLimit: 2 },
    before: 2,
    status: 429,
    type: 'rate_limit_error',
    code: 'rate_limited',
    message: /2 requests a minute/,
    rpc: Code.ResourceExhausted,
    headers: {
      'retry-after': SECONDS,
      'x-ratelimit-limit-requests': /^2$/,
      'x-ratelimit-remaining-requests': /^0$/,
      'x-ratelimit-reset-requests': /^\d+$/,
    },
  },
  {
    name: 'any request where none is allowed',
    key: { rpmLimit: 0 },
    status: 429,
    type: 'rate_limit_error',
    code: 'rate_limited',
    message: /0 requests a minute/,
    rpc: Code.ResourceExhausted,
    headers: { 'x-ratelimit-limit-requests': /^0$/, 'x-ratelimit-remaining-requests': /^0$/ },
  },
  {
    name: 'a request beyond the tokens of a minute',
    key: { tpmLimit: 10 },
    before: 1,
    status: 429,
    type: 'rate_limit_error',
    code: 'rate_limited',
    message: /10 tokens a minute/,
    rpc: Code.ResourceExhausted,
    headers: {
      'retry-after': SECONDS,
      'x-ratelimit-limit-tokens': /^10$/,
      'x-ratelimit-remaining-tokens': /^0$/,
      'x-ratelimit-limit-requests': null,
    },
  },
  {
    name: 'any request where none may be under way',
    key: { maxParallelRequests: 0 },
    status: 429,
    type: 'rate_limit_error',
    code: 'rate_limited',
    message: /0 requests under way/,
    rpc: Code.ResourceExhausted,
    headers: {},
  },
  {
    name: 'a request beyond the budget',
    key: { maxBudget: 1, spend: 1.5 },
    status: 429,
    type: 'budget_exceeded',
    code: 'budget_exceeded',
    message: /budget of 1 USD/,
    rpc: Code.ResourceExhausted,
    headers: { 'x-ratelimit-limit-requests': null },
  },
];

/** What an answer on HTTP must be; `lines` are its headers. */
function expectRefused(refusal: Refusal, status: number, lines: Headers, body: string): void {
  const { error } = JSON.parse(body);
  const { type, code, param = null } = refusal;
  expect([status, error.type, error.code, error.param]).toEqual([refusal.status, type, code, param]);
  expect(error.message).toMatch(refusal.message);
  expect(lines.get('content-type')).toBe('application/json');
  expect(lines.get('x-sluice-request-id')).toMatch(/./);
  expectHeaders(refusal, lines);
  expect(`${body}${JSON.stringify([...lines])}`).not.toContain(SECRET);
}

function expectRefusedCall(refusal: Refusal, error: ConnectError): void {
  expect(error.code).toBe(refusal.rpc);
  expect(error.rawMessage).toMatch(refusal.message);
  const reason = refusal.code.toUpperCase();
  const metadata = refusal.param === undefined ? {} : { param: refusal.param };
  expect(error.findDetails(ErrorInfoSchema)).toMatchObject([{ reason, domain: 'sluice', metadata }]);
  const delay = error.metadata.get('retry-after');
  const seconds = error.findDetails(RetryInfoSchema).map(({ retryDelay }) => retryDelay?.seconds);
  expect(seconds).toEqual(delay === null ? [] : [BigInt(delay)]);
  expectHeaders(refusal, error.metadata);
}

function expectHeaders(refusal: Refusal, lines: Headers): void {
  for (const [name, value] of Object.entries(refusal.headers)) {
    if (value === null) expect([name, lines.get(name)]).toEqual([name, null]);
    else expect(lines.get(name), name).toMatch(value);
  }
}

function headersFrom(pairs: readonly string[]): Headers {
  const lines = new Headers();
  for (let i = 0; i + 1 < pairs.length; i += 2) lines.append(pairs[i] as string, pairs[i + 1] as string);
  return lines;
}

const chat = (model: string) => JSON.stringify({ model, messages: [] });

/** A house where it is the next request that is refused; `reached` are the upstream's requests before. */
async function prepared(refusal: Refusal): Promise<{ house: KeysHouse; shown: string[]; reached: number }> {
  const house = await keysHouse();
  const { key, before = 0, authorization = `Bearer ${SECRET}` } = refusal;
  if (key !== null) await house.add(SECRET, key);
  for (let i = 0; i < before; i++) {
    const question = { method: 'POST', path: '/v1/chat/completions', body: chat('lang') };
    const answer = await ask('HTTP/1.1', house.port, {
      ...question,
      headers: [...JSON_TYPE, ...bearer(SECRET)],
    });
    expect(answer.status).toBe(200);
  }
  const shown = authorization === null ? [] : ['Authorization', authorization];
  return { house, shown, reached: before };
}

describe.each(REFUSALS)('$name', (refusal) => {
  const { model = 'lang' } = refusal;

  test('is refused on HTTP, and nothing goes on', async () => {
    const { house, shown, reached } = await prepared(refusal);
    const headers = [...JSON_TYPE, ...shown];
    const inference = JSON.stringify({ model_id: model, prompt: 'What is the capital of France?' });
    for (const protocol of PROTOCOLS) {
      for (const [path, body] of [
        ['/v1/chat/completions', chat(model)],
        ['/vllm/chat/completions', chat(model)],
        ['/chat/completions', chat(model)],
        ['/llm/inference/', inference],
        ['/llm/inference/stream', inference],
      ] as const) {
        const answer = await ask(protocol, house.port, { method: 'POST', path, headers, body });
        expectRefused(refusal, answer.status, headersFrom(answer.headers), answer.body.toString());
      }
    }
    expect(house.upstream.exchanges).toHaveLength(reached);
  });

  test('is refused on RPC, and nothing goes on', async () => {
    const { house, shown, reached } = await prepared(refusal);
    const [, authorization] = shown;
    const showing: Interceptor = (next) => (request) => {
      if (authorization !== undefined) request.header.set('authorization', authorization);
      return next(request);
    };
    for (const wire of WIRES) {
      const client = createClient(ModelService, transportTo(house.url, wire, { interceptors: [showing] }));
      const question = { modelId: model, prompt: 'What is the capital of France?' };
      const refused: readonly ConnectError[] = [
        await refusalOf(client.infer(question)),
        await refusalOf(client.streamInfer(question)[Symbol.asyncIterator]().next()),
      ];
      for (const error of refused) expectRefusedCall(refusal, error);
    }
    expect(house.upstream.exchanges).toHaveLength(reached);
  });

  test('is refused by Forward and Fetch, as an answer of HTTP', async () => {
    const { house, shown, reached } = await prepared(refusal);
    const wire = { protocol: 'grpc', httpVersion: '2' } as const;
    const client = createClient(PassthroughService, transportTo(house.url, wire));
    const body = Buffer.from(chat(model));
    // In the request, and in the call that carries it.
    const [, authorization] = shown;
    for (const [own, headers] of [
      [shown, {}],
      [[], authorization === undefined ? {} : { authorization }],
    ] as const) {
      const head = {
        method: 'POST',
        path: '/v1/chat/completions',
        headers: headerList(...JSON_TYPE, ...own),
      };
      const parts = messages({ case: 'head', value: head }, { case: 'chunk', value: body });
      for (const answers of [client.forward(parts, { headers }), client.fetch({ head, body }, { headers })]) {
        const answer = await collect(answers);
        expectRefused(refusal, answer.status, headersFrom(answer.headers), answer.body.toString());
      }
    }
    expect(house.upstream.exchanges).toHaveLength(reached);
  });

  test('is refused as a websocket, and nothing goes on', async () => {
    const { house, shown, reached } = await prepared(refusal);
    const path = `/v1/realtime?model=${encodeURIComponent(model)}`;
    for (const protocol of PROTOCOLS) {
      const handshake = await openWebSocket(protocol, house.port, { path, headers: shown });
      const { body } = await handshake.declined();
      const text = Buffer.from(body, 'latin1').toString();
      expectRefused(refusal, handshake.status, headersFrom(handshake.headers), text);
    }
    expect(house.upstream.exchanges).toHaveLength(reached);
  });
});
