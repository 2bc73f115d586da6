import { createRegistry, type DescMethod, type DescService, type Registry } from '@bufbuild/protobuf';
import { type ContextValues, createContextValues, type Transport } from '@connectrpc/connect';
import { type Binding, BindingError, bindingName, bindingsOf } from './binding.ts';
import { BridgeError, invalid } from './bridge-error.ts';
import type { BridgeResponse } from './bridge-response.ts';
import { encodeError as defaultEncodeError, type ErrorEncoder } from './encode-error.ts';
import { RequestDecoder } from './request-decoder.ts';
import { ResponseEncoder } from './response-encoder.ts';
import { RouteTable } from './route-table.ts';
import { addRpcHeaders, isJson, type RequestHeaders, requestHeadersFrom } from './rpc-headers.ts';
import { openStreamBody } from './stream-body.ts';
import { framingFor } from './stream-frames.ts';

export interface BridgeOptions {
  /** Their methods with a `google.api.http` annotation are served; what others they have doesn't matter. */
  readonly services: readonly DescService[];
  /** Where the RPCs go: in process (`createRouterTransport`) or over a network. */
  readonly transport: Transport;
  /**
   * Asked after the route is known and before any byte of the body is read. What it throws is the answer; what it
   * returns goes to the RPC. `headers` are those that the RPC will get, `values` those of the request. Default:
   * everyone may.
   */
  readonly admit?: (
    method: DescMethod,
    headers: Headers,
    values: ContextValues,
  ) => ContextValues | Promise<ContextValues>;
  /** Default: `encodeError`. */
  readonly encodeError?: ErrorEncoder;
  /** Of a request's body; beyond it 413. Default 4 MiB. */
  readonly maxBodyBytes?: number;
  /** `optional`: `/books/` is `/books` where no template takes it as it is. Default `strict`. */
  readonly trailingSlash?: 'strict' | 'optional';
  /**
   * How long the head of a stream waits for the first message, milliseconds, so that an error before it has an HTTP
   * status of its own. Default 1,000.
   */
  readonly streamHeadDelayMs?: number;
  /** Messages that `google.protobuf.Any` may hold in JSON. Default: those of the services' files. */
  readonly registry?: Registry;
}

/** HTTP/JSON in front of RPC, by google.api.http annotations alone. */
export interface Bridge {
  /** All that is served, in the order of the services. */
  readonly bindings: readonly Binding[];
  /** Finds what serves a request; null when no binding has such a path. `path` is raw, without query. */
  match(method: string, path: string): BridgeMatch | null;
  /** Answers a matched request; never rejects. */
  handle(match: BridgeMatch, request: BridgeRequest): Promise<BridgeResponse>;
}

export type BridgeMatch =
  | {
      readonly kind: 'binding';
      readonly binding: BoundRoute;
      readonly segments: readonly string[];
      readonly isHead: boolean;
    }
  /** `handle` answers 405. */
  | { readonly kind: 'method_not_allowed'; readonly method: string; readonly allow: readonly string[] };

/** A binding as `match` returns it. */
export interface BoundRoute extends Binding {
  readonly decoder: RequestDecoder;
  readonly encoder: ResponseEncoder;
}

export interface BridgeRequest {
  /** Raw, behind the `?`; `` when there is none. */
  readonly query: string;
  /** Raw name-value pairs, as node:http has them in `rawHeaders`. */
  readonly headers: readonly string[];
  /** Null: the request has none. */
  readonly body: BridgeRequestBody | null;
  /** Aborts the RPC: the client has gone. */
  readonly signal: AbortSignal;
  /** What the caller of the bridge has to tell `admit` and the RPC. */
  readonly values?: ContextValues;
}

/** A body that nothing has been read of. */
export interface BridgeRequestBody {
  /** As announced; null when it wasn't. */
  readonly length: number | null;
  /**
   * Reads all of it; called at most once. Resolves with null as soon as there is more than `maxBytes`, and then nothing
   * more need be read. What it rejects with is the answer.
   */
  read(maxBytes: number): Promise<Uint8Array | null>;
}

const DEFAULT_MAX_BODY_BYTES = 4 * 1024 * 1024;
const NO_BODY = new Uint8Array(0);

/**
 * Reads the annotations and makes the bridge.
 * @throws BindingError that names method and binding, for an annotation that is wrong or clashes with another
 */
