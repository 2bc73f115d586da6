/**
 * What a Connect client does with Sluice, from a model's configuration to its removal:
 *
 *     SLUICE_URL=http://localhost:4000 SLUICE_KEY=sk-1234 node main.ts http://localhost:8000 my-model
 *
 * The arguments are a vLLM server and the name of a model that it serves.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Code, ConnectError, createClient, type Interceptor } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import { ModelState, type ModelStatus } from './gen/sluice/v1/model_pb.ts';
import { ModelService } from './gen/sluice/v1/model_service_pb.ts';
import { PassthroughService } from './gen/sluice/v1/passthrough_service_pb.ts';

const [vllmUrl, modelName] = process.argv.slice(2);
if (vllmUrl === undefined || modelName === undefined) throw new Error('usage: main.ts <vLLM URL> <model>');

// The key goes with every call.
const withKey: Interceptor = (next) => (request) => {
  request.header.set('authorization', `Bearer ${process.env.SLUICE_KEY ?? 'anything'}`);
  return next(request);
};
// HTTP/2, because Forward streams both ways; everything else works with '1.1' and in a browser too.
const transport = createConnectTransport({
  baseUrl: process.env.SLUICE_URL ?? 'http://localhost:4000',
  httpVersion: '2',
  interceptors: [withKey],
});
const models = createClient(ModelService, transport);
const passthrough = createClient(PassthroughService, transport);

const { configId } = await models.configureModel({
  modelId: 'example',
  modelName,
  modelType: 'vllm',
  modelKwargs: { api_base: vllmUrl, temperature: 0 },
});
console.log('configured: example');

// LoadModel answers when the model is ready; WatchLoad tells how far it is meanwhile.
const loading = models.loadModel({ configId });
console.log(`watched: ${await watchUntilLoaded()}`);
console.log(`loaded: ${(await loading).message}`);
console.log(`loaded models: ${(await models.listLoadedModels({})).modelIds.join(', ')}`);

const prompt = 'What is the capital of France?';
const inferenceKwargs = { max_tokens: 32 };
const { response } = await models.infer({ modelId: 'example', prompt, inferenceKwargs });
console.log(`inferred: ${response}`);

let streamed = '';
for await (const piece of models.streamInfer({ modelId: 'example', prompt, inferenceKwargs })) {
  streamed += piece.response;
}
console.log(`streamed: ${streamed}`);

const { configurations } = await models.listConfigurations({});
console.log(`configurations: ${configurations.map(({ modelId }) => modelId).join(', ')}`);

// A route of our own: everything below /example-vllm goes to the vLLM server as it is.
const { endpoints } = await passthrough.createEndpoint({
  path: '/example-vllm',
  target: vllmUrl,
  includeSubpath: true,
});
console.log(`created: ${endpoints[0]?.path}`);

// Fetch takes the whole request in one message and streams the response.
console.log(
  `fetched: ${await readResponse(passthrough.fetch({ head: { method: 'GET', path: '/example-vllm/version' } }))}`,
);

// Forward streams the request as well.
const body = new TextEncoder().encode(JSON.stringify({ model: modelName, prompt: 'Hello, world!' }));
async function* request() {
  const headers = [{ name: 'content-type', value: 'application/json' }];
  yield {
    part: { case: 'head' as const, value: { method: 'POST', path: '/example-vllm/tokenize', headers } },
  };
  yield { part: { case: 'chunk' as const, value: body.subarray(0, 10) } };
  yield { part: { case: 'chunk' as const, value: body.subarray(10) } };
}
console.log(`forwarded: ${await readResponse(passthrough.forward(request()))}`);

await passthrough.deleteEndpoint({ endpointId: endpoints[0]?.id ?? '' });

// A refused call has a code, and a message that says what to do.
try {
  await models.loadModel({ configId: 'no-such-configuration' });
} catch (thrown) {
  const error = ConnectError.from(thrown);
  console.log(`refused: ${Code[error.code]}: ${error.rawMessage}`);
}

console.log(`unloaded: ${(await models.unloadModel({ modelId: 'example' })).message}`);
console.log(`deleted: ${(await models.deleteConfiguration({ configId })).detail}`);

/** Follows the load to its end; returns how far it came. */
async function watchUntilLoaded(): Promise<string> {
  for (;;) {
    let last: ModelStatus | undefined;
    for await (const { status } of models.watchLoad({ configId })) last = status;
    if (last?.state === ModelState.READY) return `ready at ${last.percent}%`;
    if (last?.state === ModelState.FAILED) return `failed: ${last.failure}`;
    // The watch came before the load had begun.
    await delay(50);
  }
}

/** Status and body of a response that comes in parts. */
async function readResponse(
  parts: ReturnType<typeof passthrough.fetch> | ReturnType<typeof passthrough.forward>,
): Promise<string> {
  let status = 0;
  const chunks: Uint8Array[] = [];
  for await (const { part } of parts) {
    if (part.case === 'head') status = part.value.status;
    if (part.case === 'chunk') chunks.push(part.value);
  }
  return `${status} ${Buffer.concat(chunks)}`;
}
