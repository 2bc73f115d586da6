import {
  Code,
  ConnectError,
  createClient,
  createContextValues,
  type HandlerContext,
} from '@connectrpc/connect';
import { describe, expect, test } from 'vitest';
import { ServerReflection } from '../../gen/grpc/reflection/v1/reflection_pb.ts';
import { ModelService } from '../../gen/sluice/v1/model_service_pb.ts';
import { PassthroughService } from '../../gen/sluice/v1/passthrough_service_pb.ts';
import { SluiceError } from '../../src/base/errors.ts';
import { admissionKey, admissionOf } from '../../src/service/admission.ts';
import { callKey } from '../../src/service/call.ts';
import { MASTER_KEY, refusalOf, startRpc } from './rpc-fixture.ts';

const AUTHORIZED = { headers: { authorization: `Bearer ${MASTER_KEY}` } };

describe('unary', () => {
  test('calls the implementation itself, with all that it expects of a context', async () => {
    let seen: HandlerContext | null = null;
    const fixture = await startRpc({
      masterKey: MASTER_KEY,
      model: {
        loadModel({ configId }, context) {
          seen = context;
          context.responseHeader.set('x-more', 'h');
          context.responseTrailer.set('x-last', 't');
          return { message: configId };
        },
      },
    });
    const heads: Headers[] = [];
    const client = createClient(ModelService, fixture.rpc.transport);
    const answer = await client.loadModel(
      { configId: 'x' },
      {
        headers: { ...AUTHORIZED.headers, 'x-own': '1' },
        timeoutMs: 10_000,
        onHeader: (header) => heads.push(header),
        onTrailer: (trailer) => heads.push(trailer),
      },
    );
    expect(answer.message).toBe('x');
    expect(heads[0]?.get('x-more')).toBe('h');
    expect(heads[0]?.get('x-sluice-request-id')).toBeTruthy();
    expect(heads[1]?.get('x-last')).toBe('t');
    const context = seen as unknown as HandlerContext;
    expect(context.requestHeader.get('x-own')).toBe('1');
    expect(context.method).toBe(ModelService.method.loadModel);
    expect(context.service).toBe(ModelService);
    expect(context.timeoutMs()).toBeGreaterThan(5_000);
    expect(admissionOf(context).caller).toEqual({ kind: 'master' });
    expect(context.signal.aborted).toBe(true);
    expect(fixture.records).toEqual([]);
  });

  test('lets nobody in only because they come from within', async () => {
    const fixture = await startRpc({ masterKey: MASTER_KEY, model: { loadModel: () => ({}) } });
    const client = createClient(ModelService, fixture.rpc.transport);
    const error = await refusalOf(client.loadModel({ configId: 'x' }));
    expect(error.code).toBe(Code.Unauthenticated);
    expect(error.cause).toMatchObject({ reason: 'missing_key', status: 401 });
    const admitted = createContextValues().set(admissionKey, {
      caller: { kind: 'master' },
      spent: [],
      key: null,
    });
    await client.loadModel({ configId: 'x' }, { contextValues: admitted });
  });

  test('validates', async () => {
    const fixture = await startRpc({ model: { loadModel: () => ({}) } });
    const client = createClient(ModelService, fixture.rpc.transport);
    const error = await refusalOf(client.loadModel({}));
    expect(error.code).toBe(Code.InvalidArgument);
    expect(error.cause).toMatchObject({ reason: 'invalid_request', param: 'config_id' });
  });

  test('keeps the SluiceError that an implementation threw, and uses the request id it was given', async () => {
    const thrown = new SluiceError('config_not_found', 'There is none.');
    const fixture = await startRpc({
      model: {
        loadModel() {
          throw thrown;
        },
      },
    });
    const client = createClient(ModelService, fixture.rpc.transport);
    const contextValues = createContextValues().set(callKey, { id: 'mine', failure: null });
    const error = await refusalOf(client.loadModel({ configId: 'x' }, { contextValues }));
    expect(error).toBeInstanceOf(ConnectError);
    expect(error.code).toBe(Code.NotFound);
    expect(error.cause).toBe(thrown);
    expect(error.metadata.get('x-sluice-request-id')).toBe('mine');
  });

  test('rejects at its deadline and when its caller leaves', async () => {
    const reasons: unknown[] = [];
    const fixture = await startRpc({
      model: {
        loadModel: (_, { signal }) => {
          signal.addEventListener('abort', () => reasons.push(signal.reason));
          return new Promise(() => {});
        },
      },
    });
    const client = createClient(ModelService, fixture.rpc.transport);
    expect((await refusalOf(client.loadModel({ configId: 'x' }, { timeoutMs: 10 }))).code).toBe(
      Code.DeadlineExceeded,
    );
    const leaving = new AbortController();
    const refused = refusalOf(client.loadModel({ configId: 'x' }, { signal: leaving.signal }));
    leaving.abort();
    expect((await refused).code).toBe(Code.Canceled);
    expect(reasons).toHaveLength(2);
  });

  test('knows the served services alone', async () => {
    const fixture = await startRpc();
    const error = await refusalOf(createClient(PassthroughService, fixture.rpc.transport).listEndpoints({}));
    expect(error.code).toBe(Code.Unimplemented);
    expect(error.rawMessage).toBe('sluice.v1.PassthroughService is not served here.');
    const missing = await refusalOf(createClient(ModelService, fixture.rpc.transport).listLoadedModels({}));
    expect(missing.code).toBe(Code.Unimplemented);
    expect(missing.rawMessage).toBe('sluice.v1.ModelService/ListLoadedModels is not implemented here.');
  });
});

