import { createRegistry, type DescService } from '@bufbuild/protobuf';
import { createConnectRouter, type Interceptor, type Transport } from '@connectrpc/connect';
import type { UniversalHandler } from '@connectrpc/connect/protocol';
import type { Admission } from '../access/admit.ts';
import { SluiceError } from '../base/errors.ts';
import { nextRequestId } from '../base/request-id.ts';
import { parseRequestPath, type RequestPath } from '../base/request-path.ts';
import { type Admit, withAdmission } from '../service/admission.ts';
import type { ServiceBinding } from '../service/binding.ts';
import { type Call, callKey } from '../service/call.ts';
import { connectErrorFrom } from '../service/errors.ts';
import { createHealth } from '../service/health.ts';
import { cancellationInterceptor } from '../service/interceptors/cancellation.ts';
import { errorInterceptor, noteFailure } from '../service/interceptors/errors.ts';
import { createValidationInterceptor } from '../service/interceptors/validation.ts';
import { reflectionBindings } from '../service/reflection.ts';
import type { RequestLog } from '../telemetry/request-log.ts';
import { blameSender } from './rpc-binary.ts';
import { RpcBody, type RpcRequest, type RpcResponse } from './rpc-body.ts';
import { RpcExchange } from './rpc-exchange.ts';
import { gzip } from './rpc-gzip.ts';
import { headersOf, isWithoutHost } from './rpc-headers.ts';
import { strictJsonOptions } from './rpc-json.ts';
import { type BoundMethod, boundMethods } from './rpc-methods.ts';
import { EnvelopeFramer, type Framer, WholeFramer } from './rpc-reframe.ts';
import { answerUnknownMethod, explainRefusal, refuseWithoutHost } from './rpc-refusal.ts';
import { createInProcessTransport } from './rpc-transport.ts';

export interface RpcServerOptions {
  /** Health and reflection are added to these. */
  readonly services: readonly ServiceBinding[];
  readonly admit: Admit;
  /** One record a call; answers of health and reflection that went well have none. */
  readonly log: RequestLog;
  /** How long nothing may come of a body that has to come, and how long a client may take nothing of its answer. */
  readonly bodyTimeoutMs: number;
  /** Largest request message, bytes; default 4 MiB. A method's policy may say otherwise. */
  readonly readMaxBytes?: number;
  /** Largest response message, bytes; default 4 MiB. */
  readonly writeMaxBytes?: number;
  /** Longer deadlines are refused with INVALID_ARGUMENT. Default: any is taken. */
  readonly maxTimeoutMs?: number;
}

/** Connect, gRPC and gRPC-Web for a list of services, over whatever HTTP the port speaks. */
export interface RpcServer {
  /** True below the packages of the served services (`/sluice.…`, `/grpc.…`), whether there is such a method or not. */
  handles(path: RequestPath): boolean;
  /** Answers a request whose path it handles. Never throws. */
  serve(request: RpcRequest, response: RpcResponse): void;
  /** Calls the same services in process; see rpc-transport.ts. */
  readonly transport: Transport;
  /** All that is served, health and reflection included. */
  readonly services: readonly DescService[];
  /**
   * Begins the end: health says NOT_SERVING, and calls of methods that are `endless` (health's Watch, reflection, …)
   * end with UNAVAILABLE. The others are let finish, and new ones are still answered: connections are the port's.
   * Calling it again changes nothing.
   */
  shutdown(): void;
}

const MIB = 1024 * 1024;

/**
 * Largest message of a caller who shows no key with the call itself. A message is held until it is whole, and there is
 * no end to strangers.
 */
const STRANGERS_READ_MAX_BYTES = MIB;

