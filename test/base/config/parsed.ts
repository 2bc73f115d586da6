import type { Config } from '../../../src/base/config/config.ts';
import type { Environment } from '../../../src/base/config/environment.ts';
import { ConfigError } from '../../../src/base/config/load.ts';
import { configFromEnvironment, parseConfig } from '../../../src/base/config/parse.ts';
import { PROVIDERS } from '../../../src/upstream/providers.ts';

/** Parses a text as the file `config.yaml`, with nothing in the environment but `env`. */
export function parsed(text: string, env: Environment = {}, baseDir = '.'): Config {
  return parseConfig(text, { file: 'config.yaml', env, providers: PROVIDERS, baseDir });
}

/** The faults of a text that has some, as `check-config` prints them. */
export function faultsOf(text: string, env: Environment = {}, baseDir = '.'): readonly string[] {
  return linesOf(() => parsed(text, env, baseDir));
}

/** The faults of an environment without a file. */
export function faultsOfEnvironment(env: Environment): readonly string[] {
  return linesOf(() => configFromEnvironment(env, PROVIDERS));
}

function linesOf(parse: () => Config): readonly string[] {
  try {
    parse();
  } catch (thrown) {
    if (thrown instanceof ConfigError) return thrown.message.split('\n');
    throw thrown;
  }
  return [];
}
