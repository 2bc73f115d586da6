import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Config, Provider } from './config.ts';
import type { Environment } from './environment.ts';
import { ConfigError } from './fault.ts';
import { configFromEnvironment, parseConfig } from './parse.ts';
import { readProblem } from './read-problem.ts';

export { ConfigError };

export interface LoadOptions {
  /** The configuration file; without one (absent or null) the environment alone is read. */
  readonly file?: string | null;
  readonly env: Environment;
  /** The provider table (upstream/providers.ts). */
  readonly providers: readonly Provider[];
}

/**
 * Reads a configuration from its file, or from the environment alone.
 * @throws ConfigError with every fault, or with one that says why the file can't be read.
 */
export function loadConfig({ file, env, providers }: LoadOptions): Config {
  if (file === undefined || file === null) return configFromEnvironment(env, providers);
  return parseConfig(readText(file), { file, env, providers, baseDir: dirname(file) });
}

function readText(file: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (thrown) {
    throw unreadable(file, readProblem(thrown), thrown);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (thrown) {
    throw unreadable(file, 'it is not UTF-8 text', thrown);
  }
}

function unreadable(file: string, problem: string, cause: unknown): ConfigError {
  return new ConfigError(
    [{ file, line: null, column: null, path: '', message: `can't be read: ${problem}` }],
    cause,
  );
}
