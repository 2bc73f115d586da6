import { processEnvironment } from '../base/config/environment.ts';
import { ConfigError, loadConfig } from '../base/config/load.ts';
import { PROVIDERS } from '../upstream/providers.ts';

/** `sluice check-config FILE`: prints every fault, or what the file configures. Returns the exit code. */
export function checkConfig(file: string): number {
  try {
    const config = loadConfig({ file, env: processEnvironment(), providers: PROVIDERS });
    for (const warning of config.warnings) process.stdout.write(`warning: ${warning}\n`);
    const models = new Set(config.deployments.map(({ modelName }) => modelName)).size;
    process.stdout.write(
      `${file} is valid: ${count(models, 'model')} on ${count(config.deployments.length, 'deployment')}, ${count(config.routes.length, 'route')}.\n`,
    );
    return 0;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return 1;
  }
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`;
}
