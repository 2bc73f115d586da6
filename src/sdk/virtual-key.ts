import { type JsonObject, toJson } from '@bufbuild/protobuf';
import { type VirtualKey, VirtualKeySchema } from '../../gen/sluice/v1/key_pb.ts';
import {
  type GenerateKeyResponse,
  GenerateKeyResponseSchema,
  type ListKeysResponse,
  ListKeysResponseSchema,
  type RegenerateKeyResponse,
  RegenerateKeyResponseSchema,
} from '../../gen/sluice/v1/key_service_pb.ts';

export type { VirtualKey } from '../../gen/sluice/v1/key_pb.ts';
export type { GenerateKeyResponse, ListKeysResponse } from '../../gen/sluice/v1/key_service_pb.ts';

const AS_REST = { useProtoFieldName: true, alwaysEmitImplicit: true } as const;

/** A key as REST has it. */
export function keyJson(key: VirtualKey): JsonObject {
  return toJson(VirtualKeySchema, key, AS_REST) as JsonObject;
}

/** A new key as REST has it, with its secret. */
export function newKeyJson(response: GenerateKeyResponse): JsonObject {
  return toJson(GenerateKeyResponseSchema, response, AS_REST) as JsonObject;
}

/** A key with a new secret as REST has it. */
export function regeneratedKeyJson(response: RegenerateKeyResponse): JsonObject {
  return toJson(RegenerateKeyResponseSchema, response, AS_REST) as JsonObject;
}

/** A page of keys as REST has it. */
export function keyPageJson(response: ListKeysResponse): JsonObject {
  return toJson(ListKeysResponseSchema, response, AS_REST) as JsonObject;
}
