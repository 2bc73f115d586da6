import { create } from '@bufbuild/protobuf';
import { Code, ConnectError, type HandlerContext, type Transport } from '@connectrpc/connect';
import { describe, expect, test } from 'vitest';
import { type Bridge, type BridgeOptions, createBridge } from '../../src/bridge/bridge.ts';
import type { BridgeResponse } from '../../src/bridge/bridge-response.ts';
import { ask, type Implementation, transportFor } from './bridge-fixture.ts';
import { buildTestProtos, serviceOf } from './protos.ts';

const service = serviceOf(buildTestProtos('library.proto'), 'bridge.test.v1.LibraryService');

function bridgeFor(watch: Implementation['watch'], options: Partial<BridgeOptions> = {}): Bridge {
  const transport = transportFor(service, watch === undefined ? {} : { watch });
  return createBridge({ services: [service], transport, ...options });
}

/** Asks for `/watch/b1` without reading the body. */
function watch(
  bridge: Bridge,
  signal = new AbortController().signal,
  method = 'GET',
): Promise<BridgeResponse> {
  const match = bridge.match(method, '/watch/b1');
  if (match === null) throw new Error('no match');
  return bridge.handle(match, { query: '', headers: [], body: null, signal });
}

function iteratorOf({ body }: BridgeResponse): AsyncIterator<Uint8Array, void> {
  if (body instanceof Uint8Array) throw new Error(`not a stream: ${Buffer.from(body)}`);
  return body;
}

async function* twoBooks({ id }: { id: string }) {
  yield { book: { id: `${id}\n` } };
  yield {};
}

async function* failingBooks() {
  yield { book: { id: 'b1' } };
  throw new ConnectError('gone', Code.NotFound);
}

const BOOK = '"size":"0","borrowed":false,"tags":[],"labels":{},"price":0}';
const EVENTS = ['accept', 'text/event-stream'];

describe('server streams', () => {
  test('are a line of JSON each', async () => {
    const answered = await ask(bridgeFor(twoBooks), 'GET', '/watch/b1');
    expect(answered.status).toBe(200);
    expect(answered.headers.get('content-type')).toBe('application/x-ndjson');
    expect(answered.text).toBe(`{"result":{"id":"b1\\n",${BOOK}}\n{"result":null}\n`);
  });

  test('are server-sent events for those who accept these', async () => {
    const answered = await ask(bridgeFor(twoBooks), 'GET', '/watch/b1', { headers: EVENTS });
    expect(answered.headers.get('content-type')).toBe('text/event-stream');
    expect(answered.headers.get('cache-control')).toBe('no-cache');
    expect(answered.text).toBe(`data: {"id":"b1\\n",${BOOK}\n\ndata: null\n\n`);
  });

  test('are whole messages where no response_body says otherwise', async () => {
    const answered = await ask(bridgeFor(twoBooks), 'POST', '/watch', { body: '{"id":"x"}' });
    expect(answered.text).toBe(`{"result":{"book":{"id":"x\\n",${BOOK}}}\n{"result":{}}\n`);
  });

  test.for([
    ['text/event-stream', 'text/event-stream'],
    ['TEXT/Event-Stream; q=0.5', 'text/event-stream'],
    ['application/json, text/event-stream;q=0.001', 'text/event-stream'],
    ['text/event-stream;q=0', 'application/x-ndjson'],
    ['text/event-stream;q=0.000', 'application/x-ndjson'],
    ['text/*', 'application/x-ndjson'],
    ['*/*', 'application/x-ndjson'],
    ['', 'application/x-ndjson'],
  ] as const)('for Accept: %s are %s', async ([accept, contentType]) => {
    const { headers } = await ask(bridgeFor(twoBooks), 'GET', '/watch/b1', { headers: ['accept', accept] });
    expect(headers.get('content-type')).toBe(contentType);
  });

  test('that fail at once have the status of their error', async () => {
    const bridge = bridgeFor(async function* () {
      if (bridge !== null) throw new ConnectError('none', Code.NotFound);
      yield {};
    });
    for (const headers of [[], EVENTS]) {
      const answered = await ask(bridge, 'GET', '/watch/b1', { headers });
      expect([answered.status, answered.message]).toEqual([404, 'none']);
      expect(answered.headers.get('content-type')).toBe('application/json');
    }
  });

  test('that fail later end with the error', async () => {
    const error = '{"error":{"code":404,"status":"NOT_FOUND","message":"gone","details":[]}}';
    const lines = await ask(bridgeFor(failingBooks), 'GET', '/watch/b1');
    expect([lines.status, lines.text.split('\n').slice(1)]).toEqual([200, [error, '']]);
    const events = await ask(bridgeFor(failingBooks), 'GET', '/watch/b1', { headers: EVENTS });
    expect(events.text.split('\n\n').slice(1)).toEqual([`event: error\ndata: ${error}`, '']);
    const response = await watch(bridgeFor(failingBooks));
    const body = iteratorOf(response);
    await body.next();
    expect(response.failure()).toBeNull();
    await body.next();
    expect(response.failure()).toMatchObject({ code: Code.NotFound });
    expect(await body.next()).toEqual({ done: true, value: undefined });
  });

  test('without a message are an empty body', async () => {
    const answered = await ask(
      bridgeFor(async function* () {}),
      'GET',
      '/watch/b1',
    );
    expect([answered.status, answered.text]).toEqual([200, '']);
  });

  test('bring headers at once and trailers at the end', async () => {
    const bridge = bridgeFor(async function* (_: never, context: HandlerContext) {
      context.responseHeader.set('x-head', 'h');
      yield {};
      context.responseTrailer.set('x-tail', 't');
    });
    const answered = await ask(bridge, 'GET', '/watch/b1');
    expect(answered.headers.get('x-head')).toBe('h');
    expect(answered.trailers).toEqual(['x-tail', 't']);
  });

  test('take no message before it is asked for, but for the first', async () => {
    let made = 0;
    const transport: Transport = {
      unary: () => Promise.reject(new Error('unused')),
      stream: (method) =>
        Promise.resolve({
          stream: true,
          service: method.parent,
          method,
          header: new Headers(),
          trailer: new Headers(),
          message: (async function* () {
            for (;;) {
              made++;
              yield create(method.output);
            }
          })(),
        }),
    };
    const response = await watch(createBridge({ services: [service], transport }));
    expect(made).toBe(1);
    const body = iteratorOf(response);
    await body.next();
    expect(made).toBe(1);
    await body.next();
    await body.next();
    expect(made).toBe(3);
    await body.return?.();
  });

  test('have their head before the first message when that takes its time', async () => {
    const first = Promise.withResolvers<void>();
    const bridge = bridgeFor(
      async function* () {
        await first.promise;
        yield { book: { id: 'late' } };
      },
      { streamHeadDelayMs: 1 },
    );
    const response = await watch(bridge);
    expect(response.status).toBe(200);
    const piece = iteratorOf(response).next();
    first.resolve();
    expect(Buffer.from((await piece).value ?? []).toString()).toContain('"late"');
  });

  test('that fail behind their head say so in their body', async () => {
    const first = Promise.withResolvers<void>();
    const bridge = bridgeFor(
      async function* () {
        await first.promise;
        yield {};
      },
      { streamHeadDelayMs: 1 },
    );
    const response = await watch(bridge);
    first.reject(new ConnectError('late', Code.Unavailable));
    expect(Buffer.from((await iteratorOf(response).next()).value ?? []).toString()).toContain('"late"');
  });
});

