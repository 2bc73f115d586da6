import { processEnvironment } from '../base/config/environment.ts';
import { ConfigError, loadConfig } from '../base/config/load.ts';
import { PROVIDERS } from '../upstream/providers.ts';
import { summary } from './summary.ts';

/** `sluice check-config FILE`: prints every fault, or what the file configures. Returns the exit code. */
export function checkConfig(file: string): number {
  try {
    const config = loadConfig({ file, env: processEnvironment(), providers: PROVIDERS });
    for (const warning of config.warnings) process.stdout.write(`warning: ${warning}\n`);
    process.stdout.write(`${file} is valid: ${summary(config)}.\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return 1;
  }
}
