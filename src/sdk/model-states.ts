import type { DescEnum } from '@bufbuild/protobuf';
import {
  type LoadStage,
  LoadStageSchema,
  type ModelState,
  ModelStateSchema,
} from '../../gen/sluice/v1/model_pb.ts';

export {
  LoadStage,
  type ModelConfiguration,
  ModelState,
  type ModelStatus,
} from '../../gen/sluice/v1/model_pb.ts';

/** What people call a state: `ready`; `unknown` for one that a newer gateway has. */
export function stateName(state: ModelState): string {
  return nameOf(ModelStateSchema, state);
}

/** What people call a step of loading: `loading weights`. */
export function stageName(stage: LoadStage): string {
  return nameOf(LoadStageSchema, stage);
}

function nameOf(schema: DescEnum, number: number): string {
  const value = number === 0 ? undefined : schema.value[number];
  return value === undefined
    ? 'unknown'
    : value.localName.toLowerCase().replaceAll('_', ' ').replace('kv cache', 'KV cache');
}
