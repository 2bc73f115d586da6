/**
 * What a gRPC client does with Sluice, from a model's configuration to its removal:
 *
 *     SLUICE_URL=http://localhost:4000 SLUICE_KEY=sk-1234 node main.ts http://localhost:8000 my-model
 *
 * The arguments are a vLLM server and the name of a model that it serves.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { ModelState, type ModelStatus } from './gen/sluice/v1/model.ts';
import * as model from './gen/sluice/v1/model_service.ts';
import * as passthrough from './gen/sluice/v1/passthrough_service.ts';

const [vllmUrl, modelName] = process.argv.slice(2);
if (vllmUrl === undefined || modelName === undefined) throw new Error('usage: main.ts <vLLM URL> <model>');

// gRPC wants host and port, without a scheme.
const { host } = new URL(process.env.SLUICE_URL ?? 'http://localhost:4000');
const models = new model.ModelServiceClient(host, credentials.createInsecure());
const routes = new passthrough.PassthroughServiceClient(host, credentials.createInsecure());
// The key goes with every call.
const key = new Metadata();
key.set('authorization', `Bearer ${process.env.SLUICE_KEY ?? 'anything'}`);

const { configId } = await call<model.ConfigureModelResponse>((done) =>
  models.configureModel(
    model.ConfigureModelRequest.create({
      modelId: 'example',
      modelName,
      modelType: 'vllm',
      modelKwargs: { api_base: vllmUrl, temperature: 0 },
    }),
    key,
    done,
  ),
);
console.log('configured: example');

// LoadModel answers when the model is ready; WatchLoad tells how far it is meanwhile.
const loading = call<model.LoadModelResponse>((done) => models.loadModel({ configId }, key, done));
console.log(`watched: ${await watchUntilLoaded()}`);
console.log(`loaded: ${(await loading).message}`);
const loaded = await call<model.ListLoadedModelsResponse>((done) => models.listLoadedModels({}, key, done));
console.log(`loaded models: ${loaded.modelIds.join(', ')}`);

const question = {
  modelId: 'example',
  prompt: 'What is the capital of France?',
  inferenceKwargs: { max_tokens: 32 },
};
const answer = await call<model.InferResponse>((done) => models.infer(question, key, done));
console.log(`inferred: ${answer.response}`);

let streamed = '';
for await (const piece of models.streamInfer(question, key)) streamed += piece.response;
console.log(`streamed: ${streamed}`);

const { configurations } = await call<model.ListConfigurationsResponse>((done) =>
  models.listConfigurations({}, key, done),
);
console.log(`configurations: ${configurations.map(({ modelId }) => modelId).join(', ')}`);

// A route of our own: everything below /example-vllm goes to the vLLM server as it is.
const { endpoints } = await call<passthrough.CreateEndpointResponse>((done) =>
  routes.createEndpoint(
    passthrough.CreateEndpointRequest.create({
      path: '/example-vllm',
      target: vllmUrl,
      includeSubpath: true,
    }),
    key,
    done,
  ),
);
console.log(`created: ${endpoints[0]?.path}`);

// Fetch takes the whole request in one message and streams the response.
const get = passthrough.FetchRequest.create({ head: { method: 'GET', path: '/example-vllm/version' } });
console.log(`fetched: ${await readResponse(routes.fetch(get, key))}`);

// Forward streams the request as well.
const body = Buffer.from(JSON.stringify({ model: modelName, prompt: 'Hello, world!' }));
const headers = [{ name: 'content-type', value: 'application/json' }];
const forward = routes.forward(key);
forward.write({
  part: { $case: 'head', value: { method: 'POST', path: '/example-vllm/tokenize', headers } },
});
forward.write({ part: { $case: 'chunk', value: body.subarray(0, 10) } });
forward.write({ part: { $case: 'chunk', value: body.subarray(10) } });
forward.end();
console.log(`forwarded: ${await readResponse(forward)}`);

await call<passthrough.DeleteEndpointResponse>((done) =>
  routes.deleteEndpoint({ endpointId: endpoints[0]?.id ?? '' }, key, done),
);

// A refused call has a code, and a message that says what to do.
try {
  await call<model.LoadModelResponse>((done) =>
    models.loadModel({ configId: 'no-such-configuration' }, key, done),
  );
} catch (error) {
  const { code, details } = error as ServiceError;
  console.log(`refused: ${status[code]}: ${details}`);
}

const unloaded = await call<model.UnloadModelResponse>((done) =>
  models.unloadModel({ modelId: 'example' }, key, done),
);
console.log(`unloaded: ${unloaded.message}`);
const deleted = await call<model.DeleteConfigurationResponse>((done) =>
  models.deleteConfiguration({ configId }, key, done),
);
console.log(`deleted: ${deleted.detail}`);
models.close();
routes.close();

/** A unary call's answer as a promise: grpc-js speaks in callbacks. */
function call<Response>(
  start: (done: (error: ServiceError | null, response: Response) => void) => void,
): Promise<Response> {
  return new Promise((resolve, reject) =>
    start((error, response) => (error === null ? resolve(response) : reject(error))),
  );
}

/** Follows the load to its end; returns how far it came. */
async function watchUntilLoaded(): Promise<string> {
  for (;;) {
    let last: ModelStatus | undefined;
    for await (const { status } of models.watchLoad({ configId }, key)) last = status;
    if (last?.state === ModelState.MODEL_STATE_READY) return `ready at ${last.percent}%`;
    if (last?.state === ModelState.MODEL_STATE_FAILED) return `failed: ${last.failure}`;
    // The watch came before the load had begun.
    await delay(50);
  }
}

/** Status and body of a response that comes in parts. */
async function readResponse(
  parts: AsyncIterable<passthrough.FetchResponse | passthrough.ForwardResponse>,
): Promise<string> {
  let status = 0;
  const chunks: Uint8Array[] = [];
  for await (const { part } of parts) {
    if (part?.$case === 'head') status = part.value.status;
    if (part?.$case === 'chunk') chunks.push(part.value);
  }
  return `${status} ${Buffer.concat(chunks)}`;
}
