import type { Deployment } from './config.ts';
import { type ModelReading, ownerOf, readDeployment } from './deployment.ts';
import { text } from './fields.ts';
import { ENTRY_KEYS } from './known-model-keys.ts';
import { nearest } from './nearest.ts';
import type { Path } from './report.ts';
import { describe, readSection, section } from './section.ts';
import { isYamlObject, type YamlValue } from './yaml-tree.ts';

/** The forks' names for one section, and ours. */
export const DIALECTS = ['litellm_params', 'remodl_params', 'dheera_ai_params', 'params'] as const;

export const MODEL_ENTRY = section({
  description: 'One deployment of a model. Several with one model_name share the load.',
  used: {
    model_name: text({ description: 'The name that clients ask for.' }),
  },
  required: ['model_name'],
  nested: [...DIALECTS, 'model_info'],
  ignored: ENTRY_KEYS,
});

/** Reads `model_list`. What can't be served is a fault, or is left out with a warning (unrelayed-providers.ts). */
export function readModelList(value: YamlValue | undefined, reading: ModelReading): readonly Deployment[] {
  if (value === undefined || value === null) return [];
  const path = ['model_list'];
  if (!Array.isArray(value)) {
    reading.report.fault(path, `must be a list of models, not ${describe(value)}`);
    return [];
  }
  const namesakes = new Map<string, number>();
  return (value as readonly YamlValue[]).flatMap((entry, index) => {
    const draft = readEntry(entry, [...path, index], reading);
    if (draft === null) return [];
    const ordinal = namesakes.get(draft.modelName) ?? 0;
    namesakes.set(draft.modelName, ordinal + 1);
    return [{ id: `${draft.modelName}#${ordinal}`, ...draft }];
  });
}

function readEntry(entry: YamlValue, path: Path, reading: ModelReading): Omit<Deployment, 'id'> | null {
  const { report } = reading;
  if (!isYamlObject(entry)) {
    report.fault(path, `must be a mapping with model_name and litellm_params, not ${describe(entry)}`);
    return null;
  }
  const values = readSection(MODEL_ENTRY, entry, path, reading);
  const [dialect, second] = Object.keys(entry).filter(isDialect);
  if (dialect === undefined) {
    // A misspelt one has been told already.
    const misspelt = Object.keys(entry).some((key) => nearest(key, DIALECTS) !== null);
    if (!misspelt) report.fault(path, 'has no litellm_params (or remodl_params, dheera_ai_params, params)');
    return null;
  }
  if (second !== undefined)
    report.faultAtKey([...path, second], `says the same as ${dialect}; keep one of them`);
  const params = entry[dialect];
  if (!isYamlObject(params)) {
    report.fault([...path, dialect], `must be a mapping with at least model, not ${describe(params)}`);
    return null;
  }
  const modelInfo = entry.model_info ?? {};
  if (!isYamlObject(modelInfo)) {
    report.fault([...path, 'model_info'], `must be a mapping, not ${describe(modelInfo)}`);
    return null;
  }
  const owner = ownerOf(params, reading);
  if (owner?.kind === 'unrelayed') {
    report.warn(path, `left out: this version doesn't serve models of ${owner.name}: ${owner.reason}`);
    return null;
  }
  if ([entry.model_name, params.model].some((name) => typeof name === 'string' && name.includes('*'))) {
    report.warn(path, 'left out: this version has no names with * in them; list each model');
    return null;
  }
  const draft = readDeployment(params, owner, modelInfo, [...path, dialect], reading);
  return draft === null || values.model_name === undefined
    ? null
    : { modelName: values.model_name, ...draft };
}

function isDialect(key: string): boolean {
  return DIALECTS.some((dialect) => dialect === key);
}