describe('stream', () => {
  test('passes messages as they are made', async () => {
    const made: number[] = [];
    const fixture = await startRpc({
      model: {
        async *streamInfer() {
          for (let i = 0; i < 3; i++) {
            made.push(i);
            yield { response: String(i) };
          }
        },
      },
    });
    const client = createClient(ModelService, fixture.rpc.transport);
    for await (const { response } of client.streamInfer({ modelId: 'm', prompt: 'p' })) {
      expect(made).toEqual(Array.from({ length: Number(response) + 1 }, (_, i) => i));
    }
    expect(made).toEqual([0, 1, 2]);
  });

  test('rejects a call that is refused before its first message', async () => {
    const fixture = await startRpc({
      model: {
        // biome-ignore lint/correctness/useYield: it throws before it could.
        async *streamInfer() {
          throw new SluiceError('model_not_found', 'There is none.');
        },
      },
    });
    const { transport } = fixture.rpc;
    async function* requests() {
      yield { modelId: 'm', prompt: 'p' };
    }
    const { streamInfer } = ModelService.method;
    const refused = transport.stream(streamInfer, undefined, undefined, undefined, requests());
    expect((await refusalOf(refused)).code).toBe(Code.NotFound);
  });

  test('tells an error within it', async () => {
    const fixture = await startRpc({
      model: {
        async *streamInfer() {
          yield { response: 'a' };
          throw new Error('secret');
        },
      },
    });
    const client = createClient(ModelService, fixture.rpc.transport);
    const messages = client.streamInfer({ modelId: 'm', prompt: 'p' })[Symbol.asyncIterator]();
    expect((await messages.next()).value?.response).toBe('a');
    const error = await refusalOf(messages.next());
    expect(error.code).toBe(Code.Internal);
    expect(error.message).not.toContain('secret');
  });

  test('leaving it aborts the call, and runs the finally of an implementation that waits', async () => {
    const ended = Promise.withResolvers<void>();
    const fixture = await startRpc({
      model: {
        async *streamInfer(_, { signal }) {
          try {
            yield { response: 'a' };
            await new Promise((_resolve, reject) => {
              signal.addEventListener('abort', () => reject(signal.reason));
            });
          } finally {
            ended.resolve();
          }
        },
      },
    });
    const { transport } = fixture.rpc;
    async function* requests() {
      yield { modelId: 'm', prompt: 'p' };
    }
    const { streamInfer } = ModelService.method;
    const response = await transport.stream(streamInfer, undefined, undefined, undefined, requests());
    const messages = response.message[Symbol.asyncIterator]();
    await messages.next();
    const waiting = refusalOf(messages.next());
    const left = messages.return?.();
    await ended.promise;
    expect((await waiting).code).toBe(Code.Canceled);
    await left;
  });

  test('streams both ways, and a shutdown ends it', async () => {
    const fixture = await startRpc();
    const client = createClient(ServerReflection, fixture.rpc.transport);
    const more = Promise.withResolvers<void>();
    async function* requests() {
      yield { messageRequest: { case: 'listServices', value: '' } } as const;
      await more.promise;
    }
    const answers = client.serverReflectionInfo(requests())[Symbol.asyncIterator]();
    expect((await answers.next()).value?.messageResponse.case).toBe('listServicesResponse');
    fixture.rpc.shutdown();
    expect((await refusalOf(answers.next())).code).toBe(Code.Unavailable);
    more.resolve();
  });
});
