import type { Config, Provider } from './config.ts';
import { MODEL_PARAMS } from './deployment.ts';
import { type Environment, variable } from './environment.ts';
import { ConfigError } from './fault.ts';
import { deepFreeze } from './freeze.ts';
import {
  allowedHostsFrom,
  GENERAL,
  GENERAL_PATH,
  limitsFrom,
  masterKeyFrom,
  vllmAllowedArgumentsFrom,
} from './general-settings.ts';
import { readModelList } from './model-list.ts';
import { readEndpoints, warnOfRoutes } from './pass-through.ts';
import { type ProviderSetting, providerSetting, providerTargets } from './provider-targets.ts';
import { Report } from './report.ts';
import { describe, type Fields, type Reading, readSection, type Section, type Values } from './section.ts';
import { LIBRARY, LIBRARY_SECTIONS, ROUTER, TOP } from './sections.ts';
import { stateFrom } from './state.ts';
import { firstTimeouts, type PartialTimeouts, timeoutsFrom } from './timeouts.ts';
import { readTls } from './tls.ts';
import { EMPTY_TREE, isYamlObject, parseYamlTree, type YamlObject, type YamlTree } from './yaml-tree.ts';

export interface ParseOptions {
  /** How messages call the text; null for one that is in no file. */
  readonly file: string | null;
  readonly env: Environment;
  /** The provider table (upstream/providers.ts). */
  readonly providers: readonly Provider[];
  /** The directory that file names in the text are relative to. */
  readonly baseDir: string;
}

/**
 * Makes a configuration of a YAML text and the environment: deeply frozen, everything resolved and checked.
 * @throws ConfigError with every fault there is, each with its place and its remedy.
 */
export function parseConfig(text: string, options: ParseOptions): Config {
  const tree = parseYamlTree(text);
  const report = new Report(options.file, tree);
  for (const fault of tree.faults) report.faultAtPlace(fault.place, fault.message);
  if (!isYamlObject(tree.root)) {
    if (tree.root !== undefined && tree.root !== null) {
      report.fault([], `a configuration is a mapping, like "model_list: …", not ${describe(tree.root)}`);
    } else if (!report.hasFaults) {
      report.fault([], 'holds nothing; a configuration has at least a model_list or general_settings');
    }
    throw new ConfigError(report.faults());
  }
  return build(tree.root, tree, report, options);
}

/** Makes a configuration of the environment alone. @throws ConfigError, as `parseConfig` does. */
export function configFromEnvironment(env: Environment, providers: readonly Provider[]): Config {
  const options: ParseOptions = { file: null, env, providers, baseDir: '.' };
  return build({}, EMPTY_TREE, new Report(null, EMPTY_TREE), options);
}

function build(root: YamlObject, tree: YamlTree, report: Report, options: ParseOptions): Config {
  const environment = readEnvironment(root, { report, tree, homes: HOMES, environment: options.env });
  const reading: Reading = { report, tree, homes: HOMES, environment };
  const general = readSection(GENERAL, root.general_settings, GENERAL_PATH, reading);
  const generalRaw = isYamlObject(root.general_settings) ? root.general_settings : {};
  const library = readLibrary(root, reading);
  const router = readSection(ROUTER, root.router_settings, ['router_settings'], reading);
  const timeouts = defaultTimeouts(general, library, router);
  const settings = readProviders(options.providers, reading);
  const deployments = readModelList(root.model_list, {
    ...reading,
    settings,
    providers: options.providers,
    timeouts: timeouts.models,
  });
  const targets = providerTargets(settings, firstTimeouts(timeouts.routes, timeouts.models));
  const routes = readEndpoints(generalRaw.pass_through_endpoints, timeouts.routes, reading);
  const masterKey = masterKeyFrom(general, reading);
  const tls = readTls(generalRaw.tls, options.baseDir, reading);
  const allowedHosts = allowedHostsFrom(general, reading);
  const vllmAllowedArguments = vllmAllowedArgumentsFrom(general, reading);
  const state = stateFrom(general, reading);
  if (report.hasFaults) throw new ConfigError(report.faults());
  const vllmBases = [...deployments, ...targets.values()].filter((one) => one.provider === 'vllm');
  const vllmOrigins = new Set(vllmBases.map((one) => new URL(one.apiBase).origin));
  warnOfRoutes(routes, { hasMasterKey: masterKey !== null, vllmOrigins }, reading);
  return deepFreeze({
    file: options.file,
    deployments,
    providerTargets: targets,
    routes: routes.map((placed) => placed.route),
    routeTimeouts: firstTimeouts(timeouts.routes),
    masterKey,
    tls,
    verifyUpstreamTls: library.ssl_verify !== false,
    upstreamClient: general.upstream_client ?? 'http1',
    limits: limitsFrom(general),
    allowedHosts,
    detailedDebug: library.set_verbose ?? false,
    vllmCommand: general.vllm_command ?? ['vllm'],
    vllmAllowedArguments,
    state,
    warnings: report.warnings(),
  });
}

