import type { Logger } from 'pino';
import { logTime } from '../base/log.ts';

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

/** Takes a finished JSON line with its line end. */
export type LineSink = (line: string) => void;

/**
 * Writes one line a request: failures of ours or of an upstream as warnings. With `lines` the line of a request that
 * went well, which is nearly all of them, is put together here: pino takes three times as long to find out what is
 * known of it beforehand (2.8 µs). Both write the same fields in the same order.
 */
export function createRequestLog(logger: Logger, lines: LineSink | null): RequestLog {
  const direct = lines !== null && logger.isLevelEnabled('info') ? lines : null;
  return (record) => {
    const { cause } = record;
    if (cause !== null && cause !== undefined) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      logger.warn({ ...fieldsOf(record), cause: reason }, 'request');
    } else if (direct !== null) direct(lineOf(record));
    else logger.info(fieldsOf(record), 'request');
  };
}

function fieldsOf(record: RequestRecord): Readonly<Record<string, unknown>> {
  return {
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
}

function lineOf(record: RequestRecord): string {
  // Whatever a client or an operator chose goes through `quoted`; the rest can't hold a quote.
  return `{"level":"info"${logTime()},"request":"${record.id}","method":"${record.method}","path":${quoted(record.path)},"route":${quoted(record.route)},"target":${quoted(record.target)},"model":${quoted(record.model)},"status":${record.status},"outcome":"${record.outcome}","why":${quoted(record.why)},"bytes_in":${record.bytesIn},"bytes_out":${record.bytesOut},"first_byte_ms":${rounded(record.firstByteMs)},"duration_ms":${rounded(record.durationMs)},"msg":"request"}\n`;
}

/** Texts quoted before: routes, targets, models and most paths are the same few. */
const quotedBefore = new Map<string, string>();
const QUOTED_LIMIT = 1024;
const QUOTED_LENGTH = 256;

function quoted(text: string | null): string {
  if (text === null) return 'null';
  const known = quotedBefore.get(text);
  if (known !== undefined) return known;
  const json = JSON.stringify(text);
  if (text.length > QUOTED_LENGTH) return json;
  if (quotedBefore.size >= QUOTED_LIMIT) quotedBefore.clear();
  quotedBefore.set(text, json);
  return json;
}

/** Milliseconds with three decimals. */
function rounded(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms * 1000) / 1000;
}
