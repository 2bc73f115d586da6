import { create, type DescMessage, type DescMethod, type MessageInitShape } from '@bufbuild/protobuf';
import {
  Code,
  ConnectError,
  type ContextValues,
  createContextValues,
  createHandlerContext,
  type Interceptor,
  type MethodImplSpec,
  type Transport,
} from '@connectrpc/connect';
import {
  invokeUnaryImplementation,
  transformInvokeImplementation,
  untilFirst,
} from '@connectrpc/connect/protocol';
import { nextRequestId } from '../base/request-id.ts';
import { type Admit, admissionKey, withAdmission } from '../service/admission.ts';
import { type Call, callKey, REQUEST_ID_HEADER } from '../service/call.ts';
import { connectErrorFrom } from '../service/errors.ts';
import { raced } from '../service/interceptors/cancellation.ts';
import type { BoundMethod } from './rpc-methods.ts';

export interface InProcessOptions {
  readonly methods: readonly BoundMethod[];
  readonly interceptors: Interceptor[];
  /** Asked where the caller's ContextValues have no admission. */
  readonly admit: Admit;
  readonly shutdownSignal: AbortSignal;
}

/**
 * A transport that calls the implementations themselves, through the same interceptors as a call from outside, with
 * no HTTP and no serialization in between.
 *
 * The request id is that of `callKey` in the ContextValues, or a new one; it stands in the response's headers, or in
 * the error's metadata. No record is written: the caller knows what was asked of it. An error that was made from a
 * SluiceError has it as `cause`. `stream` resolves with the first response message, so that a refusal rejects it.
 */
export function createInProcessTransport(options: InProcessOptions): Transport {
  const { interceptors } = options;
  const byMethod = new Map<DescMethod, BoundMethod>(options.methods.map((bound) => [bound.method, bound]));

  function begin(method: DescMethod, caller: Caller): InProcessCall {
    const bound = byMethod.get(method);
    if (bound !== undefined) return new InProcessCall(bound, caller, options);
    throw new ConnectError(`${method.parent.typeName} is not served here.`, Code.Unimplemented);
  }

  return {
    async unary(method, signal, timeoutMs, header, input, contextValues) {
      const call = begin(method, { signal, timeoutMs, header, contextValues });
      const { context } = call;
      try {
        const admission = call.admit();
        if (admission !== null) await admission;
        const spec = call.specFor(method) as MethodImplSpec<typeof method.input, typeof method.output> & {
          kind: 'unary';
        };
        const request = create(method.input, input);
        const answer = invokeUnaryImplementation(spec, context, request, interceptors);
        const message = await raced(answer, context.signal);
        return { ...call.responseParts(), stream: false, method, message };
      } catch (thrown) {
        throw call.failed(thrown);
      } finally {
        context.abort();
      }
    },
    async stream(method, signal, timeoutMs, header, input, contextValues) {
      const call = begin(method, { signal, timeoutMs, header, contextValues });
      try {
        const admission = call.admit();
        if (admission !== null) await admission;
        const invoke = transformInvokeImplementation(call.specFor(method), call.context, interceptors);
        const messages = await untilFirst(invoke(createdMessages(method.input, input)));
        return {
          ...call.responseParts(),
          stream: true,
          method,
          message: new CallMessages(messages[Symbol.asyncIterator](), call),
        };
      } catch (thrown) {
        throw call.failed(thrown);
      }
    },
  };
}

interface Caller {
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number | undefined;
  readonly header: Parameters<Transport['unary']>[3];
  readonly contextValues: ContextValues | undefined;
}

class InProcessCall {
  readonly context: ReturnType<typeof createHandlerContext>;
  readonly #bound: BoundMethod;
  readonly #admit: Admit;
  readonly #call: Call;

  constructor(bound: BoundMethod, caller: Caller, { admit, shutdownSignal }: InProcessOptions) {
    const { method, policy, procedure } = bound;
    const { signal, timeoutMs, header, contextValues = createContextValues() } = caller;
    this.#bound = bound;
    this.#admit = admit;
    this.#call = contextValues.get(callKey) ?? { id: nextRequestId(), failure: null };
    this.context = createHandlerContext({
      service: method.parent,
      method,
      protocolName: 'in-process',
      requestMethod: 'POST',
      url: `http://localhost/${procedure}`,
      contextValues: contextValues.set(callKey, this.#call),
      ...(timeoutMs !== undefined && { timeoutMs }),
      ...(signal !== undefined && { requestSignal: signal }),
      ...(header !== undefined && { requestHeader: header }),
      ...(policy.endless && { shutdownSignal }),
    });
  }

  /** Nobody is let in only because they come from within. Null: it is done already. */
  admit(): Promise<void> | null {
    const { values, requestHeader } = this.context;
    if (values.get(admissionKey) !== null) return null;
    const admission = this.#admit(this.#bound.method, requestHeader);
    if (admission instanceof Promise)
      return admission.then((admitted) => void withAdmission(values, admitted));
    withAdmission(values, admission);
    return null;
  }

  /** The table's key has lost the types that the method has; they are the same method's. */
  specFor<I extends DescMessage, O extends DescMessage>(
    _method: DescMethod & { readonly input: I; readonly output: O },
  ): MethodImplSpec<I, O> {
    return this.#bound.spec as unknown as MethodImplSpec<I, O>;
  }

  responseParts(): { service: DescMethod['parent']; header: Headers; trailer: Headers } {
    const { responseHeader: header, responseTrailer: trailer } = this.context;
    header.set(REQUEST_ID_HEADER, this.#call.id);
    return { service: this.#bound.method.parent, header, trailer };
  }

  failed(thrown: unknown): ConnectError {
    const error = connectErrorFrom(thrown, this.context.signal);
    this.context.abort(error);
    error.metadata.set(REQUEST_ID_HEADER, this.#call.id);
    return error;
  }
}

/** The response's messages. Leaving them aborts the call, so that an implementation that waits is told. */
class CallMessages<T> implements AsyncIterableIterator<T> {
  readonly #inner: AsyncIterator<T>;
  readonly #call: InProcessCall;

  constructor(inner: AsyncIterator<T>, call: InProcessCall) {
    this.#inner = inner;
    this.#call = call;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<T>> {
    try {
      const result = await this.#inner.next();
      if (result.done) this.#call.context.abort();
      return result;
    } catch (thrown) {
      throw this.#call.failed(thrown);
    }
  }

  async return(value?: unknown): Promise<IteratorResult<T>> {
    this.#call.context.abort();
    return (await this.#inner.return?.(value)) ?? { done: true, value };
  }
}

async function* createdMessages<D extends DescMessage>(
  schema: D,
  messages: AsyncIterable<MessageInitShape<D>>,
): AsyncGenerator<ReturnType<typeof create<D>>> {
  for await (const message of messages) yield create(schema, message);
}
