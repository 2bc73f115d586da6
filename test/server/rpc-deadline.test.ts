import { setTimeout as delay } from 'node:timers/promises';
import { Code, createClient, type HandlerContext } from '@connectrpc/connect';
import { describe, expect, test } from 'vitest';
import { Health, HealthCheckResponse_ServingStatus as Status } from '../../gen/grpc/health/v1/health_pb.ts';
import { ServerReflection } from '../../gen/grpc/reflection/v1/reflection_pb.ts';
import { ModelService } from '../../gen/sluice/v1/model_service_pb.ts';
import { exchange, RawConnection } from './port-raw-connection.ts';
import { clientFor, refusalOf, startRpc, transportTo, WIRES } from './rpc-fixture.ts';

/** Never ends by itself, as an implementation may that heeds its signal. */
function untilAborted({ signal }: HandlerContext): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason));
  });
}

const NEVER = new Promise<never>(() => {});
const LOAD = '/sluice.v1.ModelService/LoadModel';

async function drained(messages: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of messages) {
    // Nothing to do with it.
  }
}

describe.each(WIRES)('$protocol over HTTP/$httpVersion', (wire) => {
  test('fact 6: a deadline aborts the signal of an implementation, with the reason to throw', async () => {
    const reasons: unknown[] = [];
    const fixture = await startRpc({
      model: {
        async loadModel(_, context) {
          try {
            return await untilAborted(context);
          } catch (thrown) {
            reasons.push(thrown);
            throw thrown;
          }
        },
        async *streamInfer(_, context) {
          yield { response: 'a' };
          await untilAborted(context);
        },
      },
    });
    const client = clientFor(ModelService, fixture, wire);
    // As headers, so that the client doesn't watch the time itself and leave first.
    const options = {
      headers: wire.protocol === 'connect' ? { 'connect-timeout-ms': '30' } : { 'grpc-timeout': '30m' },
    };
    expect((await refusalOf(client.loadModel({ configId: 'x' }, options))).code).toBe(Code.DeadlineExceeded);
    const stream = client.streamInfer({ modelId: 'm', prompt: 'p' }, options);
    expect((await refusalOf(drained(stream))).code).toBe(Code.DeadlineExceeded);
    await fixture.idle();
    expect(reasons).toMatchObject([{ code: Code.DeadlineExceeded }]);
    expect(await fixture.recorded(2)).toMatchObject([
      { why: 'deadline_exceeded', outcome: 'refused', status: 504 },
      { why: 'deadline_exceeded', outcome: 'refused', status: 504 },
    ]);
  });

  test('fact 6: a client that leaves aborts the signal', async () => {
    const begun = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<boolean>();
    const fixture = await startRpc({
      model: {
        async *streamInfer(_, context) {
          try {
            yield { response: 'a' };
            begun.resolve();
            await untilAborted(context);
          } finally {
            ended.resolve(context.signal.aborted);
          }
        },
      },
    });
    const leaving = new AbortController();
    const client = clientFor(ModelService, fixture, wire);
    const stream = client.streamInfer({ modelId: 'm', prompt: 'p' }, { signal: leaving.signal });
    const refused = refusalOf(drained(stream));
    await begun.promise;
    leaving.abort();
    expect((await refused).code).toBe(Code.Canceled);
    expect(await ended.promise).toBe(true);
    expect((await fixture.recorded(1))[0]).toMatchObject({ outcome: 'client_left', status: 499 });
    await fixture.idle();
  });
});

test.each([
  ['connect-timeout-ms: 30', 'application/json', 'HTTP/1.1 504'],
  ['grpc-timeout: 30m', 'application/grpc', 'grpc-status: 4'],
])(
  'fact 6: answers at the deadline (%s) though the implementation heeds no signal',
  async (line, type, expected) => {
    const fixture = await startRpc({ model: { loadModel: () => NEVER } });
    const body = type === 'application/json' ? '{"configId":"x"}' : '\0\0\0\0\x03\x0a\x01x';
    const head = `POST ${LOAD} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: ${type}\r\n${line}\r\nContent-Length: ${body.length}\r\n\r\n`;
    expect(await exchange(fixture.port.address.port, head + body)).toContain(expected);
    expect((await fixture.recorded(1))[0]).toMatchObject({ why: 'deadline_exceeded', status: 504 });
  },
);

test.each([
  ['connect-timeout-ms: 9999999999', 'application/json', '"message":"ok"'],
  ['grpc-timeout: 99999999H', 'application/grpc', 'grpc-status: 0'],
])('a deadline that no timer can hold is none (%s)', async (line, type, expected) => {
  const fixture = await startRpc({
    model: {
      async loadModel(_, context) {
        await delay(20);
        context.signal.throwIfAborted();
        return { message: 'ok' };
      },
    },
  });
  const body = type === 'application/json' ? '{"configId":"x"}' : '\0\0\0\0\x03\x0a\x01x';
  const head = `POST ${LOAD} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: ${type}\r\n${line}\r\nContent-Length: ${body.length}\r\n\r\n`;
  expect(await exchange(fixture.port.address.port, head + body)).toContain(expected);
});

