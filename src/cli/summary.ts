import type { Config } from '../base/config/config.ts';

/** What a configuration serves, in one phrase. */
export function summary({ deployments, routes }: Config): string {
  const models = new Set(deployments.map(({ modelName }) => modelName)).size;
  return `${count(models, 'model')} on ${count(deployments.length, 'deployment')}, ${count(routes.length, 'route')}`;
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`;
}
