import type { DescFile, DescService } from '@bufbuild/protobuf';
import { Code } from '@connectrpc/connect';
import { ServerReflection } from '../../gen/grpc/reflection/v1/reflection_pb.ts';
import { ServerReflection as ServerReflectionV1Alpha } from '../../gen/grpc/reflection/v1alpha/reflection_pb.ts';
import { bind, type ServiceBinding } from './binding.ts';
import { DescriptorIndex } from './descriptor-index.ts';

/** A name: everyone may ask, and what is read of a message is held until it is whole. */
const MAX_REQUEST_BYTES = 16_384;

/**
 * Server reflection, v1 and v1alpha, so that grpcurl and `buf curl` need no schema:
 * https://github.com/grpc/grpc/blob/master/doc/server-reflection.md
 *
 * @param services what is listed besides reflection itself
 */
export function reflectionBindings(services: readonly DescService[]): readonly ServiceBinding[] {
  const served = [...services, ServerReflection, ServerReflectionV1Alpha];
  let index: DescriptorIndex | null = null;
  async function* serverReflectionInfo<R extends Request>(
    requests: AsyncIterable<R>,
  ): AsyncGenerator<Response<R>> {
    index ??= new DescriptorIndex(served);
    const sent = new Set<DescFile>();
    for await (const request of requests) {
      const messageResponse = answerTo(request.messageRequest, index, sent);
      yield { validHost: request.host, originalRequest: request, messageResponse };
    }
  }
  const policy = { endless: true, quiet: true, readMaxBytes: MAX_REQUEST_BYTES } as const;
  const policies = { serverReflectionInfo: policy };
  // The two versions are one, but for the names of their messages.
  return [
    bind(ServerReflection, { serverReflectionInfo }, policies),
    bind(ServerReflectionV1Alpha, { serverReflectionInfo }, policies),
  ];
}

interface Request {
  readonly host: string;
  readonly messageRequest: Query;
}

interface Response<R> {
  validHost: string;
  originalRequest: R;
  messageResponse: Answer;
}

type Query =
  | { readonly case: 'fileByFilename'; readonly value: string }
  | { readonly case: 'fileContainingSymbol'; readonly value: string }
  | { readonly case: 'fileContainingExtension'; readonly value: ExtensionName }
  | { readonly case: 'allExtensionNumbersOfType'; readonly value: string }
  | { readonly case: 'listServices'; readonly value: string }
  | { readonly case: undefined };

interface ExtensionName {
  readonly containingType: string;
  readonly extensionNumber: number;
}

type Answer =
  | { case: 'fileDescriptorResponse'; value: { fileDescriptorProto: Uint8Array<ArrayBuffer>[] } }
  | { case: 'allExtensionNumbersResponse'; value: { baseTypeName: string; extensionNumber: number[] } }
  | { case: 'listServicesResponse'; value: { service: { name: string }[] } }
  | { case: 'errorResponse'; value: { errorCode: number; errorMessage: string } };

/** @param sent the files that this stream has been sent; added to */
function answerTo(query: Query, index: DescriptorIndex, sent: Set<DescFile>): Answer {
  switch (query.case) {
    case 'fileByFilename':
      return filesFrom(index.fileByName(query.value), `file ${query.value}`, index, sent);
    case 'fileContainingSymbol':
      return filesFrom(index.fileBySymbol(query.value), `symbol ${query.value}`, index, sent);
    case 'fileContainingExtension': {
      const { containingType, extensionNumber } = query.value;
      const file = index.fileByExtension(containingType, extensionNumber);
      return filesFrom(file, `extension ${extensionNumber} of ${containingType}`, index, sent);
    }
    case 'allExtensionNumbersOfType': {
      const numbers = index.extensionNumbers(query.value);
      if (numbers === undefined) return notFound(`message ${query.value}`);
      const value = { baseTypeName: query.value, extensionNumber: [...numbers] };
      return { case: 'allExtensionNumbersResponse', value };
    }
    case 'listServices':
      return { case: 'listServicesResponse', value: { service: index.services.map((name) => ({ name })) } };
    case undefined:
      return error(Code.InvalidArgument, 'The request asks for nothing.');
  }
}

/** The file and all that it imports, without what this stream has already been sent. */
function filesFrom(
  file: DescFile | undefined,
  what: string,
  index: DescriptorIndex,
  sent: Set<DescFile>,
): Answer {
  if (file === undefined) return notFound(what);
  const files = new Set([file]);
  // What is added to a set while it is walked is walked too.
  for (const each of files) {
    for (const dependency of each.dependencies) if (!sent.has(dependency)) files.add(dependency);
  }
  for (const each of files) sent.add(each);
  return {
    case: 'fileDescriptorResponse',
    value: { fileDescriptorProto: [...files].map((each) => index.encode(each)) },
  };
}

function notFound(what: string): Answer {
  return error(Code.NotFound, `There is no ${what} here.`);
}

function error(errorCode: Code, errorMessage: string): Answer {
  return { case: 'errorResponse', value: { errorCode, errorMessage } };
}
