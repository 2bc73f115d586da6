import type { Config, Deployment, PathRoute, ProviderTarget, Timeouts } from '../base/config/config.ts';
import { SluiceError } from '../base/errors.ts';
import type { Destination } from './destination.ts';
import { providerFrom } from './providers.ts';

/** What `pick` goes by, beside the destination. */
export interface PickRequest {
  readonly destination: Destination;
  /** The model that the body (or a websocket's query) names, or null. */
  readonly model: string | null;
  /** The header `x-sluice-model`, for requests whose body names none. */
  readonly modelHeader: string | null;
}

/** A target to send to, on loan: whoever took it calls `release` when the exchange is over. */
export interface Lease {
  /** What a log line and an error message may call it: a deployment's id, `vllm` or the route's path. */
  readonly name: string;
  readonly provider: string | null;
  readonly apiBase: string;
  /** `apiBase` was given through the API: see `UpstreamRequest.guarded`. */
  readonly guarded: boolean;
  /** The upstream's name of the model, to be put in place of the client's; null: leave the body alone. */
  readonly upstreamModel: string | null;
  /** Behind it is, or may be, a vLLM server, whose administrative endpoints are protected. */
  readonly servesVllm: boolean;
  /** Raw name-value pairs: the credential and the configured headers. */
  readonly headers: readonly string[];
  readonly timeouts: Timeouts;
  /** US dollars, by LiteLLM's names: `input_cost_per_token`, `cost_per_request`, … */
  readonly prices: Readonly<Record<string, number>>;
  /** Gives the target back; a second call is harmless. */
  release(): void;
}

/** A model that isn't loaded now and may be brought up by a request for it. */
export class ModelAsleep extends SluiceError {
  readonly model: string;

  constructor(model: string) {
    super('failed_precondition', `The model ${JSON.stringify(model)} is not loaded.`, { param: 'model' });
    this.model = model;
  }
}

/** How much a deployment is used. */
export interface Activity {
  /** Requests under way. */
  readonly outstanding: number;
  /** Requests that it was picked for so far. */
  readonly served: number;
}

export interface PickerOptions {
  /** Models that are `ModelAsleep`. */
  readonly asleep?: ReadonlySet<string>;
  /** What can be done about a model that isn't there and could be, as the end of a sentence; null where nothing can. */
  readonly remedyFor?: (model: string) => string | null;
  /** Keeps the counts of deployments that outlive this picker, which makes one of its own otherwise. */
  readonly replicas?: ReplicaTable;
}

/** The load of every deployment, by its object: a picker comes and goes with the configuration, requests stay. */
export class ReplicaTable {
  readonly #replicas = new WeakMap<Deployment, Replica>();

  /** Counts a deployment from its first request on; those of one that no picker has any more still count down. */
  activity(deployment: Deployment): Activity {
    return this.of(deployment);
  }

  /** For pickers. */
  of(deployment: Deployment): Replica {
    let replica = this.#replicas.get(deployment);
    if (replica === undefined) {
      replica = new Replica(deployment);
      this.#replicas.set(deployment, replica);
    }
    return replica;
  }
}

const NONE: ReadonlySet<string> = new Set();

/** Chooses where a request goes. One per configuration and set of loaded models. */
export class TargetPicker {
  readonly #models = new Map<string, Replica[]>();
  readonly #replicas: Replica[];
  readonly #defaults = new Map<string, ProviderReplica>();
  readonly #asleep: ReadonlySet<string>;
  readonly #remedyFor: (model: string) => string | null;

  constructor(config: Pick<Config, 'deployments' | 'providerTargets'>, options: PickerOptions = {}) {
    this.#asleep = options.asleep ?? NONE;
    this.#remedyFor = options.remedyFor ?? (() => null);
    const table = options.replicas ?? new ReplicaTable();
    this.#replicas = config.deployments.map((deployment) => table.of(deployment));
    for (const replica of this.#replicas) {
      const { modelName } = replica.deployment;
      const namesakes = this.#models.get(modelName);
      if (namesakes === undefined) this.#models.set(modelName, [replica]);
      else namesakes.push(replica);
    }
    for (const [provider, target] of config.providerTargets) {
      if (target.configured) this.#defaults.set(provider, new ProviderReplica(target));
    }
  }

