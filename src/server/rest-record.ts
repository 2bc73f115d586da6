import type { SluiceError } from '../base/errors.ts';
import type { RequestPath } from '../base/request-path.ts';
import type { Binding } from '../bridge/binding.ts';
import type { BridgeMatch } from '../bridge/bridge.ts';
import type { Outcome, RequestRecord } from '../telemetry/request-log.ts';

export interface RestEnd {
  readonly id: string;
  readonly httpMethod: string;
  readonly path: RequestPath;
  readonly match: BridgeMatch;
  /** 0: the client left before there was an answer. */
  readonly status: number;
  readonly failure: SluiceError | null;
  readonly clientLeft: boolean;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly durationMs: number;
}

/** The record of one call over REST. */
export function restRecord(end: RestEnd): RequestRecord {
  const { clientLeft, failure, match } = end;
  return {
    id: end.id,
    method: end.httpMethod,
    path: loggablePath(end),
    route: match.kind === 'binding' ? `rest ${procedureOf(match)}` : null,
    target: null,
    model: null,
    status: end.status === 0 ? 499 : end.status,
    outcome: clientLeft ? 'client_left' : outcomeOf(failure),
    why: clientLeft ? null : (failure?.reason ?? null),
    bytesIn: end.bytesIn,
    bytesOut: end.bytesOut,
    firstByteMs: null,
    durationMs: end.durationMs,
    cause: clientLeft ? null : (failure?.cause ?? null),
  };
}

function procedureOf({ binding }: BridgeMatch & { readonly kind: 'binding' }): string {
  const { method } = binding;
  return `${method.parent.typeName}/${method.name}`;
}

function outcomeOf(failure: SluiceError | null): Outcome {
  if (failure === null) return 'complete';
  return failure.reason.startsWith('upstream_') ? 'upstream_failed' : 'refused';
}

/** Keys of ours, in any spelling that a path can have: `/key/sk-…/regenerate`. */
const KEY = /^(?:s|%73|%53)(?:k|%6b|%4b)(?:-|%2d)/i;

/** Variables whose field says `debug_redact` stay out of the log, and so does what looks like a key wherever it stands. */
function loggablePath({ path, match }: RestEnd): string {
  const segments = path.raw.split('/').slice(1);
  const isHidden = (segment: string, index: number): boolean =>
    KEY.test(segment) || (match.kind === 'binding' && segment !== '' && isSecretAt(match.binding, index));
  if (!segments.some(isHidden)) return path.raw;
  return segments.map((segment, index) => (isHidden(segment, index) ? '/…' : `/${segment}`)).join('');
}

function isSecretAt({ variables }: Binding, index: number): boolean {
  return variables.some(
    ({ fields, start, end, extent }) =>
      start <= index &&
      (index < end || extent === 'rest') &&
      fields.some(({ proto }) => proto.options?.debugRedact === true),
  );
}
