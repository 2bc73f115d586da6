import type { Logger } from 'pino';

/** How an exchange ended. */
export type Outcome =
  /** The client has the whole response. */
  | 'complete'
  /** The client went away before. */
  | 'client_left'
  /** The upstream failed, before or in its response. */
  | 'upstream_failed'
  /** Sluice answered itself with an error. */
  | 'refused';

/** What is known of one request when it is over. Nothing in it is a credential, a query or a body. */
export interface RequestRecord {
  readonly id: string;
  readonly method: string;
  /** Path without its query: keys travel in queries. */
  readonly path: string;
  /** `route /v1/rerank`, `provider vllm`, `v1`, or null when none took it. */
  readonly route: string | null;
  /** Name of the deployment or target, or null. */
  readonly target: string | null;
  /** What the client called the model, or null. */
  readonly model: string | null;
  readonly status: number;
  readonly outcome: Outcome;
  /** Reason of the error table, or the upstream failure's kind; null on success. */
  readonly why: string | null;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** To the upstream's head; null when there was none. */
  readonly firstByteMs: number | null;
  readonly durationMs: number;
  /** For the operator alone: may name addresses. */
  readonly cause: unknown;
}

export type RequestLog = (record: RequestRecord) => void;

/** Writes one line a request: failures of ours or of an upstream as warnings. */
export function createRequestLog(logger: Logger): RequestLog {
  return (record) => {
    const line = {
      request: record.id,
      method: record.method,
      path: record.path,
      route: record.route,
      target: record.target,
      model: record.model,
      status: record.status,
      outcome: record.outcome,
      why: record.why,
      bytes_in: record.bytesIn,
      bytes_out: record.bytesOut,
      first_byte_ms: rounded(record.firstByteMs),
      duration_ms: rounded(record.durationMs),
    };
    if (record.cause !== null && record.cause !== undefined) {
      const { cause } = record;
      logger.warn({ ...line, cause: cause instanceof Error ? cause.message : String(cause) }, 'request');
    } else logger.info(line, 'request');
  };
}

/** Milliseconds with three decimals. */
function rounded(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms * 1000) / 1000;
}
