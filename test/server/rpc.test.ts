import { Code, createClient } from '@connectrpc/connect';
import { describe, expect, test } from 'vitest';
import { ModelService } from '../../gen/sluice/v1/model_service_pb.ts';
import { SluiceError } from '../../src/base/errors.ts';
import { clientFor, refusalOf, startRpc, transportTo, WIRES } from './rpc-fixture.ts';

describe.each(WIRES)('$protocol over HTTP/$httpVersion', (wire) => {
  test('answers a unary call', async () => {
    const fixture = await startRpc({
      model: { configureModel: ({ modelId, modelKwargs }) => ({ configId: `${modelId} ${modelKwargs?.a}` }) },
    });
    const headers: string[] = [];
    const answer = await clientFor(ModelService, fixture, wire).configureModel(
      { modelId: 'm', modelName: 'n', modelType: 'vllm', modelKwargs: { a: 1 } },
      { onHeader: (got) => headers.push(got.get('x-sluice-request-id') ?? '') },
    );
    expect(answer.configId).toBe('m 1');
    const [record] = await fixture.recorded(1);
    expect(record).toMatchObject({
      id: headers[0],
      method: 'POST',
      path: '/sluice.v1.ModelService/ConfigureModel',
      route: 'rpc sluice.v1.ModelService/ConfigureModel',
      status: 200,
      outcome: 'complete',
      why: null,
      cause: null,
    });
    expect(record?.bytesIn).toBeGreaterThan(0);
    expect(record?.bytesOut).toBeGreaterThan(0);
  });

  test('sends the messages of a stream as they come', async () => {
    const next = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const fixture = await startRpc({
      model: {
        async *streamInfer({ prompt }) {
          for (const [i, { promise }] of next.entries()) {
            yield { response: `${prompt}${i}` };
            await promise;
          }
        },
      },
    });
    const texts: string[] = [];
    const client = clientFor(ModelService, fixture, wire);
    for await (const { response } of client.streamInfer({ modelId: 'm', prompt: 'p' })) {
      next[texts.push(response) - 1]?.resolve();
    }
    expect(texts).toEqual(['p0', 'p1']);
  });

  test('tells an error of an implementation by its row of the table', async () => {
    const fixture = await startRpc({
      model: {
        loadModel() {
          throw new SluiceError('config_not_found', 'There is no configuration "ü".');
        },
      },
    });
    const client = clientFor(ModelService, fixture, wire);
    const error = await refusalOf(client.loadModel({ configId: 'x' }));
    expect(error.code).toBe(Code.NotFound);
    expect(error.rawMessage).toBe('There is no configuration "ü".');
    const [record] = await fixture.recorded(1);
    expect(record).toMatchObject({ status: 404, outcome: 'refused', why: 'config_not_found', cause: null });
  });

  test('tells an error within a stream', async () => {
    const fixture = await startRpc({
      model: {
        async *streamInfer() {
          yield { response: 'a' };
          throw new SluiceError('upstream_broken', 'The upstream broke off.');
        },
      },
    });
    const texts: string[] = [];
    const client = clientFor(ModelService, fixture, wire);
    const error = await refusalOf(
      (async () => {
        for await (const { response } of client.streamInfer({ modelId: 'm', prompt: 'p' }))
          texts.push(response);
      })(),
    );
    expect(texts).toEqual(['a']);
    expect(error.code).toBe(Code.Unavailable);
    expect(error.rawMessage).toBe('The upstream broke off.');
    const [record] = await fixture.recorded(1);
    expect(record).toMatchObject({ status: 502, outcome: 'upstream_failed', why: 'upstream_broken' });
  });

  test('keeps the text of an unknown error to itself and hands it to the log', async () => {
    const fixture = await startRpc({
      model: {
        loadModel() {
          throw new Error('secret of the house');
        },
      },
    });
    const error = await refusalOf(clientFor(ModelService, fixture, wire).loadModel({ configId: 'x' }));
    expect(error.code).toBe(Code.Internal);
    expect(error.message).not.toContain('secret');
    const [record] = await fixture.recorded(1);
    expect(record).toMatchObject({ status: 500, why: 'internal' });
    expect(record?.cause).toMatchObject({ message: 'secret of the house' });
  });
});

test('answers Connect JSON and GET', async () => {
  const fixture = await startRpc({ model: { listLoadedModels: () => ({ modelIds: ['a'] }) } });
  const json = transportTo(
    fixture.baseUrl,
    { protocol: 'connect', httpVersion: '1.1' },
    { useBinaryFormat: false },
  );
  expect((await createClient(ModelService, json).listLoadedModels({})).modelIds).toEqual(['a']);
  const url = `${fixture.baseUrl}/sluice.v1.ModelService/ListLoadedModels?connect=v1&encoding=json&message=%7B%7D`;
  const answer = await fetch(url);
  expect(await answer.json()).toEqual({ modelIds: ['a'] });
  expect(answer.headers.get('connection')).toBe('keep-alive');
});
