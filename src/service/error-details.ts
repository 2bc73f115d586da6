import type { ConnectError } from '@connectrpc/connect';
import { ErrorInfoSchema, RetryInfoSchema } from '../../gen/google/rpc/error_details_pb.ts';
import type { RpcCode, SluiceError } from '../base/errors.ts';

type Detail = Extract<ConnectError['details'][number], { readonly desc: unknown }>;

/** Refusals that a client may want to tell apart, or to wait for: who asks, what they may, how much. */
const EXPLAINED: ReadonlySet<RpcCode> = new Set(['Unauthenticated', 'PermissionDenied', 'ResourceExhausted']);

/** The `ErrorInfo.domain` of all reasons. */
const DOMAIN = 'sluice';

/**
 * What clients of RPC can read beside code and message (https://google.aip.dev/193): the row of the error table as
 * `google.rpc.ErrorInfo`, and how long to wait as `google.rpc.RetryInfo`.
 */
export function errorDetails(error: SluiceError): Detail[] {
  if (!EXPLAINED.has(error.rpc)) return [];
  const reason = error.reason.toUpperCase();
  const metadata: Record<string, string> = error.param === null ? {} : { param: error.param };
  const details: Detail[] = [{ desc: ErrorInfoSchema, value: { reason, domain: DOMAIN, metadata } }];
  const seconds = retryAfter(error);
  if (seconds !== null) {
    const retryDelay = { seconds: BigInt(seconds), nanos: 0 };
    details.push({ desc: RetryInfoSchema, value: { retryDelay } });
  }
  return details;
}

/** Whole seconds; null: the error doesn't say. An upstream's own may be a date, which is no delay. */
function retryAfter({ headers }: SluiceError): number | null {
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (headers[i]?.toLowerCase() !== 'retry-after') continue;
    const value = headers[i + 1] ?? '';
    return /^\d{1,9}$/.test(value) ? Number(value) : null;
  }
  return null;
}
