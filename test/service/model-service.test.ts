import { Code, createClient } from '@connectrpc/connect';
import { describe, expect, onTestFinished, test } from 'vitest';
import { LoadStage, ModelState } from '../../gen/sluice/v1/model_pb.ts';
import { ModelService } from '../../gen/sluice/v1/model_service_pb.ts';
import { driversByType } from '../../src/models/drivers.ts';
import { createOpenaiDriver } from '../../src/models/openai-driver.ts';
import { createVllmAttachedDriver } from '../../src/models/vllm-attached-driver.ts';
import { createModelService, MODEL_SERVICE_POLICIES } from '../../src/service/model-service.ts';
import { openClient } from '../models/driver-house.ts';
import { FakeDriver } from '../models/fake-driver.ts';
import { openPlane, type Plane } from '../models/plane.ts';
import { startRest } from '../server/rest-fixture.ts';
import { refusalOf, startRpc, transportTo } from '../server/rpc-fixture.ts';
import { startVllmSim, type VllmSim } from '../vllm-sim/index.ts';

const UUID = /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/;

/** The documents' model, at a server that has it. */
async function documentsPlane(): Promise<{ readonly plane: Plane; readonly sim: VllmSim }> {
  const sim = await startVllmSim({ models: ['gpt-3'], apiKeys: ['sk-environment'] });
  onTestFinished(() => sim.close());
  const client = openClient();
  const timeouts = { connectTimeoutMs: 5_000, firstByteTimeoutMs: 5_000, idleTimeoutMs: 5_000 };
  const target = {
    provider: 'openai',
    apiBase: `${sim.url}/v1`,
    apiKey: 'sk-environment',
    configured: true,
    timeouts,
  };
  const options = { client: () => client, providerTarget: () => target };
  const plane = await openPlane({
    drivers: driversByType({
      openai: createOpenaiDriver(options),
      vllmAttached: createVllmAttachedDriver(options),
      vllmManaged: new FakeDriver(),
    }),
  });
  return { plane, sim };
}

describe('the documents, to the letter', () => {
  test('configure, load, ask, list, unload and delete over REST', async () => {
    const { plane } = await documentsPlane();
    const rest = await startRest({ model: createModelService(plane) });
    const call = async (method: string, path: string, body?: unknown) => {
      const init = {
        method,
        headers: { 'Content-Type': 'application/json' },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      };
      const response = await fetch(`http://127.0.0.1:${rest.number}${path}`, init);
      const answer: [number, Record<string, string>] = [
        response.status,
        (await response.json()) as Record<string, string>,
      ];
      return answer;
    };
    const request = {
      model_id: 'example_model',
      model_name: 'gpt-3',
      model_type: 'openai',
      model_kwargs: { temperature: 0.7 },
    };
    const [status, configured] = await call('POST', '/llm/configure_model/', request);
    const { config_id } = configured;
    expect([status, configured]).toEqual([200, { config_id: expect.stringMatching(UUID) }]);
    expect(await call('GET', '/llm/loaded_models/')).toEqual([200, []]);
    expect(await call('POST', `/llm/load_model/${config_id}`)).toEqual([
      200,
      { message: 'Model loaded successfully' },
    ]);
    expect(
      await call('POST', '/llm/inference/', {
        model_id: 'example_model',
        prompt: 'What is the capital of France?',
        inference_kwargs: { max_tokens: 50 },
      }),
    ).toEqual([200, { response: 'The capital of France is Paris.' }]);
    expect(await call('GET', '/llm/configurations/')).toEqual([200, [{ config_id, ...request }]]);
    expect(await call('GET', `/llm/configuration/${config_id}`)).toEqual([200, { config_id, ...request }]);
    expect(await call('GET', '/llm/loaded_models/')).toEqual([200, ['example_model']]);
    expect((await call('DELETE', `/llm/configuration/${config_id}`))[0]).toBe(400);
    expect(await call('POST', '/llm/unload_model/example_model')).toEqual([
      200,
      { message: 'Model unloaded successfully' },
    ]);
    expect(await call('DELETE', `/llm/configuration/${config_id}`)).toEqual([
      200,
      { detail: 'Configuration deleted successfully' },
    ]);
    expect(await call('GET', '/llm/configurations/')).toEqual([200, []]);
    expect(await call('GET', `/llm/configuration/${config_id}`)).toEqual([
      404,
      {
        error: {
          message: `There is no configuration "${config_id}".`,
          type: 'not_found_error',
          param: 'config_id',
          code: 'config_not_found',
        },
      },
    ]);
  });

  test('model_kwargs is there when none is given, and secrets are not', async () => {
    const { plane } = await documentsPlane();
    const rest = await startRest({ model: createModelService(plane) });
    const url = `http://127.0.0.1:${rest.number}/llm/configur`;
    const bare = { model_id: 'a', model_name: 'gpt-3', model_type: 'openai' };
    const kwargs = { api_key: 'sk-secret', temperature: 1 };
    for (const body of [bare, { ...bare, model_kwargs: kwargs }]) {
      const init = {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      };
      expect((await fetch(`${url}e_model`, init)).status).toBe(200);
    }
    const answer = await fetch(`${url}ations`);
    expect(await answer.json()).toEqual([
      { config_id: expect.any(String), ...bare, model_kwargs: {} },
      { config_id: expect.any(String), ...bare, model_kwargs: { api_key: '***', temperature: 1 } },
    ]);
  });
});