test('refuses a deadline above the longest that is allowed', async () => {
  const fixture = await startRpc({ model: { loadModel: () => ({}) }, maxTimeoutMs: 60_000 });
  const client = clientFor(ModelService, fixture, { protocol: 'grpc', httpVersion: '2' });
  const error = await refusalOf(client.loadModel({ configId: 'x' }, { timeoutMs: 61_000 }));
  expect(error.code).toBe(Code.InvalidArgument);
  await client.loadModel({ configId: 'x' }, { timeoutMs: 59_000 });
});

describe('shutdown', () => {
  const wire = { protocol: 'grpc', httpVersion: '2' } as const;

  test('fact 6: ends a handler that waits for the next request message', async () => {
    const fixture = await startRpc();
    const client = clientFor(ServerReflection, fixture, wire);
    const asking = Promise.withResolvers<void>();
    async function* requests() {
      yield { messageRequest: { case: 'listServices', value: '' } } as const;
      await asking.promise;
    }
    const answers = client.serverReflectionInfo(requests())[Symbol.asyncIterator]();
    expect((await answers.next()).done).toBe(false);
    fixture.rpc.shutdown();
    const error = await refusalOf(answers.next());
    expect(error.code).toBe(Code.Unavailable);
    expect(error.rawMessage).toBe('The server is shutting down.');
    asking.resolve();
    await fixture.idle();
  });

  test('fact 6: shows itself to an endless method in context.signal, and to no other', async () => {
    const begun = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const;
    const finish = Promise.withResolvers<void>();
    const fixture = await startRpc({
      model: {
        async *watchLoad(_, context) {
          yield {};
          begun[0].resolve();
          await untilAborted(context);
        },
        async *streamInfer(_, context) {
          yield { response: 'a' };
          begun[1].resolve();
          await finish.promise;
          yield { response: String(context.signal.aborted) };
        },
      },
    });
    const client = clientFor(ModelService, fixture, wire);
    const watching = refusalOf(drained(client.watchLoad({ configId: 'x' })));
    const texts: string[] = [];
    const inferring = (async () => {
      for await (const { response } of client.streamInfer({ modelId: 'm', prompt: 'p' }))
        texts.push(response);
    })();
    await Promise.all(begun.map(({ promise }) => promise));
    fixture.rpc.shutdown();
    expect((await watching).code).toBe(Code.Unavailable);
    finish.resolve();
    await inferring;
    expect(texts).toEqual(['a', 'false']);
  });

  test('tells those who watch health, and then ends their streams', async () => {
    const fixture = await startRpc();
    const client = createClient(Health, transportTo(fixture.baseUrl, wire));
    const seen: Status[] = [];
    const watching = refusalOf(
      (async () => {
        for await (const { status } of client.watch({})) {
          seen.push(status);
          if (seen.length === 1) fixture.rpc.shutdown();
        }
      })(),
    );
    expect((await watching).code).toBe(Code.Unavailable);
    expect(seen).toEqual([Status.SERVING, Status.NOT_SERVING]);
    expect((await client.check({})).status).toBe(Status.NOT_SERVING);
    fixture.rpc.shutdown();
  });

  test('lets the port drain, its endless streams ended', async () => {
    const fixture = await startRpc();
    const client = createClient(Health, transportTo(fixture.baseUrl, wire));
    let draining: ReturnType<typeof fixture.port.drain> | null = null;
    const watching = refusalOf(
      (async () => {
        for await (const _ of client.watch({})) {
          fixture.rpc.shutdown();
          draining ??= fixture.port.drain(2_000);
        }
      })(),
    );
    expect((await watching).code).toBe(Code.Unavailable);
    expect(await draining).toEqual({ completed: 1, broken: 0 });
  });
});

test('a stream that the port breaks is seen broken', async () => {
  const begun = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<unknown>();
  const fixture = await startRpc({
    model: {
      async *streamInfer(_, context) {
        yield { response: 'a' };
        begun.resolve();
        await untilAborted(context).catch(ended.resolve);
      },
    },
  });
  const connection = await RawConnection.open(fixture.port.address.port);
  connection.send(
    'POST /sluice.v1.ModelService/StreamInfer HTTP/1.1\r\nHost: a\r\nContent-Type: application/connect+json\r\nContent-Length: 33\r\n\r\n\0\0\0\0\x1c{"modelId":"m","prompt":"p"}',
  );
  await begun.promise;
  await fixture.port.close();
  expect(await ended.promise).toMatchObject({ code: Code.Canceled });
  expect(await connection.closed).toBe('reset');
});