  /** The names that clients may ask for, in the order of the file; loaded models and those asleep follow. */
  get modelNames(): readonly string[] {
    return [...new Set([...this.#models.keys(), ...this.#asleep])];
  }

  /** True when requests that name no known model still have somewhere to go. */
  hasDefault(provider: string): boolean {
    return this.#defaults.has(provider);
  }

  /** Requests under way, by deployment id. */
  outstanding(): ReadonlyMap<string, number> {
    return new Map(this.#replicas.map((replica) => [replica.deployment.id, replica.outstanding]));
  }

  /**
   * @throws SluiceError `model_not_found` 404, `model_required` 400, naming the models that exist; ModelAsleep
   */
  pick(request: PickRequest): Lease {
    const { destination } = request;
    if (destination.kind === 'route') return routeLease(destination.route);
    const provider = destination.kind === 'provider' ? destination.provider : null;
    if (request.model !== null) {
      const namesakes = this.#models.get(request.model);
      if (namesakes !== undefined) return leastBusy(namesakes, provider).lease();
      if (this.#asleep.has(request.model)) throw new ModelAsleep(request.model);
      const fallback = this.#defaults.get(provider ?? 'vllm');
      if (fallback !== undefined) return fallback.lease();
      throw this.#unknown(request.model, 'model');
    }
    if (request.modelHeader !== null) {
      const namesakes = this.#models.get(request.modelHeader);
      if (this.#asleep.has(request.modelHeader) && namesakes === undefined) {
        throw new ModelAsleep(request.modelHeader);
      }
      if (namesakes === undefined) throw this.#unknown(request.modelHeader, 'x-sluice-model');
      return leastBusy(namesakes, provider).lease();
    }
    return this.#pickWithoutModel(provider);
  }

  /** What the target is called that a request without a model would get; null: it is no model's, or there is none. */
  modelWithoutName(provider: string | null): string | null {
    if (this.#defaults.has(provider ?? 'vllm')) return null;
    const [only, another] = this.#candidates(provider);
    return only === undefined || another !== undefined ? null : only.deployment.modelName;
  }

  #candidates(provider: string | null): readonly Replica[] {
    const own = this.#replicas.filter(({ deployment }) => deployment.provider === (provider ?? 'vllm'));
    return own.length === 0 && provider === null ? this.#replicas : own;
  }

  #pickWithoutModel(provider: string | null): Lease {
    const fallback = this.#defaults.get(provider ?? 'vllm');
    if (fallback !== undefined) return fallback.lease();
    const candidates = this.#candidates(provider);
    const [only] = candidates;
    if (only !== undefined && candidates.length === 1) return only.lease();
    const names = listed([...new Set(candidates.map(({ deployment }) => deployment.modelName))]);
    throw new SluiceError(
      'model_required',
      names === ''
        ? `No target is configured for ${provider === null ? 'this path' : `/${provider}`}: add a model to model_list, or set ${variableFor(provider ?? 'vllm')}.`
        : `Which model is meant? Name one in the body's "model" or in the header x-sluice-model: ${names}.`,
      { param: 'model' },
    );
  }

  #unknown(model: string, param: string): SluiceError {
    const named = `The model ${JSON.stringify(model)}`;
    const names = listed(this.modelNames);
    const known = names === '' ? [] : [`Known models: ${names}.`];
    const remedy = this.#remedyFor(model);
    const told =
      remedy === null
        ? [`${named} does not exist here.`, ...(names === '' ? ['There is none at the moment.'] : known)]
        : [`${named} is not loaded: ${remedy}.`, ...known];
    return new SluiceError('model_not_found', told.join(' '), { param });
  }
}

/** The environment variable that makes a provider's path work without a model. */
function variableFor(providerId: string): string {
  const provider = providerFrom(providerId);
  const names = provider?.apiBase === null ? provider.apiBaseEnv : provider?.apiKeyEnv;
  return names?.[0] ?? 'its address';
}

const LISTED_NAMES = 50;

function listed(names: readonly string[]): string {
  const shown = names.slice(0, LISTED_NAMES).join(', ');
  return names.length > LISTED_NAMES ? `${shown}, and ${names.length - LISTED_NAMES} more` : shown;
}

/** The namesake with the fewest requests under way; those of the path's own provider are preferred. */
function leastBusy(namesakes: readonly Replica[], provider: string | null): Replica {
  let candidates = namesakes;
  if (provider !== null && namesakes.length > 1) {
    const own = namesakes.filter(({ deployment }) => deployment.provider === provider);
    if (own.length > 0) candidates = own;
  }
  let best = candidates[0] as Replica;
  for (const candidate of candidates) {
    // Among equals the one that has waited longest, so that an idle set is used in turn.
    if (
      candidate.outstanding < best.outstanding ||
      (candidate.outstanding === best.outstanding && candidate.lastPicked < best.lastPicked)
    ) {
      best = candidate;
    }
  }
  return best;
}

const NO_PRICES: Readonly<Record<string, number>> = Object.freeze({});

let pickCount = 0;

class Replica {
  readonly deployment: Deployment;
  readonly headers: readonly string[];
  readonly servesVllm: boolean;
  outstanding = 0;
  served = 0;
  lastPicked = 0;

  constructor(deployment: Deployment) {
    this.deployment = deployment;
    const { provider, apiKey, apiBase, headers } = deployment;
    this.servesVllm = mayServeVllm(provider, apiBase);
    this.headers = withCredential(provider, apiKey, headers);
  }

  lease(): Lease {
    this.outstanding++;
    this.served++;
    this.lastPicked = ++pickCount;
    return new ReplicaLease(this);
  }
}

class ReplicaLease implements Lease {
  readonly name: string;
  readonly provider: string;
  readonly apiBase: string;
  readonly guarded: boolean;
  readonly upstreamModel: string | null;
  readonly servesVllm: boolean;
  readonly headers: readonly string[];
  readonly timeouts: Timeouts;
  readonly prices: Readonly<Record<string, number>>;
  #replica: Replica | null;

  constructor(replica: Replica) {
    const { deployment } = replica;
    this.name = deployment.id;
    this.provider = deployment.provider;
    this.apiBase = deployment.apiBase;
    this.guarded = deployment.guarded ?? false;
    this.upstreamModel = deployment.upstreamModel;
    this.servesVllm = replica.servesVllm;
    this.headers = replica.headers;
    this.timeouts = deployment.timeouts;
    this.prices = deployment.prices;
    this.#replica = replica;
  }

  release(): void {
    if (this.#replica === null) return;
    this.#replica.outstanding--;
    this.#replica = null;
  }
}

class ProviderReplica {
  readonly #lease: Lease;

  constructor(target: ProviderTarget) {
    this.#lease = {
      name: target.provider,
      provider: target.provider,
      apiBase: target.apiBase,
      guarded: false,
      upstreamModel: null,
      servesVllm: mayServeVllm(target.provider, target.apiBase),
      headers: withCredential(target.provider, target.apiKey, []),
      timeouts: target.timeouts,
      prices: NO_PRICES,
      release: () => {},
    };
  }

  lease(): Lease {
    return this.#lease;
  }
}

function routeLease(route: PathRoute): Lease {
  if (route.target.kind === 'adapter') {
    throw new SluiceError(
      'not_implemented',
      `The adapter ${route.target.name} is not served by this version.`,
    );
  }
  return {
    name: route.path,
    provider: null,
    apiBase: route.target.url,
    guarded: route.guarded,
    upstreamModel: null,
    servesVllm: false,
    headers: route.headers,
    timeouts: route.timeouts,
    prices: route.costPerRequest === null ? NO_PRICES : { cost_per_request: route.costPerRequest },
    release: () => {},
  };
}

/** The provider's credential header and the configured ones; a configured one of the same name wins. */
function withCredential(
  providerId: string,
  apiKey: string | null,
  headers: readonly string[],
): readonly string[] {
  const provider = providerFrom(providerId);
  if (apiKey === null || provider === null) return headers;
  const taken = headers.some(
    (name, i) => i % 2 === 0 && name.toLowerCase() === provider.authHeader.toLowerCase(),
  );
  return taken ? headers : [provider.authHeader, `${provider.authPrefix}${apiKey}`, ...headers];
}

/** `openai/…` with a base of one's own is how many configurations name a vLLM server. */
function mayServeVllm(providerId: string, apiBase: string): boolean {
  if (providerId === 'vllm') return true;
  const publicBase = providerFrom(providerId)?.apiBase ?? null;
  return publicBase === null || new URL(publicBase).origin !== new URL(apiBase).origin;
}