export function createRpcServer(options: RpcServerOptions): RpcServer {
  const { admit, log, bodyTimeoutMs, maxTimeoutMs } = options;
  const { readMaxBytes = 4 * MIB, writeMaxBytes = 4 * MIB } = options;
  const health = createHealth(() => services);
  const given = [...options.services, health.binding];
  const bindings = [...given, ...reflectionBindings(given.map(({ service }) => service))];
  const services = bindings.map(({ service }) => service);
  const registry = createRegistry(...services.map(({ file }) => file));
  const shutdown = new AbortController();
  const interceptors: Interceptor[] = [
    errorInterceptor,
    cancellationInterceptor,
    createValidationInterceptor(services),
  ];
  const methods = boundMethods(bindings);
  const routes = new Map<string, Route>();
  const framers = new WeakMap<Call, Framer>();
  for (const bound of methods) {
    const { method, spec, policy } = bound;
    const router = createConnectRouter({
      interceptors,
      // Brotli, which Connect has as well, takes 35 ms for 50 KB. Streams of small messages gain nothing from either:
      // they are taken compressed, as clients may send them, and never sent so.
      acceptCompression: [gzip],
      ...(method.methodKind !== 'unary' && { compressMinBytes: writeMaxBytes + 1 }),
      jsonOptions: strictJsonOptions(method.input, registry),
      readMaxBytes: policy.readMaxBytes ?? readMaxBytes,
      writeMaxBytes,
      ...(maxTimeoutMs !== undefined && { maxTimeoutMs }),
      ...(policy.endless && { shutdownSignal: shutdown.signal }),
      requestGate(context) {
        blameSender(context, method.input);
        const { method: asked, values, requestHeader, signal } = context;
        const letIn = (admission: Admission): void => {
          withAdmission(values, admission);
          const call = values.get(callKey);
          if (admission.caller.kind === 'stranger' && call !== null) {
            framers.get(call)?.limit(STRANGERS_READ_MAX_BYTES);
          }
        };
        const refuse = (thrown: unknown): never => {
          throw noteFailure(values, connectErrorFrom(thrown, signal));
        };
        try {
          const admission = admit(asked, requestHeader);
          if (admission instanceof Promise) {
            return admission.then(letIn).catch(refuse);
          }
          letIn(admission);
        } catch (thrown) {
          refuse(thrown);
        }
        return undefined;
      },
    }).rpc(method, spec.impl as never);
    for (const handler of router.handlers) routes.set(handler.requestPath, routeTo(handler, bound));
  }
  const roots = [...new Set(services.map(({ typeName }) => `/${typeName.split('.', 1)[0]}.`))];

  function routeTo(handler: UniversalHandler, { policy, procedure }: BoundMethod): Route {
    return {
      procedure,
      quiet: policy.quiet === true,
      readMaxBytes: policy.readMaxBytes ?? readMaxBytes,
      streaming:
        handler.method.methodKind === 'client_streaming' || handler.method.methodKind === 'bidi_streaming',
      handle: async (request) => explainRefusal(await handler(request), handler),
    };
  }

  const unknown: Route = {
    procedure: null,
    quiet: false,
    readMaxBytes,
    streaming: false,
    handle: answerUnknownMethod,
  };

  return {
    handles: ({ raw }) => roots.some((root) => raw.startsWith(root)),
    serve(request, response) {
      const path = parseRequestPath(request.url ?? '/');
      const route = routes.get(path.raw) ?? unknown;
      const header = headersOf(request, maxTimeoutMs === undefined);
      const isEnveloped = /^application\/(?:grpc|connect\+)/i.test(header.get('content-type') ?? '');
      const framer = isEnveloped
        ? new EnvelopeFramer(route.readMaxBytes)
        : new WholeFramer(route.readMaxBytes);
      const call: Call = { id: nextRequestId(), failure: null };
      framers.set(call, framer);
      const body = new RpcBody({
        request,
        response,
        framer,
        timeoutMs: bodyTimeoutMs,
        streaming: route.streaming,
      });
      const exchange = new RpcExchange({
        call,
        path,
        request,
        response,
        header,
        body,
        handle: isWithoutHost(request) ? refuseWithoutHost : route.handle,
        procedure: route.procedure,
        quiet: route.quiet,
        stallTimeoutMs: bodyTimeoutMs,
        log,
      });
      void exchange.run();
    },
    transport: createInProcessTransport({ methods, interceptors, admit, shutdownSignal: shutdown.signal }),
    services,
    shutdown() {
      if (shutdown.signal.aborted) return;
      health.setServing(false);
      shutdown.abort(new SluiceError('shutting_down', 'The server is shutting down.'));
    },
  };
}

interface Route {
  readonly procedure: string | null;
  readonly quiet: boolean;
  readonly readMaxBytes: number;
  readonly streaming: boolean;
  readonly handle: ConstructorParameters<typeof RpcExchange>[0]['handle'];
}
