import { STATUS_CODES } from 'node:http';
import type { Admission } from '../access/admit.ts';
import { mayUseModel } from '../access/permissions.ts';
import { errorAnswer, type OwnAnswer } from '../base/error-answer.ts';
import { SluiceError, sluiceErrorFrom } from '../base/errors.ts';
import { nextRequestId } from '../base/request-id.ts';
import type { RequestPath } from '../base/request-path.ts';
import type { Downstream } from '../relay/downstream.ts';
import { admitTo, type RelayContext } from '../relay/enter.ts';
import type { RequestRecord } from '../telemetry/request-log.ts';
import type { DocsPage } from './docs-page.ts';

/** What the control plane reads of the running gateway. */
export interface GatewayState {
  readonly context: RelayContext;
  /** Guards the control plane where nobody needs a key; null: the key guards it, or the operator wanted it open. */
  readonly hostCheck: ((host: string | undefined, origin: string | undefined) => void) | null;
  readonly draining: boolean;
  readonly version: string;
  /** When the current configuration was taken into use, Unix seconds. */
  readonly configuredAt: number;
  /** Whether the store is away, and requests live on what is known here. */
  readonly isDegraded: () => boolean;
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/**
 * Answers what Sluice itself serves over plain HTTP: health, and the list of models.
 * @returns false when the path isn't one of these
 */
export function answerControl(downstream: Downstream, path: RequestPath, state: GatewayState): boolean {
  try {
    const answer = answerFor(downstream, path, state);
    if (answer === null) return false;
    if (answer instanceof Promise) void respondLater(downstream, path, state, answer);
    else respondWith(downstream, answer);
  } catch (thrown) {
    refuseControl(downstream, path, state, sluiceErrorFrom(thrown));
  }
  return true;
}

function respondWith(downstream: Downstream, answer: Answer): void {
  const { status } = answer;
  const body = Buffer.from(`${JSON.stringify(answer.body)}\n`);
  const length = String(body.length);
  const headers = ['content-type', 'application/json', 'content-length', length];
  headers.push('x-sluice-request-id', nextRequestId());
  respond(downstream, { status, reason: STATUS_CODES[status] ?? '', headers, body });
}

/** The store is asked for the caller's key, who may leave meanwhile. */
async function respondLater(
  downstream: Downstream,
  path: RequestPath,
  state: GatewayState,
  answer: Promise<Answer>,
): Promise<void> {
  let hasLeft = false;
  downstream.listener = {
    onClientGone() {
      hasLeft = true;
    },
    onClientDrain() {},
  };
  try {
    const there = await answer;
    if (!hasLeft) respondWith(downstream, there);
  } catch (thrown) {
    if (!hasLeft) refuseControl(downstream, path, state, sluiceErrorFrom(thrown));
  }
}

/** Answers the API's own description. @returns false when the path isn't one of its */
export function answerDocs(
  downstream: Downstream,
  path: RequestPath,
  state: GatewayState,
  docs: DocsPage,
): boolean {
  try {
    const answer = docs(downstream.method, path.raw, downstream.headers);
    if (answer === null) return false;
    respond(downstream, answer);
  } catch (thrown) {
    refuseControl(downstream, path, state, sluiceErrorFrom(thrown));
  }
  return true;
}

/** Answers with an error, and logs it. */
export function refuseControl(
  downstream: Downstream,
  path: RequestPath,
  state: GatewayState,
  error: SluiceError,
): void {
  const id = nextRequestId();
  respond(downstream, errorAnswer(error, id));
  state.context.log(refusalRecord(id, downstream, path, error));
}

/** Answers have no line: probes of health would be most of the log. */
function refusalRecord(
  id: string,
  downstream: Downstream,
  path: RequestPath,
  error: SluiceError,
): RequestRecord {
  return {
    id,
    method: downstream.method,
    path: path.raw,
    route: null,
    target: null,
    model: null,
    status: error.status,
    outcome: 'refused',
    why: error.reason,
    bytesIn: 0,
    bytesOut: downstream.bytesOut,
    firstByteMs: null,
    durationMs: 0,
    cause: error.cause ?? null,
  };
}

function respond(downstream: Downstream, { status, reason, headers, body }: OwnAnswer): void {
  if (downstream.body.kind !== 'none') downstream.closeAfterResponse();
  downstream.respond(status, reason, headers, downstream.method === 'HEAD' ? Buffer.alloc(0) : body);
}

function answerFor(
  downstream: Downstream,
  path: RequestPath,
  state: GatewayState,
): Answer | Promise<Answer> | null {
  switch (path.raw) {
    case '/health/liveliness':
    case '/health/liveness':
      onlyReading(downstream);
      return { status: 200, body: "I'm alive!" };
    case '/health':
    case '/health/readiness':
      onlyReading(downstream);
      return readiness(state);
    default:
      return models(downstream, path, state);
  }
}

function readiness(state: GatewayState): Answer {
  // A degraded gateway goes on serving: taken out of a load balancer, all of them would be at once.
  const status = state.draining ? 'draining' : state.isDegraded() ? 'degraded' : 'ready';
  return { status: state.draining ? 503 : 200, body: { status, version: state.version } };
}

/**
 * `GET /v1/models` and `/v1/models/{model}` in OpenAI's form: what the caller's key may name in a request. Where only a
 * vLLM server is configured its own list is relayed instead.
 */
function models(
  downstream: Downstream,
  path: RequestPath,
  state: GatewayState,
): Answer | Promise<Answer> | null {
  const { context, configuredAt } = state;
  const { method } = downstream;
  if ((method !== 'GET' && method !== 'HEAD') || !/^\/(?:v1\/)?models(?:\/|$)/.test(path.raw)) return null;
  const destination = context.destinations.resolve(method, path);
  const names = context.picker.modelNames;
  if (destination?.kind !== 'v1' || (names.length === 0 && context.picker.hasDefault('vllm'))) return null;
  const wanted = decodeURIComponentSafely(destination.endpoint.replace(/^v1\/models\/?/, ''));
  if (wanted !== '' && !names.includes(wanted)) return null;
  const entry = (id: string) => ({ id, object: 'model', created: configuredAt, owned_by: 'sluice' });
  const answer = ({ caller }: Admission): Answer => {
    const alias = `/${destination.endpoint}`;
    context.door.permit(caller, {
      path: path.raw,
      alias,
      model: wanted === '' ? null : wanted,
      byModel: false,
    });
    if (wanted !== '') return { status: 200, body: entry(wanted) };
    const usable = caller.kind === 'key' ? names.filter((name) => mayUseModel(caller.key, name)) : names;
    return { status: 200, body: { object: 'list', data: usable.map(entry) } };
  };
  const admission = admitTo(context, destination, { headers: downstream.headers, path });
  return admission instanceof Promise ? admission.then(answer) : answer(admission);
}

function decodeURIComponentSafely(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function onlyReading(downstream: Downstream): void {
  if (downstream.method === 'GET' || downstream.method === 'HEAD') return;
  throw new SluiceError(
    'method_not_allowed',
    `${downstream.method} is not allowed here; it takes GET, HEAD.`,
    {
      headers: ['allow', 'GET, HEAD'],
    },
  );
}
