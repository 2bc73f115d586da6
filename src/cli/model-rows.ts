import {
  type ModelConfiguration,
  ModelState,
  type ModelStatus,
  stageName,
  stateName,
} from '../sdk/model-states.ts';
import type { Control } from './control.ts';
import { timeOf } from './load-progress.ts';
import { printable, word } from './table.ts';

/** A configuration, and where its model stands with it. */
export interface ModelRow {
  readonly configuration: ModelConfiguration;
  /** Undefined: another configuration of the model is, or was, loaded. */
  readonly status: ModelStatus | undefined;
}

/** Every configuration, oldest first. */
export async function modelRows({ client }: Pick<Control, 'client'>): Promise<readonly ModelRow[]> {
  const [{ configurations }, { statuses }] = await Promise.all([
    client.models.listConfigurations({}),
    client.models.listModelStatuses({}),
  ]);
  return configurations.map((configuration) => ({
    configuration,
    status: statuses.find(
      ({ modelId, configId }) => modelId === configuration.modelId && configId === configuration.configId,
    ),
  }));
}

/** `ready`, `starting 48 %`. */
export function stateOf({ status }: ModelRow): string {
  if (status === undefined) return stateName(ModelState.STOPPED);
  const state = stateName(status.state);
  return status.state === ModelState.STARTING ? `${state} ${status.percent} %` : state;
}

/** For programs; names as REST has them. */
export function plainFrom({ configuration, status }: ModelRow) {
  return {
    config_id: configuration.configId,
    model_id: configuration.modelId,
    model_name: configuration.modelName,
    model_type: configuration.modelType,
    model_kwargs: configuration.modelKwargs ?? {},
    state: stateName(status?.state ?? ModelState.STOPPED),
    failure: status?.failure ?? '',
  };
}

/** All that is known of one, for people: a name and a value a line. */
export function described(row: ModelRow): string {
  const { configuration, status } = row;
  const settings = Object.entries(configuration.modelKwargs ?? {}).map(
    ([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  const lines: (readonly [name: string, value: string])[] = [
    ['model', configuration.modelId],
    ['configuration', configuration.configId],
    ['type', configuration.modelType],
    ['name', configuration.modelName],
    ...settings.map((setting, index) => [index === 0 ? 'settings' : '', word(setting)] as const),
    ['state', stateOf(row) + detail(status)],
  ];
  if (status !== undefined && status.lastLogLine !== '' && status.failure === '')
    lines.push(['last log line', status.lastLogLine]);
  const text = lines.map(([name, value]) => `${name.padEnd(15)}${printable(value)}\n`).join('');
  const failure = status === undefined ? '' : status.failure;
  return failure === '' ? text : `${text}\n${failure.split('\n').map(printable).join('\n')}\n`;
}

/** Why it failed, on one line. */
export function failureInShort({ modelId, configId, failure }: ModelStatus): string {
  const [first = '', ...log] = failure.split('\n');
  const reason = `${modelId} failed: ${first.replace(/; its log ends with:$/, '')}`;
  return `${printable(reason)}${log.length === 0 ? '' : ` (its log: sluice models show ${word(configId)})`}\n`;
}

function detail(status: ModelStatus | undefined): string {
  if (status === undefined) return '';
  const time = timeOf(Number(status.elapsed?.seconds ?? 0n));
  switch (status.state) {
    case ModelState.STARTING:
      return `, ${stageName(status.stage)}, for ${time}`;
    case ModelState.READY:
      return `, loaded in ${time}`;
    default:
      return '';
  }
}
