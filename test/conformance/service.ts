/** The suite's service: each request says what is to be answered, and each answer tells what was received. */
import { setTimeout as delay } from 'node:timers/promises';
import { create, type DescMessage, type MessageInitShape, type MessageShape } from '@bufbuild/protobuf';
import { type Any, anyPack } from '@bufbuild/protobuf/wkt';
import { type Code, ConnectError, type HandlerContext, type ServiceImpl } from '@connectrpc/connect';
import {
  BidiStreamRequestSchema,
  type BidiStreamResponseSchema,
  ClientStreamRequestSchema,
  type ConformancePayload_RequestInfo,
  ConformancePayload_RequestInfoSchema,
  type ConformancePayloadSchema,
  type ConformanceService,
  type Error as ErrorDefinition,
  type Header,
  IdempotentUnaryRequestSchema,
  ServerStreamRequestSchema,
  type StreamResponseDefinition,
  UnaryRequestSchema,
  type UnaryResponseDefinition,
} from './gen/connectrpc/conformance/v1/service_pb.ts';

type Answer = { payload: MessageInitShape<typeof ConformancePayloadSchema> };

/** `unimplemented` is left out: the server itself has to refuse it. */
export const conformanceService: Partial<ServiceImpl<typeof ConformanceService>> = {
  unary: (request, context) =>
    answerOnce(request.responseDefinition, [anyPack(UnaryRequestSchema, request)], context),
  idempotentUnary: (request, context) =>
    answerOnce(request.responseDefinition, [anyPack(IdempotentUnaryRequestSchema, request)], context),

  async clientStream(requests, context) {
    const received: MessageShape<typeof ClientStreamRequestSchema>[] = [];
    for await (const request of requests) received.push(request);
    return answerOnce(received[0]?.responseDefinition, packed(ClientStreamRequestSchema, received), context);
  },

  async *serverStream(request, context) {
    const definition = request.responseDefinition;
    setMetadata(definition, context);
    yield* answers(definition, 0, [anyPack(ServerStreamRequestSchema, request)], context);
  },

  async *bidiStream(requests, context): AsyncGenerator<MessageInitShape<typeof BidiStreamResponseSchema>> {
    let first: MessageShape<typeof BidiStreamRequestSchema> | null = null;
    let unanswered: Any[] = [];
    let sent = 0;
    for await (const request of requests) {
      if (first === null) {
        first = request;
        setMetadata(first.responseDefinition, context);
      }
      unanswered.push(anyPack(BidiStreamRequestSchema, request));
      if (!first.fullDuplex) continue;
      const data = first.responseDefinition?.responseData[sent];
      if (data === undefined) break;
      await delay(first.responseDefinition?.responseDelayMs ?? 0);
      yield { payload: { data, requestInfo: requestInfo(unanswered, context) } };
      unanswered = [];
      sent++;
    }
    yield* answers(first?.responseDefinition, sent, unanswered, context);
  },
};

async function answerOnce(
  definition: UnaryResponseDefinition | undefined,
  requests: readonly Any[],
  context: HandlerContext,
): Promise<Answer> {
  setMetadata(definition, context);
  await delay(definition?.responseDelayMs ?? 0);
  const info = requestInfo(requests, context);
  switch (definition?.response.case) {
    case 'error':
      throw errorFrom(definition.response.value, info);
    case 'responseData':
      return { payload: { data: definition.response.value, requestInfo: info } };
    default:
      return { payload: { requestInfo: info } };
  }
}

/** The definition's answers from number `sent` on, then its error; the first of all tells what was received. */
async function* answers(
  definition: StreamResponseDefinition | undefined,
  sent: number,
  requests: readonly Any[],
  context: HandlerContext,
): AsyncGenerator<Answer> {
  if (definition === undefined) return;
  const { responseData, responseDelayMs, error } = definition;
  for (const [offset, data] of responseData.slice(sent).entries()) {
    await delay(responseDelayMs);
    const info = sent + offset === 0 ? { requestInfo: requestInfo(requests, context) } : {};
    yield { payload: { data, ...info } };
  }
  if (error === undefined) return;
  throw errorFrom(error, responseData.length === 0 ? requestInfo(requests, context) : null);
}

function setMetadata(
  definition: UnaryResponseDefinition | StreamResponseDefinition | undefined,
  context: HandlerContext,
): void {
  append(context.responseHeader, definition?.responseHeaders ?? []);
  append(context.responseTrailer, definition?.responseTrailers ?? []);
}

function append(to: Headers, headers: readonly Header[]): void {
  for (const { name, value } of headers) for (const one of value) to.append(name, one);
}

function requestInfo(requests: readonly Any[], context: HandlerContext): ConformancePayload_RequestInfo {
  const timeoutMs = context.timeoutMs();
  return create(ConformancePayload_RequestInfoSchema, {
    requestHeaders: Array.from(context.requestHeader, ([name, value]) => ({ name, value: [value] })),
    requests: [...requests],
    ...(timeoutMs !== undefined && { timeoutMs: BigInt(Math.trunc(timeoutMs)) }),
    ...(context.requestMethod === 'GET' && { connectGetInfo: { queryParams: queryParameters(context) } }),
  });
}

function queryParameters({ url }: HandlerContext): { name: string; value: string[] }[] {
  return Array.from(new URL(url).searchParams, ([name, value]) => ({ name, value: [value] }));
}

/** The details' bytes are passed on as they are: what they mean is between the suite's client and the suite. */
function errorFrom(
  { code, message, details }: ErrorDefinition,
  info: ConformancePayload_RequestInfo | null,
): ConnectError {
  // The two enums have the same numbers.
  const error = new ConnectError(message ?? '', code as number as Code);
  const all = info === null ? details : [...details, anyPack(ConformancePayload_RequestInfoSchema, info)];
  error.details = all.map(({ typeUrl, value }) => ({
    type: typeUrl.slice(typeUrl.lastIndexOf('/') + 1),
    value,
  }));
  return error;
}

function packed<D extends DescMessage>(schema: D, messages: readonly MessageShape<D>[]): Any[] {
  return messages.map((message) => anyPack(schema, message));
}