/** The environment, completed by what `environment_variables` sets: like LiteLLM's, it overrides nothing. */
function readEnvironment(root: YamlObject, reading: Reading): Environment {
  // Keys beginning with x- hold what anchors repeat elsewhere.
  const own = Object.fromEntries(Object.entries(root).filter(([key]) => !key.startsWith('x-')));
  const given = own.environment_variables;
  if (isYamlObject(given)) {
    own.environment_variables = Object.fromEntries(
      Object.entries(given).filter(([, value]) => value !== null),
    );
  }
  const { environment_variables: variables = {} } = readSection(TOP, own, [], reading);
  const completed: Record<string, string | undefined> = { ...reading.environment };
  for (const [name, value] of Object.entries(variables)) {
    if (variable(reading.environment, name) === null) completed[name] = value;
  }
  return completed;
}

const SECTIONS: readonly (readonly [string, Pick<Section<Fields>, 'used' | 'nested' | 'ignored'>])[] = [
  ['litellm_params', MODEL_PARAMS],
  ['litellm_settings', LIBRARY],
  ['router_settings', ROUTER],
  ['general_settings', GENERAL],
  ['the top level', TOP],
];

/** The section to which a key belongs; one that acts on it comes before one that merely knows it. */
const HOMES: ReadonlyMap<string, string> = new Map([
  ...SECTIONS.flatMap(([name, { ignored }]) => ignored.map((key) => [key, name] as const)),
  ...SECTIONS.flatMap(([name, { used, nested }]) =>
    [...Object.keys(used), ...nested].map((key) => [key, name] as const),
  ),
]);

function readLibrary(root: YamlObject, reading: Reading): Values<typeof LIBRARY.used> {
  const [name = 'litellm_settings', second] = LIBRARY_SECTIONS.filter((key) => Object.hasOwn(root, key));
  if (second !== undefined) reading.report.faultAtKey([second], `says the same as ${name}; keep one of them`);
  const library = readSection(LIBRARY, root[name], [name], reading);
  if (typeof library.ssl_verify === 'string') {
    reading.report.warn(
      [name, 'ssl_verify'],
      'a file of authorities is not read; name it in NODE_EXTRA_CA_CERTS',
    );
  }
  return library;
}

function readProviders(
  providers: readonly Provider[],
  reading: Reading,
): ReadonlyMap<string, ProviderSetting> {
  return new Map(
    providers.map((provider) => [
      provider.id,
      providerSetting(provider, reading.environment, reading.report),
    ]),
  );
}

/** What holds where a deployment or a route names no timeout; LiteLLM lets router_settings win. */
function defaultTimeouts(
  general: Values<typeof GENERAL.used>,
  library: Values<typeof LIBRARY.used>,
  router: Values<typeof ROUTER.used>,
): { readonly models: PartialTimeouts; readonly routes: PartialTimeouts } {
  const own = timeoutsFrom(general);
  return {
    models: {
      connectTimeoutMs: own.connectTimeoutMs,
      firstByteTimeoutMs: router.timeout ?? library.request_timeout ?? own.firstByteTimeoutMs,
      idleTimeoutMs: router.stream_timeout ?? own.idleTimeoutMs,
    },
    routes: { ...own, firstByteTimeoutMs: general.pass_through_request_timeout ?? own.firstByteTimeoutMs },
  };
}
