import { create } from '@bufbuild/protobuf';
import {
  Code,
  ConnectError,
  createClient,
  createContextValues,
  createRouterTransport,
} from '@connectrpc/connect';
import { describe, expect, test } from 'vitest';
import { ViolationsSchema } from '../../gen/buf/validate/validate_pb.ts';
import { ModelService } from '../../gen/sluice/v1/model_service_pb.ts';
import { ForwardRequestSchema, PassthroughService } from '../../gen/sluice/v1/passthrough_service_pb.ts';
import { SluiceError } from '../../src/base/errors.ts';
import { createValidationInterceptor } from '../../src/service/interceptors/validation.ts';

const services = [ModelService, PassthroughService];
const interceptor = createValidationInterceptor(services);
const transport = createRouterTransport(
  (router) => {
    router.service(ModelService, { configureModel: () => ({ configId: 'c' }) });
    router.service(PassthroughService, {
      createEndpoint: () => ({}),
      async *forward(requests) {
        for await (const _ of requests) yield {};
      },
    });
  },
  { router: { interceptors: [interceptor] } },
);

async function refusal(promise: Promise<unknown>): Promise<ConnectError> {
  return promise.then(
    () => Promise.reject(new Error('not refused')),
    (thrown) => thrown as ConnectError,
  );
}

describe('validation', () => {
  const models = createClient(ModelService, transport);
  const valid = { modelId: 'm', modelName: 'n', modelType: 'vllm' };

  test('passes what is valid', async () => {
    expect((await models.configureModel(valid)).configId).toBe('c');
  });

  test('names the field and the rule, and has the violations as a detail', async () => {
    const error = await refusal(models.configureModel({ ...valid, modelName: '-x' }));
    expect(error.code).toBe(Code.InvalidArgument);
    expect(error.rawMessage).toBe('model_name: must not begin with a dash [dash]');
    const [violations] = error.findDetails(ViolationsSchema);
    expect(violations?.violations).toMatchObject([
      {
        ruleId: 'dash',
        message: 'must not begin with a dash',
        field: { elements: [{ fieldName: 'model_name' }] },
      },
    ]);
  });

  test('names all of them', async () => {
    const error = await refusal(models.configureModel({}));
    expect(error.rawMessage.split('; ')).toEqual([
      'model_id: must not be empty [string.min_len]',
      'model_name: must not be empty [string.min_len]',
      'model_type: must not be empty [string.min_len]',
    ]);
  });

  test('names a field of a number', async () => {
    const routes = createClient(PassthroughService, transport);
    const error = await refusal(
      routes.createEndpoint({ path: '/a', target: 'http://b', costPerRequest: Number.NaN }),
    );
    expect(error.rawMessage).toMatch(/^cost_per_request: /);
  });

  test('checks each message of a stream', async () => {
    const routes = createClient(PassthroughService, transport);
    async function* requests() {
      yield create(ForwardRequestSchema, { part: { case: 'head', value: { method: 'GET', path: '/' } } });
      yield create(ForwardRequestSchema);
    }
    const answers = routes.forward(requests())[Symbol.asyncIterator]();
    expect((await answers.next()).done).toBe(false);
    const error = await refusal(answers.next());
    expect(error.code).toBe(Code.InvalidArgument);
    expect(error.rawMessage).toMatch(/^part: /);
  });

  test('gives the field to the JSON envelope', async () => {
    const method = ModelService.method.loadModel;
    const request = {
      stream: false,
      message: create(method.input),
      method,
      service: ModelService,
      requestMethod: 'POST',
      url: '',
      signal: new AbortController().signal,
      header: new Headers(),
      contextValues: createContextValues(),
    } as const;
    const error = await refusal(interceptor(() => Promise.reject(new Error('called')))(request));
    expect(error).toBeInstanceOf(ConnectError);
    expect(error.cause).toBeInstanceOf(SluiceError);
    expect(error.cause).toMatchObject({ reason: 'invalid_request', param: 'config_id' });
  });
});

test('fact 9: the first call pays for no compilation', async () => {
  const { configureModel } = ModelService.method;
  const message = create(configureModel.input, { modelId: 'm', modelName: 'n', modelType: 'vllm' });
  const warm = createValidationInterceptor(services);
  const request = { stream: false, message, method: configureModel } as unknown as Parameters<
    ReturnType<typeof warm>
  >[0];
  const passed = warm((given) => Promise.resolve(given as never));
  const before = process.cpuUsage();
  await passed(request);
  const { user, system } = process.cpuUsage(before);
  expect(user + system).toBeLessThan(15_000);
});
