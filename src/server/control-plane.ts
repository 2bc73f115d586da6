import type { Logger } from 'pino';
import { OPENAPI_JSON } from '../../gen/openapi.ts';
import { KeyService } from '../../gen/sluice/v1/key_service_pb.ts';
import { ModelService } from '../../gen/sluice/v1/model_service_pb.ts';
import { PassthroughService } from '../../gen/sluice/v1/passthrough_service_pb.ts';
import type { Config } from '../base/config/config.ts';
import type { Environment } from '../base/config/environment.ts';
import { secretsOf } from '../base/config/secrets.ts';
import { SluiceError } from '../base/errors.ts';
import type { Driver } from '../models/driver.ts';
import { driversByType } from '../models/drivers.ts';
import { Inference } from '../models/inference.ts';
import { Models } from '../models/models.ts';
import { createOpenaiDriver } from '../models/openai-driver.ts';
import { createVllmAttachedDriver } from '../models/vllm-attached-driver.ts';
import { createVllmManagedDriver } from '../models/vllm-managed-driver.ts';
import type { RelayContext } from '../relay/enter.ts';
import { createAdmission } from '../service/admission.ts';
import { bind } from '../service/binding.ts';
import { createForwardService } from '../service/forward-service.ts';
import { createKeyService } from '../service/key-service.ts';
import { createModelService, MODEL_SERVICE_POLICIES } from '../service/model-service.ts';
import { createPassthroughRoutesService } from '../service/passthrough-routes.ts';
import type { Store } from '../store/store.ts';
import { openPathRoutes, type PathRoutes } from '../upstream/path-routes.ts';
import type { ReplicaTable } from '../upstream/pick.ts';
import type { Additions } from './context.ts';
import { createDocsPage, type DocsPage } from './docs-page.ts';
import { createRest, type Rest } from './rest.ts';
import { createRpcServer, type RpcServer } from './rpc.ts';

export interface ControlPlaneOptions {
  readonly store: Store;
  readonly config: Config;
  readonly environment: Environment;
  readonly logger: Logger;
  /** False: another process of the same gateway might, and they don't know of each other. */
  readonly loadsModels: boolean;
  readonly replicas: ReplicaTable;
  /** Called when virtual keys have been changed here: what is cached of them must go. */
  readonly keysChanged?: () => void;
  /** The data plane as it is now. */
  readonly relay: () => RelayContext;
}

const NO_LOADS =
  'with --workers the processes share no models yet: load models with a gateway of one worker, or name them in model_list';

/** What runs and is stored besides the configuration file, and the services that change it. */
export class ControlPlane {
  readonly models: Models;
  readonly routes: PathRoutes;
  readonly rpc: RpcServer;
  readonly rest: Rest;
  readonly docs: DocsPage;
  #config: Config;

  private constructor(routes: PathRoutes, options: ControlPlaneOptions) {
    const { store, logger, relay, replicas } = options;
    this.#config = options.config;
    this.routes = routes;
    this.models = new Models({
      store,
      logger,
      drivers: driversByType(this.#drivers(options)),
      activity: (deployment) => replicas.activity(deployment),
      drainTimeoutMs: () => this.#config.limits.drainTimeoutMs,
      whyNoLoads: options.loadsModels ? null : NO_LOADS,
    });
    const inference = new Inference({ models: this.models, relay });
    const admit = createAdmission(() => relay().door);
    const { log, limits } = relay();
    this.rpc = createRpcServer({
      services: [
        bind(KeyService, createKeyService({ store, changed: options.keysChanged ?? (() => {}) })),
        bind(
          ModelService,
          createModelService({ models: this.models, inference, door: () => relay().door }),
          MODEL_SERVICE_POLICIES,
        ),
        bind(
          PassthroughService,
          { ...createPassthroughRoutesService(routes), ...createForwardService(relay) },
          // The relay has a record of its own for each exchange.
          { forward: { quiet: true }, fetch: { quiet: true, readMaxBytes: limits.maxBodyBytes } },
        ),
      ],
      admit,
      log,
      bodyTimeoutMs: limits.bodyTimeoutMs,
    });
    this.rest = createRest({
      services: this.rpc.services,
      transport: this.rpc.transport,
      admit,
      log,
      bodyTimeoutMs: limits.bodyTimeoutMs,
    });
    this.docs = createDocsPage(OPENAPI_JSON);
  }

  /** Reads what is stored. @throws SluiceError `store_unavailable` */
  static async open(options: ControlPlaneOptions): Promise<ControlPlane> {
    const routes = await openPathRoutes({
      store: options.store,
      config: options.config,
      warn: (message) => options.logger.warn(message),
    });
    return new ControlPlane(routes, options);
  }

  /** Loads again what was loaded when the gateway ended; resolves when that has begun. */
  restore(): Promise<void> {
    return this.models.restore();
  }

  /** What the data plane has besides the configuration's own. */
  additions(): Additions {
    return {
      deployments: this.models.deployments(),
      asleep: this.models.asleep(),
      remedyFor: (model) => this.models.remedyFor(model),
      routes: this.routes.routes(),
    };
  }

  /** Calls back when `additions()` has changed. */
  onChange(listener: () => void): void {
    this.models.onChange(listener);
    this.routes.onChange(listener);
  }

  /** For a request that names a model of `asleep`. Rejects with SluiceError. */
  async wake(modelId: string): Promise<void> {
    const waking = this.models.wake(modelId);
    if (waking === null) {
      throw new SluiceError(
        'failed_precondition',
        `The model ${JSON.stringify(modelId)} can't be loaded just now.`,
      );
    }
    await waking;
  }

  /** Takes another configuration into use; its routes may win over stored ones. */
  reconfigure(config: Config): void {
    this.#config = config;
    this.routes.setFileRoutes(config);
  }

  /** Ends what a drain would have to wait for without need: loads, and streams that have no end of their own. */
  shutdown(): void {
    this.rpc.shutdown();
    this.models.shutdown();
  }

  /** Stops the models that run here. */
  async close(): Promise<void> {
    this.routes.close();
    await this.models.close();
  }

  #drivers({ logger, environment, relay }: ControlPlaneOptions) {
    const client = () => relay().client;
    const providerTarget = (provider: string) => this.#config.providerTargets.get(provider) ?? null;
    const managed = (): Driver =>
      createVllmManagedDriver({
        command: this.#config.vllmCommand,
        allowedArguments: this.#config.vllmAllowedArguments,
        environment,
        secrets: secretsOf(this.#config),
        logger,
      });
    return {
      openai: createOpenaiDriver({ client, providerTarget }),
      vllmAttached: createVllmAttachedDriver({ client, providerTarget }),
      // Made anew for each: the command is the present configuration's.
      vllmManaged: {
        check: (configuration) => managed().check(configuration),
        load: (configuration, events, signal) => managed().load(configuration, events, signal),
      } satisfies Driver,
    };
  }
}
