import { Code, ConnectError } from '@connectrpc/connect';
import { type Reason, SluiceError, sluiceErrorFrom } from '../base/errors.ts';
import { BridgeError, type Problem } from '../bridge/bridge-error.ts';
import type { EncodedError } from '../bridge/encode-error.ts';
import { addRpcHeaders } from '../bridge/rpc-headers.ts';
import { sluiceErrorOf } from '../service/errors.ts';

/** The row of the error table for whatever a REST call ended with. */
export function restErrorFrom(thrown: unknown): SluiceError {
  if (thrown instanceof BridgeError) return errorFromRefusal(thrown);
  if (thrown instanceof ConnectError) return sluiceErrorOf(thrown) ?? errorFromRpc(thrown);
  return sluiceErrorFrom(thrown);
}

/** The house's envelope, for the bridge. */
export function encodeRestError(thrown: unknown): EncodedError {
  const error = restErrorFrom(thrown);
  const { error: inner } = JSON.parse(error.envelope) as { readonly error: EncodedError['error'] };
  return { status: error.status, headers: error.headers, error: inner };
}

/** What the bridge itself refuses. */
const REASONS: Readonly<Record<Problem, Reason>> = {
  invalid_request: 'invalid_request',
  method_not_allowed: 'method_not_allowed',
  body_too_large: 'body_too_large',
  unsupported_media_type: 'unsupported_media_type',
};

function errorFromRefusal({ problem, message, param, headers }: BridgeError): SluiceError {
  return new SluiceError(REASONS[problem], message, { headers, ...(param !== null && { param }) });
}

/** RPC errors that weren't made from a row: Connect's own (a deadline, a method without implementation). */
const REASON_OF_CODE: Readonly<Record<Code, Reason>> = {
  [Code.Canceled]: 'client_closed',
  [Code.Unknown]: 'internal',
  [Code.InvalidArgument]: 'invalid_request',
  [Code.DeadlineExceeded]: 'deadline_exceeded',
  [Code.NotFound]: 'not_found',
  [Code.AlreadyExists]: 'already_exists',
  [Code.PermissionDenied]: 'permission_denied',
  [Code.ResourceExhausted]: 'resource_exhausted',
  [Code.FailedPrecondition]: 'failed_precondition',
  [Code.Aborted]: 'aborted',
  [Code.OutOfRange]: 'out_of_range',
  [Code.Unimplemented]: 'not_implemented',
  [Code.Internal]: 'internal',
  [Code.Unavailable]: 'unavailable',
  [Code.DataLoss]: 'internal',
  [Code.Unauthenticated]: 'unauthenticated',
};

function errorFromRpc(error: ConnectError): SluiceError {
  const headers: string[] = [];
  addRpcHeaders(headers, error.metadata);
  return new SluiceError(REASON_OF_CODE[error.code] ?? 'internal', error.rawMessage, {
    headers,
    cause: error.cause,
  });
}
