import { Code, type ConnectError } from '@connectrpc/connect';
import { codeToHttpStatus, codeToString } from '@connectrpc/connect/protocol-connect';
import type { SluiceError } from '../base/errors.ts';
import { sluiceErrorOf } from '../service/errors.ts';
import type { Outcome, RequestRecord } from '../telemetry/request-log.ts';

export interface CallEnd {
  readonly id: string;
  readonly httpMethod: string;
  /** Without its query. */
  readonly path: string;
  /** `sluice.v1.ModelService/LoadModel`; null for a path that names no method. */
  readonly procedure: string | null;
  /** On the wire, where an error of gRPC is a 200. */
  readonly status: number;
  readonly failure: ConnectError | null;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly durationMs: number;
}

/** The record of one call. `status` is the one that the failure has in HTTP, whatever the protocol carries it as. */
export function recordFrom(end: CallEnd): RequestRecord {
  const { failure } = end;
  const error = failure === null ? null : sluiceErrorOf(failure);
  return {
    id: end.id,
    method: end.httpMethod,
    path: end.path,
    route: end.procedure === null ? null : `rpc ${end.procedure}`,
    target: null,
    model: null,
    status:
      failure === null || end.status !== 200 ? end.status : (error?.status ?? codeToHttpStatus(failure.code)),
    outcome: outcomeOf(failure),
    why: failure === null ? null : (error?.reason ?? codeToString(failure.code)),
    bytesIn: end.bytesIn,
    bytesOut: end.bytesOut,
    firstByteMs: null,
    durationMs: end.durationMs,
    cause: causeOf(failure, error),
  };
}

/** For the log: not that of Connect's own refusals, whose text quotes what it can't parse, and that may be a prompt. */
function causeOf(failure: ConnectError | null, error: SluiceError | null): unknown {
  if (error !== null) return error.cause ?? null;
  return failure?.code === Code.Internal || failure?.code === Code.Unknown ? (failure.cause ?? null) : null;
}

function outcomeOf(failure: ConnectError | null): Outcome {
  if (failure === null) return 'complete';
  const reason = sluiceErrorOf(failure)?.reason;
  if (reason === 'client_closed') return 'client_left';
  return reason?.startsWith('upstream_') ? 'upstream_failed' : 'refused';
}
