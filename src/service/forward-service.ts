import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import type { HttpRequestHead } from '../../gen/sluice/v1/passthrough_pb.ts';
import type {
  FetchRequest,
  ForwardRequest,
  PassthroughService,
} from '../../gen/sluice/v1/passthrough_service_pb.ts';
import { SluiceError } from '../base/errors.ts';
import { parseRequestPath } from '../base/request-path.ts';
import type { RequestBody } from '../relay/downstream.ts';
import type { RelayContext } from '../relay/enter.ts';
import {
  lengthMismatch,
  MessageDownstream,
  type RequestParts,
  type ResponsePart,
} from '../relay/message-downstream.ts';
import { headerValue } from '../relay/raw-headers.ts';
import { relay } from '../relay/relay.ts';
import { screenRequest } from '../relay/request-screen.ts';
import { abortError } from './errors.ts';
import { ForwardParts, rawPairs } from './forward-parts.ts';

type ForwardService = Pick<ServiceImpl<typeof PassthroughService>, 'forward' | 'fetch'>;

/**
 * The typed way through the relay: `Forward` and `Fetch` of PassthroughService. A request in messages takes the same
 * way as one on the raw port, so that every rule of that way holds; refusals by it are HTTP responses. What can't be
 * a request at all fails the call with INVALID_ARGUMENT, a response that breaks off with UNAVAILABLE.
 *
 * @param relayContext the present configuration's; a call keeps the one that it began with
 */
export function createForwardService(relayContext: () => RelayContext): ForwardService {
  return {
    async *forward(requests: AsyncIterable<ForwardRequest>, call: HandlerContext) {
      refuseJson(call);
      const { limits } = relayContext();
      const parts = new ForwardParts(requests, limits);
      const due = { signal: call.signal, timeoutMs: limits.headerTimeoutMs };
      const head = headFrom(await parts.readHead(due), relayContext());
      const hasBody = head.length !== null || HAS_BODY.has(head.method) || !(await parts.isEmpty(due));
      const body: RequestBody = hasBody ? bodyFrom(head.length) : { kind: 'none' };
      yield* exchange({ head, body, parts, call });
    },

    async *fetch(request: FetchRequest, call: HandlerContext) {
      refuseJson(call);
      if (request.head === undefined)
        throw new SluiceError('invalid_request', 'There is no head.', { param: 'head' });
      const head = headFrom(request.head, relayContext());
      const { length } = request.body;
      if (head.length !== null && head.length !== length) {
        throw lengthMismatch(length > head.length ? 'longer' : 'shorter');
      }
      const hasBody = head.length !== null || HAS_BODY.has(head.method) || length > 0;
      const body: RequestBody = hasBody ? { kind: 'length', length } : { kind: 'none' };
      yield* exchange({ head, body, parts: wholeBody(request.body), call });
    },
  };
}

/** Methods whose requests have a body unless they say otherwise (RFC 9110 §8.6). */
const HAS_BODY: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);

/** A head that may enter the relay. */
interface Head {
  readonly method: string;
  readonly target: string;
  /** Raw name-value pairs. */
  readonly headers: readonly string[];
  /** Content-Length; null if there is none. */
  readonly length: number | null;
  readonly context: RelayContext;
}

/** @throws SluiceError `malformed_http` and other rows of the port's screen */
function headFrom(message: HttpRequestHead, context: RelayContext): Head {
  const { method, path: url } = message;
  const headers = rawPairs(message.headers);
  const target = screenRequest(
    'rpc',
    { httpVersion: '2.0', method, url, rawHeaders: headers },
    context.limits,
  );
  if (target instanceof SluiceError) throw target;
  const length = headerValue(headers, 'content-length');
  return { method, target, headers, length: length === null ? null : Number(length), context };
}

function bodyFrom(length: number | null): RequestBody {
  return length === null ? { kind: 'unknown_length' } : { kind: 'length', length };
}

interface Exchange {
  readonly head: Head;
  readonly body: RequestBody;
  readonly parts: RequestParts;
  readonly call: HandlerContext;
}

async function* exchange({ head, body, parts, call }: Exchange): AsyncIterable<PartMessage> {
  const { signal } = call;
  const { method, headers } = head;
  const callHeaders = [...call.requestHeader].flat();
  const downstream = new MessageDownstream({ method, headers, callHeaders, body, parts });
  // Not in `finally` alone: while a slow client takes nothing, nobody would run it.
  const onAbort = (): void => downstream.leave(abortError(signal));
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    if (signal.aborted) throw abortError(signal);
    relay(downstream, parseRequestPath(head.target), head.context);
    for (let part = await downstream.next(); part !== null; part = await downstream.next()) {
      yield partMessage(part);
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    downstream.leave(abortError(signal));
  }
}

/** Of either method: their messages are alike. */
interface PartMessage {
  readonly part:
    | { readonly case: 'head'; readonly value: HeadMessage }
    | { readonly case: 'chunk'; readonly value: Uint8Array }
    | { readonly case: 'trailers'; readonly value: { readonly headers: HeaderMessage[] } };
}

interface HeadMessage {
  readonly status: number;
  readonly reason: string;
  readonly headers: HeaderMessage[];
}

interface HeaderMessage {
  readonly name: string;
  readonly value: string;
}

function partMessage(part: ResponsePart): PartMessage {
  switch (part.kind) {
    case 'head': {
      const { status, reason } = part;
      return { part: { case: 'head', value: { status, reason, headers: headerList(part.headers) } } };
    }
    case 'chunk':
      return { part: { case: 'chunk', value: part.bytes } };
    case 'trailers':
      return { part: { case: 'trailers', value: { headers: headerList(part.headers) } } };
  }
}

function headerList(pairs: readonly string[]): HeaderMessage[] {
  const list: HeaderMessage[] = [];
  for (let i = 0; i + 1 < pairs.length; i += 2) {
    list.push({ name: pairs[i] as string, value: pairs[i + 1] as string });
  }
  return list;
}

/** Fetch has its body in one piece. */
function wholeBody(bytes: Uint8Array): RequestParts {
  let isTaken = bytes.length === 0;
  return {
    async next() {
      if (isTaken) return { kind: 'end' };
      isTaken = true;
      return { kind: 'chunk', bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length) };
    },
  };
}

/** JSON would carry bodies as base64, a third longer and ten times as dear; no client needs it. */
function refuseJson({ requestHeader, method }: HandlerContext): void {
  if (!/[/+]json\b/i.test(requestHeader.get('content-type') ?? '')) return;
  throw new SluiceError(
    'not_implemented',
    `${method.name} takes binary messages alone (application/proto, application/connect+proto, application/grpc…), not JSON.`,
  );
}
