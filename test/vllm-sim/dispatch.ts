import type { Engine } from './engine/engine.ts';
import { ApiError, PlainAnswer } from './errors.ts';
import { Exchange } from './http/exchange.ts';
import type { RecordedRequest } from './http/record.ts';
import { Gone, type Reply } from './http/reply.ts';
import { matchRoute, type Route } from './http/route.ts';
import { ROUTES } from './routes.ts';

/** Where `--api-key` is asked for; everything else is open, which is vLLM's way. */
const GUARDED = /^\/(v1|v2|inference)(\/|$)/;

export interface Arrival {
  readonly engine: Engine;
  readonly request: RecordedRequest;
  readonly reply: Reply;
  readonly gone: AbortSignal;
  /** What to answer with, whatever was asked. */
  readonly refusal: ApiError | null;
}

/** Answers one request in the order in which vLLM looks at it: key, path, method, body. Throws `Gone` alone. */
export async function dispatch(arrival: Arrival): Promise<void> {
  const { engine, request, reply, gone } = arrival;
  const extraHeaders = request.header('origin') === undefined ? [] : ['access-control-allow-origin', '*'];
  const exchange = (params: readonly string[]) =>
    new Exchange({ engine, request, params, gone, reply, extraHeaders });
  let route: Route | null = null;
  try {
    if (arrival.refusal !== null) throw arrival.refusal;
    preflight(request);
    if (!authorized(engine, request)) throw new PlainAnswer(401, { error: 'Unauthorized' });
    const found = find(engine, request);
    route = found.route;
    if (route.infers === true) engine.assertServing();
    await route.handle(exchange(found.params));
  } catch (error) {
    if (error instanceof Gone) throw error;
    // Behind a head there is nothing to say it with: the connection breaks.
    if (reply.started) throw new Gone();
    await sendError(exchange([]), error, route?.anthropicErrors === true);
  }
}

/** True when no key is configured, none is asked for at this path, or the right one came. */
export function authorized(engine: Engine, request: RecordedRequest): boolean {
  const { apiKeys } = engine.settings;
  if (apiKeys.length === 0 || request.method === 'OPTIONS' || !GUARDED.test(request.path)) return true;
  const bearer = /^bearer (.*)$/i.exec(request.header('authorization') ?? '')?.[1];
  return bearer !== undefined && apiKeys.includes(bearer);
}

function find(
  engine: Engine,
  request: RecordedRequest,
): { readonly route: Route; readonly params: readonly string[] } {
  const routes = engine.settings.devMode ? ROUTES : ROUTES.filter((route) => route.dev !== true);
  const match = matchRoute(routes, request.method, request.path);
  switch (match.kind) {
    case 'route':
      return match;
    case 'wrong_method':
      throw new PlainAnswer(405, { detail: 'Method Not Allowed' }, ['allow', match.allow.join(', ')]);
    case 'none': {
      const bare = request.path.replace(/\/+$/, '');
      if (bare === '' || bare === request.path || matchRoute(routes, request.method, bare).kind === 'none')
        throw new PlainAnswer(404, { detail: 'Not Found' });
      // FastAPI sends a path with a slash too many to the one without, on the host that was asked for.
      const location = `http://${request.header('host') ?? ''}${bare}${request.url.slice(request.path.length)}`;
      throw new PlainAnswer(307, null, ['location', location]);
    }
  }
}

/** vLLM lets any web page in: a CORS preflight is answered before anything else is looked at. */
function preflight(request: RecordedRequest): void {
  const method = request.header('access-control-request-method');
  if (request.method !== 'OPTIONS' || method === undefined || request.header('origin') === undefined) return;
  const headers = request.header('access-control-request-headers');
  throw new PlainAnswer(200, null, [
    'vary',
    'Origin',
    'access-control-allow-methods',
    'DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT',
    'access-control-max-age',
    '600',
    ...(headers === undefined ? [] : ['access-control-allow-headers', headers]),
  ]);
}

async function sendError(exchange: Exchange, error: unknown, anthropic: boolean): Promise<void> {
  if (error instanceof PlainAnswer) {
    const body = error.body === null ? '' : JSON.stringify(error.body);
    const type = error.body === null ? [] : ['content-type', 'application/json'];
    return exchange.sendBytes(error.status, body, [...error.headers, ...type]);
  }
  const known = error instanceof ApiError ? error : new ApiError(500, 'InternalServerError', String(error));
  return exchange.send(known.status, anthropic ? known.anthropicEnvelope : known.envelope);
}