describe('a stream is cancelled', () => {
  /** An endless stream; resolves when its signal aborts. */
  function endless(): { implementation: Implementation['watch']; cancelled: Promise<void> } {
    const { promise, resolve } = Promise.withResolvers<void>();
    return {
      cancelled: promise,
      implementation: async function* (_: never, { signal }: HandlerContext) {
        signal.addEventListener('abort', () => resolve());
        yield { book: { id: 'b1' } };
        await promise;
      },
    };
  }

  test('when the client leaves', async () => {
    const { implementation, cancelled } = endless();
    const client = new AbortController();
    const response = await watch(bridgeFor(implementation), client.signal);
    const body = iteratorOf(response);
    await body.next();
    const next = body.next();
    client.abort();
    await cancelled;
    expect(Buffer.from((await next).value ?? []).toString()).toContain('"CANCELED"');
  });

  test('when the client has left before it begins', async () => {
    const { implementation } = endless();
    const response = await watch(bridgeFor(implementation), AbortSignal.abort());
    expect(response.status).toBe(499);
  });

  test('when the client leaves before the first message', async () => {
    const { promise: begun, resolve } = Promise.withResolvers<void>();
    const bridge = bridgeFor(async function* (_: never, { signal }: HandlerContext) {
      resolve();
      await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      yield {};
    });
    const client = new AbortController();
    const response = watch(bridge, client.signal);
    await begun;
    client.abort();
    expect((await response).status).toBe(499);
  });

  test('when its reader gives up', async () => {
    const { implementation, cancelled } = endless();
    const body = iteratorOf(await watch(bridgeFor(implementation)));
    await body.next();
    const next = body.next();
    await body.return?.();
    await cancelled;
    expect(await next).toEqual({ done: true, value: undefined });
  });

  test('behind the head of a HEAD', async () => {
    const { implementation, cancelled } = endless();
    const response = await watch(bridgeFor(implementation), undefined, 'HEAD');
    expect(response.status).toBe(200);
    await cancelled;
    expect(await iteratorOf(response).next()).toEqual({ done: true, value: undefined });
  });
});
