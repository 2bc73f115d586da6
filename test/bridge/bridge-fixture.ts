import { createRegistry, type DescService, type JsonValue, type Message, toJson } from '@bufbuild/protobuf';
import { createRouterTransport, type ServiceImpl, type Transport } from '@connectrpc/connect';
import { type Bridge, type BridgeOptions, createBridge } from '../../src/bridge/bridge.ts';

/** Implementations of services that were compiled at test time: their messages have no types here. */
export type Implementation = Readonly<Record<string, (request: never, context: never) => unknown>>;

export function transportFor(service: DescService, implementation: Implementation): Transport {
  return createRouterTransport((router) => {
    router.service(service, implementation as unknown as Partial<ServiceImpl<DescService>>);
  });
}

export interface Asked {
  readonly headers?: readonly string[];
  readonly body?: string | Uint8Array | null;
  /** The body has no length that is known beforehand. */
  readonly unknownLength?: boolean;
  readonly signal?: AbortSignal;
}

export interface Answered {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Its JSON; throws where it is none. */
  readonly json: JsonValue;
  /** `error.message` of an answer that is an error. */
  readonly message: string;
  /** Bytes of the body that were asked for. */
  readonly bodyRead: boolean;
  readonly trailers: readonly string[];
}

/** Asks a bridge as a server would, and waits for the whole answer. Null: no binding has the path. */
export async function askBridge(
  bridge: Bridge,
  method: string,
  target: string,
  { headers = [], body = null, unknownLength = false, signal = new AbortController().signal }: Asked = {},
): Promise<Answered | null> {
  const mark = target.indexOf('?');
  const path = mark === -1 ? target : target.slice(0, mark);
  const match = bridge.match(method, path);
  if (match === null) return null;
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  let bodyRead = false;
  const response = await bridge.handle(match, {
    query: mark === -1 ? '' : target.slice(mark + 1),
    headers,
    signal,
    body: bytes && {
      length: unknownLength ? null : bytes.length,
      read: async (maxBytes) => {
        bodyRead = true;
        return bytes.length > maxBytes ? null : bytes;
      },
    },
  });
  const pieces: Uint8Array[] = [];
  if (response.body instanceof Uint8Array) pieces.push(response.body);
  else {
    for (let piece = await response.body.next(); piece.done !== true; piece = await response.body.next()) {
      pieces.push(piece.value);
    }
  }
  const text = Buffer.concat(pieces).toString();
  const pairs: [string, string][] = [];
  for (let i = 0; i < response.headers.length; i += 2) {
    pairs.push([response.headers[i] as string, response.headers[i + 1] as string]);
  }
  return {
    status: response.status,
    headers: new Headers(pairs),
    text,
    get json() {
      return JSON.parse(text) as JsonValue;
    },
    get message() {
      return (JSON.parse(text) as { error: { message: string } }).error.message;
    },
    bodyRead,
    trailers: response.trailers(),
  };
}

/** As `askBridge`, for a path that some binding has. */
export async function ask(bridge: Bridge, method: string, target: string, asked?: Asked): Promise<Answered> {
  const answered = await askBridge(bridge, method, target, asked);
  if (answered === null) throw new Error(`no binding for ${target}`);
  return answered;
}

/**
 * A bridge whose methods answer with an empty message and keep what they were asked, as JSON without zero values.
 */
export function recordingBridge(
  service: DescService,
  options: Partial<BridgeOptions> = {},
): { readonly bridge: Bridge; readonly asked: { method: string; request: JsonValue }[] } {
  const asked: { method: string; request: JsonValue }[] = [];
  const registry = createRegistry(service.file);
  const implementation = Object.fromEntries(
    service.methods.map((method) => [
      method.localName,
      (request: Message) => {
        asked.push({
          method: method.name,
          request: toJson(method.input, request, { useProtoFieldName: true, registry }),
        });
        return {};
      },
    ]),
  );
  const transport = transportFor(service, implementation as Implementation);
  return { bridge: createBridge({ services: [service], transport, ...options }), asked };
}
