import { type DescMethod, getOption } from '@bufbuild/protobuf';
import type { HandlerContext } from '@connectrpc/connect';
import { http } from '../../gen/google/api/annotations_pb.ts';
import type { Door } from '../access/admit.ts';
import type { Grant, Used } from '../access/limiter.ts';
import { SluiceError } from '../base/errors.ts';
import { admissionOf } from './admission.ts';

/** One use of a model by a call: counted against the caller's limits, and settled once. */
export interface Metering {
  /** What was used; harmless after the call's end. */
  used(used: Used): void;
  /** Tells the caller's limits in the response's headers: before its first message. */
  tellLimits(): void;
  /** The call is over. */
  end(): void;
  /** The same for a call that failed with this: a refusal tells the limits, too. */
  failed(thrown: unknown): unknown;
}

const NOTHING: Used = { tokens: 0, costUsd: 0 };

/**
 * Counts one use of a model by a call, as a request for it on the data plane is counted.
 * @throws SluiceError `route_not_allowed`, `model_not_allowed`, `rate_limited`, `budget_exceeded`
 */
export async function meter(door: Door, context: HandlerContext, model: string): Promise<Metering> {
  const { method, responseHeader, signal } = context;
  const { caller } = admissionOf(context);
  // One rule, whatever the protocol: a key that may call /llm may make the same call by RPC.
  const procedure = `/${method.parent.typeName}/${method.name}`;
  const path = restPath(method) ?? procedure;
  door.permit(caller, { path, alias: procedure, model, byModel: true });
  const grant = await door.take(caller);
  let last = NOTHING;
  let isOver = false;
  const end = (): void => {
    signal.removeEventListener('abort', endSoon);
    if (isOver) return;
    isOver = true;
    grant.settle(last);
  };
  // Not by `end` alone: a stream whose client takes nothing ends nowhere else. Soon: what was used is told first.
  const endSoon = (): void => void setImmediate(end);
  signal.addEventListener('abort', endSoon, { once: true });
  if (signal.aborted) endSoon();
  return {
    used(used) {
      last = used;
    },
    tellLimits() {
      const { headers } = grant;
      for (let i = 0; i + 1 < headers.length; i += 2) {
        responseHeader.set(headers[i] as string, headers[i + 1] as string);
      }
    },
    end,
    failed: (thrown) => withLimits(thrown, grant),
  };
}

/** Where the method is on REST, up to its first variable; null: nowhere. */
function restPath(method: DescMethod): string | null {
  const { pattern } = getOption(method, http);
  return typeof pattern.value === 'string' ? pattern.value.replace(/\{.*$/s, '') : null;
}

function withLimits(thrown: unknown, { headers: limits }: Grant): unknown {
  if (!(thrown instanceof SluiceError) || limits.length === 0) return thrown;
  const { reason, message, param, cause } = thrown;
  const headers = [...thrown.headers, ...limits];
  return new SluiceError(reason, message, { headers, cause, ...(param !== null && { param }) });
}