export function createBridge(options: BridgeOptions): Bridge {
  const { services, transport, admit, maxBodyBytes = DEFAULT_MAX_BODY_BYTES } = options;
  const encodeError = options.encodeError ?? defaultEncodeError;
  const registry = options.registry ?? createRegistry(...services.map(({ file }) => file));
  const table = new RouteTable<BoundRoute>({ trailingSlash: options.trailingSlash ?? 'strict' });
  const bindings = bindingsOf(services);
  for (const binding of bindings) {
    const decoder = new RequestDecoder(binding, registry);
    const encoder = new ResponseEncoder(binding, registry);
    const clash = table.add({ ...binding, decoder, encoder });
    if (clash === null) continue;
    throw new BindingError(`${bindingName(binding)}: takes the same requests as ${bindingName(clash)}`);
  }

  async function call(
    match: BridgeMatch & { readonly kind: 'binding' },
    request: BridgeRequest,
  ): Promise<BridgeResponse> {
    const { binding, segments, isHead } = match;
    const { method, decoder, encoder } = binding;
    const headers = requestHeadersFrom(request.headers);
    const given = request.values ?? createContextValues();
    const values = admit === undefined ? given : await admit(method, headers.forRpc, given);
    const body = await readBody(binding, headers, request.body, maxBodyBytes);
    const message = decoder.decode({
      segments,
      query: request.query,
      body,
      contentType: headers.contentType,
    });
    const timeoutMs = headers.timeoutMs ?? undefined;
    if (method.methodKind === 'server_streaming') {
      return openStreamBody({
        call: (signal) =>
          transport.stream(method, signal, timeoutMs, headers.forRpc, onlyOne(message), values),
        signal: request.signal,
        framing: framingFor(headers.accept),
        encoder,
        encodeError,
        headDelayMs: options.streamHeadDelayMs ?? 1_000,
        isHead,
      });
    }
    const response = await transport.unary(
      method,
      request.signal,
      timeoutMs,
      headers.forRpc,
      message,
      values,
    );
    const encoded = encoder.body(response.message);
    const answered = ['content-type', encoded.contentType];
    addRpcHeaders(answered, response.header);
    addRpcHeaders(answered, response.trailer);
    return whole(200, answered, encoded.bytes, null);
  }

  function answerError(thrown: unknown): BridgeResponse {
    const { status, headers, error } = encodeError(thrown);
    const bytes = new TextEncoder().encode(JSON.stringify({ error }));
    return whole(status, ['content-type', 'application/json', ...headers], bytes, thrown);
  }

  return {
    bindings,
    match(method, path) {
      const found = table.match(method, path);
      if (found === null) return null;
      if (found.kind === 'method_not_allowed') return { kind: found.kind, method, allow: found.allow };
      const { route: binding, segments } = found;
      return {
        kind: 'binding',
        binding,
        segments,
        isHead: method === 'HEAD' && binding.httpMethod !== 'HEAD',
      };
    },
    async handle(match, request) {
      try {
        if (match.kind === 'binding') return await call(match, request);
        throw methodNotAllowed(match.method, match.allow);
      } catch (thrown) {
        return answerError(thrown);
      }
    },
  };
}

function whole(
  status: number,
  headers: readonly string[],
  body: Uint8Array,
  failure: unknown,
): BridgeResponse {
  return { status, headers, body, trailers: () => [], failure: () => failure };
}

function methodNotAllowed(method: string, allow: readonly string[]): BridgeError {
  const methods = allow.join(', ');
  return new BridgeError('method_not_allowed', `${method} is not allowed here; it takes ${methods}.`, {
    headers: ['allow', methods],
  });
}

async function* onlyOne<T>(message: T): AsyncIterable<T> {
  yield message;
}

/** @throws BridgeError 400, 413, 415 */
async function readBody(
  { body: bound, decoder }: BoundRoute,
  headers: RequestHeaders,
  body: BridgeRequestBody | null,
  maxBytes: number,
): Promise<Uint8Array> {
  if (body === null || body.length === 0) return NO_BODY;
  if (bound.kind === 'none') {
    const bytes = body.length === null ? await body.read(0) : null;
    if (bytes === null) throw invalid('this method takes no request body: send parameters in path and query');
    return bytes;
  }
  if (body.length !== null) refuseOtherTypes(headers, decoder);
  const bytes = body.length !== null && body.length > maxBytes ? null : await body.read(maxBytes);
  if (bytes === null) {
    throw new BridgeError('body_too_large', `The body is larger than ${maxBytes} bytes, the limit here.`);
  }
  if (bytes.length > 0) refuseOtherTypes(headers, decoder);
  return bytes;
}

/** A body of unknown length may turn out to be none, which has no type to be wrong. */
function refuseOtherTypes({ contentType, contentEncoding }: RequestHeaders, decoder: RequestDecoder): void {
  if (contentEncoding !== null && contentEncoding.trim().toLowerCase() !== 'identity') {
    throw new BridgeError('unsupported_media_type', 'The body is compressed: send it as it is.', {
      param: 'content-encoding',
    });
  }
  // Nothing said is taken for JSON, as `curl -X POST -H 'Content-Type:' -d …` would send it.
  if (contentType === null || decoder.takesRawBody || isJson(contentType)) return;
  throw new BridgeError(
    'unsupported_media_type',
    'The body must be JSON in UTF-8: send Content-Type: application/json.',
    { param: 'content-type' },
  );
}
