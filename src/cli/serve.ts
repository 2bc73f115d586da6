import type { Logger } from 'pino';
import type { Config } from '../base/config/config.ts';
import { processEnvironment } from '../base/config/environment.ts';
import { loadConfig } from '../base/config/load.ts';
import { createLog } from '../base/log.ts';
import { isLoopback } from '../base/loopback.ts';
import { type Gateway, startGateway } from '../server/gateway.ts';
import { watchFile } from '../server/reload.ts';
import { openSharedLimits, type SharedLimits } from '../server/shared-limits.ts';
import { PROVIDERS } from '../upstream/providers.ts';
import { onOrder } from './orders.ts';
import { summary } from './summary.ts';
import { VERSION } from './version.ts';
import { channelToSupervisor } from './worker-channel.ts';
import { isWorker, superviseWorkers } from './workers.ts';
import { capYoungGeneration } from './young-generation.ts';

export interface ServeOptions {
  /** Path of the YAML file, or null: the environment alone. */
  readonly config: string | null;
  readonly port: number;
  /** Null: loopback without a master key, every address with one. */
  readonly host: string | null;
  readonly detailedDebug: boolean;
  readonly insecureOpen: boolean;
  readonly workers: number;
}

/** `sluice [proxy]`: serves until it is told to stop. Returns the exit code. */
export async function serve(options: ServeOptions): Promise<number> {
  const code = await serveHere(options);
  // Its channel to the supervisor keeps a worker alive, and closing it would end the worker with 0.
  if (isWorker()) process.exit(code);
  return code;
}

async function serveHere(options: ServeOptions): Promise<number> {
  let config: Config;
  let host: string;
  try {
    config = load(options);
    host = hostFor(config, options);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
  const debug = options.detailedDebug || config.detailedDebug;
  const log = createLog({
    level: debug ? 'debug' : 'info',
    pretty: process.stdout.isTTY === true,
    fd: 1,
    isShared: options.workers > 1,
  });
  const { logger, lines } = log;
  if (options.workers > 1 && !isWorker()) {
    let limits: SharedLimits | null;
    try {
      limits = await openSharedLimits(config.state, logger);
    } catch (error) {
      process.stderr.write(`sluice: ${error instanceof Error ? error.message : String(error)}\n`);
      return 1;
    }
    announce(logger, config);
    const code = await superviseWorkers(options.workers, logger, (channel) => limits?.serve(channel));
    await limits?.close();
    await log.flush();
    return code;
  }
  let gateway: Gateway;
  try {
    gateway = await startGateway({
      config,
      host,
      port: options.port,
      environment: processEnvironment(),
      loadsModels: !isWorker(),
      limits: channelToSupervisor(),
      logger,
      lines,
      version: VERSION,
    });
  } catch (error) {
    process.stderr.write(`sluice: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
  if (!isWorker()) {
    announce(logger, config);
    logger.info(`sluice ${VERSION} RUNNING on ${gateway.url} (${host}): ${summary(config)}`);
  }
  capYoungGeneration();
  const stopWatching = reloadOnChange({ options, host, gateway, logger });
  const code = await untilStopped(gateway, logger);
  stopWatching();
  await log.flush();
  return code;
}

function load(options: ServeOptions): Config {
  return loadConfig({ file: options.config, env: processEnvironment(), providers: PROVIDERS });
}

function hostFor(config: Config, options: ServeOptions): string {
  const host = options.host ?? (config.masterKey === null ? '127.0.0.1' : '0.0.0.0');
  refuseOpenAddress(config, host, options);
  return host;
}

/** @throws Error when anyone beyond this machine could use every upstream */
function refuseOpenAddress(config: Config, host: string, options: ServeOptions): void {
  if (config.masterKey !== null || isLoopback(host) || options.insecureOpen) return;
  throw new Error(
    `sluice: without a master key anyone who reaches ${host} could use every upstream: set general_settings.master_key or SLUICE_MASTER_KEY, or leave out --host, or say --insecure-open.`,
  );
}

function announce(logger: Logger, config: Config): void {
  for (const warning of config.warnings) logger.warn(warning);
  if (config.masterKey === null) logger.warn('no master key: whoever reaches the port needs none');
}

interface Reloading {
  readonly options: ServeOptions;
  /** Where the gateway listens. */
  readonly host: string;
  readonly gateway: Gateway;
  readonly logger: Logger;
}

/** Takes a changed file into use, on SIGHUP too; an unusable one changes nothing and says why. */
function reloadOnChange({ options, host, gateway, logger }: Reloading): () => void {
  function reload(): void {
    try {
      const next = load(options);
      // The address was chosen for the configuration of the start; it stays open whatever the new one says.
      refuseOpenAddress(next, host, options);
      gateway.reconfigure(next);
      for (const warning of next.warnings) logger.warn(warning);
      logger.info('configuration reloaded');
    } catch (error) {
      const faults = error instanceof Error ? error.message : String(error);
      logger.error(`configuration not reloaded, the old one stays in use:\n${faults}`);
    }
  }
  onOrder('reload', reload);
  return options.config === null ? () => {} : watchFile(options.config, reload);
}

/** Drains at the first order to stop, breaks what is left at the second. */
function untilStopped(gateway: Gateway, logger: Logger): Promise<number> {
  return new Promise((resolve) => {
    let stopping = false;
    onOrder('stop', () => {
      if (stopping) {
        void gateway.close();
        return;
      }
      stopping = true;
      logger.info(`draining, ${gateway.inFlight} requests under way`);
      void gateway.drain().then(({ completed, broken }) => {
        logger.info(`stopped: ${completed} requests finished while draining, ${broken} were broken off`);
        resolve(broken === 0 ? 0 : 3);
      });
    });
  });
}
