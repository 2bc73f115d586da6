import { create, type JsonObject, toJson } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { BridgeError } from './bridge-error.ts';
import { hasOwnJson } from './fields.ts';
import { isJsonObject } from './request-tree.ts';
import { addRpcHeaders } from './rpc-headers.ts';

/** An error as the bridge answers it: `{"error": …}`, as a whole body, or as an event of a stream. */
export interface EncodedError {
  readonly status: number;
  /** Raw name-value pairs. */
  readonly headers: readonly string[];
  readonly error: JsonObject;
}

/** Makes the answer of whatever was thrown. */
export type ErrorEncoder = (thrown: unknown) => EncodedError;

const STATUSES: Readonly<Record<Code, number>> = {
  [Code.Canceled]: 499,
  [Code.Unknown]: 500,
  [Code.InvalidArgument]: 400,
  [Code.DeadlineExceeded]: 504,
  [Code.NotFound]: 404,
  [Code.AlreadyExists]: 409,
  [Code.PermissionDenied]: 403,
  [Code.ResourceExhausted]: 429,
  [Code.FailedPrecondition]: 400,
  [Code.Aborted]: 409,
  [Code.OutOfRange]: 400,
  [Code.Unimplemented]: 501,
  [Code.Internal]: 500,
  [Code.Unavailable]: 503,
  [Code.DataLoss]: 500,
  [Code.Unauthenticated]: 401,
};

/** HTTP status of an RPC's code, as google/rpc/code.proto has them. */
export function statusFromCode(code: Code): number {
  return STATUSES[code] ?? 500;
}

/**
 * The form of google.rpc.Status over HTTP (AIP-193): `{"code": 404, "status": "NOT_FOUND", "message": …, "details": […]}`
 * with the HTTP status as `code`. The error's metadata are headers of the answer. What isn't a ConnectError is an internal error without its text.
 */
export function encodeError(thrown: unknown): EncodedError {
  if (thrown instanceof BridgeError) {
    const { status, headers, message } = thrown;
    return { status, headers, error: { code: status, status: nameOf(thrown.code), message, details: [] } };
  }
  const error = thrown instanceof ConnectError ? thrown : new ConnectError('internal error', Code.Internal);
  const status = statusFromCode(error.code);
  const { rawMessage: message } = error;
  const headers: string[] = [];
  addRpcHeaders(headers, error.metadata);
  return {
    status,
    headers,
    error: { code: status, status: nameOf(error.code), message, details: detailsOf(error) },
  };
}

/** `NOT_FOUND`. */
function nameOf(code: Code): string {
  return (Code[code] ?? 'Unknown').replace(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase();
}

/** Details of our own side; those that came over a wire have no descriptor here. */
function detailsOf({ details }: ConnectError): JsonObject[] {
  return details.flatMap((detail) => {
    if (!('desc' in detail)) return [];
    const { desc, value } = detail;
    const json = toJson(desc, create(desc, value), { useProtoFieldName: true });
    const type = `type.googleapis.com/${desc.typeName}`;
    // As google.protobuf.Any is written.
    if (hasOwnJson(desc.typeName) || !isJsonObject(json)) return [{ '@type': type, value: json }];
    return [{ '@type': type, ...json }];
  });
}