async function startService(plane: Plane) {
  const fixture = await startRpc({ model: createModelService(plane) });
  const transport = transportTo(fixture.baseUrl, { protocol: 'connect', httpVersion: '2' });
  return createClient(ModelService, transport);
}

describe('over RPC', () => {
  test('refusals have their codes and say what to do', async () => {
    const plane = await openPlane();
    const client = await startService(plane);
    const told = async (call: PromiseLike<unknown>) => {
      const { code, rawMessage } = await refusalOf(call);
      return `${Code[code]}: ${rawMessage}`;
    };
    const model = { modelId: 'a', modelName: 'b', modelType: 'llama' };
    expect(await told(client.configureModel(model))).toBe(
      'InvalidArgument: model_type: "llama" is not known; known are openai, vllm.',
    );
    expect(await told(client.loadModel({ configId: 'x' }))).toBe('NotFound: There is no configuration "x".');
    expect(await told(client.unloadModel({ modelId: 'a' }))).toBe(
      'NotFound: The model "a" does not exist here.',
    );
    const { configId } = await client.configureModel({ ...model, modelType: 'vllm' });
    expect(await told(client.infer({ modelId: 'a', prompt: 'x' }))).toMatch(
      /^FailedPrecondition: .*load_model/,
    );
    const loading = told(client.loadModel({ configId }));
    (await plane.driver.next()).fail('exited with code 1:\nno GPU');
    expect(await loading).toBe('Unavailable: exited with code 1:\nno GPU');
    expect((await client.listModelStatuses({})).statuses).toMatchObject([
      { modelId: 'a', configId, state: ModelState.FAILED, failure: 'exited with code 1:\nno GPU' },
    ]);
  });

  test('a load is watched to its end', async () => {
    const plane = await openPlane();
    const client = await startService(plane);
    const { configId } = await client.configureModel({ modelId: 'a', modelName: 'b', modelType: 'vllm' });
    const loading = client.loadModel({ configId });
    const load = await plane.driver.next();
    load.events.progress({ stage: 'loading_weights', percent: 25, line: 'shard 1' });
    await plane.clock.advance(2_500);
    const watching = client.watchLoad({ configId })[Symbol.asyncIterator]();
    expect((await watching.next()).value?.status).toMatchObject({
      modelId: 'a',
      configId,
      state: ModelState.STARTING,
      stage: LoadStage.LOADING_WEIGHTS,
      percent: 25,
      elapsed: { seconds: 2n, nanos: 500_000_000 },
      lastLogLine: 'shard 1',
    });
    load.succeed();
    expect((await loading).message).toBe('Model loaded successfully');
    await plane.clock.advance(100);
    expect((await watching.next()).value?.status?.state).toBe(ModelState.READY);
    expect((await watching.next()).done).toBe(true);
    expect((await client.listLoadedModels({})).modelIds).toEqual(['a']);
  });

  test('a caller that leaves stops neither the load nor another watcher', async () => {
    const plane = await openPlane();
    const client = await startService(plane);
    const { configId } = await client.configureModel({ modelId: 'a', modelName: 'b', modelType: 'vllm' });
    const caller = new AbortController();
    const left = refusalOf(client.loadModel({ configId }, { signal: caller.signal }));
    const load = await plane.driver.next();
    caller.abort();
    expect((await left).code).toBe(Code.Canceled);
    const stays = client.loadModel({ configId });
    load.succeed();
    await stays;
    expect(load.signal.aborted).toBe(false);
  });

  test('a streamed answer comes in pieces', async () => {
    const { plane } = await documentsPlane();
    const client = await startService(plane);
    const { configId } = await client.configureModel({
      modelId: 'a',
      modelName: 'gpt-3',
      modelType: 'openai',
    });
    await client.loadModel({ configId });
    const pieces: string[] = [];
    for await (const { response } of client.streamInfer({ modelId: 'a', prompt: 'capital of France' }))
      pieces.push(response);
    expect(pieces.length).toBeGreaterThan(3);
    expect(pieces.join('')).toBe('The capital of France is Paris.');
  });

  test('a watcher does not hold up a shutdown', () => {
    expect(MODEL_SERVICE_POLICIES).toEqual({ watchLoad: { endless: true } });
  });
});
