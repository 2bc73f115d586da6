import type { MessageInitShape } from '@bufbuild/protobuf';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import {
  LoadStage,
  type ModelConfigurationSchema,
  ModelState,
  type ModelStatusSchema,
} from '../../gen/sluice/v1/model_pb.ts';
import type { ModelService } from '../../gen/sluice/v1/model_service_pb.ts';
import type { Door } from '../access/admit.ts';
import { mayUseModel } from '../access/permissions.ts';
import type { Json } from '../base/json.ts';
import type { LoadStage as Stage } from '../models/driver.ts';
import type { Inference, Prompt } from '../models/inference.ts';
import type { ModelStatus } from '../models/model-state.ts';
import type { Models } from '../models/models.ts';
import { redactedKwargs } from '../models/redaction.ts';
import type { StoredConfiguration } from '../store/store.ts';
import { admissionOf } from './admission.ts';
import type { MethodPolicy } from './binding.ts';
import { meter } from './metering.ts';

export interface ModelServiceOptions {
  readonly models: Models;
  readonly inference: Inference;
  /** The present configuration's. */
  readonly door: () => Door;
}

/** A watcher of a load that takes half an hour must not hold up a shutdown. */
export const MODEL_SERVICE_POLICIES: { readonly watchLoad: MethodPolicy } = { watchLoad: { endless: true } };

/** ModelService over the models; the sentences are those of the REST documents. */
export function createModelService({
  models,
  inference,
  door,
}: ModelServiceOptions): ServiceImpl<typeof ModelService> {
  return {
    async configureModel({ modelId, modelName, modelType, modelKwargs = {} }) {
      return { configId: await models.configure({ modelId, modelName, modelType, modelKwargs }) };
    },

    async loadModel({ configId }, { signal }) {
      await models.load(configId, signal);
      return { message: 'Model loaded successfully' };
    },

    async *watchLoad({ configId }, { signal }) {
      for await (const status of models.watch(configId, signal)) yield { status: statusMessage(status) };
      signal.throwIfAborted();
    },

    async unloadModel({ modelId }) {
      await models.unload(modelId);
      return { message: 'Model unloaded successfully' };
    },

    async infer(request, context) {
      const prompt = promptFrom(request);
      const metering = await meter(door(), context, prompt.modelId);
      try {
        const response = await inference.infer(prompt, context.signal, metering.used);
        metering.tellLimits();
        return { response };
      } catch (thrown) {
        throw metering.failed(thrown);
      } finally {
        metering.end();
      }
    },

    async *streamInfer(request, context) {
      const prompt = promptFrom(request);
      const metering = await meter(door(), context, prompt.modelId);
      let hasBegun = false;
      try {
        for await (const response of inference.stream(prompt, context.signal, metering.used)) {
          if (!hasBegun) metering.tellLimits();
          hasBegun = true;
          yield { response };
        }
      } catch (thrown) {
        throw hasBegun ? thrown : metering.failed(thrown);
      } finally {
        metering.end();
      }
    },

    async listConfigurations() {
      return { configurations: (await models.configurations()).map(configurationMessage) };
    },

    async getConfiguration({ configId }) {
      return { configuration: configurationMessage(await models.configuration(configId)) };
    },

    async deleteConfiguration({ configId }) {
      await models.deleteConfiguration(configId);
      return { detail: 'Configuration deleted successfully' };
    },

    listLoadedModels(_, context) {
      const { caller } = admissionOf(context);
      const loaded = models.loadedModels();
      const isUsable = (model: string) => caller.kind !== 'key' || mayUseModel(caller.key, model);
      return { modelIds: loaded.filter(isUsable) };
    },

    async listModelStatuses() {
      return { statuses: (await models.statuses()).map(statusMessage) };
    },
  };
}

function promptFrom(request: {
  readonly modelId: string;
  readonly prompt: string;
  readonly inferenceKwargs?: Readonly<Record<string, Json>> | undefined;
}): Prompt {
  const { modelId, prompt, inferenceKwargs = {} } = request;
  return { modelId, prompt, inferenceKwargs };
}

/** The five fields of the REST documents; `model_kwargs` is there when it is empty, too. */
function configurationMessage(
  configuration: StoredConfiguration,
): MessageInitShape<typeof ModelConfigurationSchema> {
  const { configId, modelId, modelName, modelType } = configuration;
  // A Struct's JSON is mutable by type, and not changed by anyone.
  const modelKwargs = redactedKwargs(configuration.modelKwargs) as Record<string, never>;
  return { configId, modelId, modelName, modelType, modelKwargs };
}

function statusMessage(status: ModelStatus): MessageInitShape<typeof ModelStatusSchema> {
  const { modelId, configId, state, stage, percent, elapsedMs, lastLogLine, failure } = status;
  return {
    modelId,
    configId,
    state: STATES[state],
    stage: stage === null ? LoadStage.UNSPECIFIED : STAGES[stage],
    percent,
    elapsed: durationFromMs(Math.round(elapsedMs)),
    lastLogLine,
    failure,
  };
}

const STATES: Readonly<Record<ModelStatus['state'], ModelState>> = {
  stopped: ModelState.STOPPED,
  starting: ModelState.STARTING,
  ready: ModelState.READY,
  stopping: ModelState.STOPPING,
  failed: ModelState.FAILED,
};

const STAGES: Readonly<Record<Stage, LoadStage>> = {
  connecting: LoadStage.CONNECTING,
  starting_process: LoadStage.STARTING_PROCESS,
  initializing_engine: LoadStage.INITIALIZING_ENGINE,
  loading_weights: LoadStage.LOADING_WEIGHTS,
  compiling: LoadStage.COMPILING,
  allocating_kv_cache: LoadStage.ALLOCATING_KV_CACHE,
  capturing_graphs: LoadStage.CAPTURING_GRAPHS,
  starting_server: LoadStage.STARTING_SERVER,
  ready: LoadStage.READY,
  waiting_to_restart: LoadStage.WAITING_TO_RESTART,
};
