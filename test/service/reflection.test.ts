import { create, createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from '@bufbuild/protobuf/wkt';
import { Code, createClient, createRouterTransport } from '@connectrpc/connect';
import { describe, expect, test } from 'vitest';
import { Health } from '../../gen/grpc/health/v1/health_pb.ts';
import { ServerReflection } from '../../gen/grpc/reflection/v1/reflection_pb.ts';
import { ServerReflection as ServerReflectionV1Alpha } from '../../gen/grpc/reflection/v1alpha/reflection_pb.ts';
import { ModelService } from '../../gen/sluice/v1/model_service_pb.ts';
import { reflectionBindings } from '../../src/service/reflection.ts';

const transport = createRouterTransport((router) => {
  for (const { service, implementation } of reflectionBindings([ModelService, Health])) {
    router.service(service, implementation);
  }
});

describe.each([
  ['v1', ServerReflection],
  ['v1alpha', ServerReflectionV1Alpha],
] as const)('reflection %s', (_, service) => {
  const client = createClient(service as typeof ServerReflection, transport);
  type Request = Parameters<typeof client.serverReflectionInfo>[0] extends AsyncIterable<infer R> ? R : never;

  /** Asks on one stream; answers what came. */
  async function ask(...requests: Request[]) {
    async function* all() {
      yield* requests;
    }
    const answers = [];
    for await (const answer of client.serverReflectionInfo(all())) answers.push(answer);
    return answers;
  }

  async function filesOf(messageRequest: Request['messageRequest']) {
    const [answer] = await ask({ messageRequest } as Request);
    if (answer?.messageResponse.case !== 'fileDescriptorResponse') return answer?.messageResponse;
    const { fileDescriptorProto } = answer.messageResponse.value;
    return fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name);
  }

  test('lists what is served', async () => {
    const request = { host: 'h', messageRequest: { case: 'listServices', value: '' } } as const;
    const [answer] = await ask(request);
    expect(answer).toMatchObject({ validHost: 'h', originalRequest: request });
    expect(answer?.messageResponse).toMatchObject({
      case: 'listServicesResponse',
      value: {
        service: [
          { name: 'grpc.health.v1.Health' },
          { name: 'grpc.reflection.v1.ServerReflection' },
          { name: 'grpc.reflection.v1alpha.ServerReflection' },
          { name: 'sluice.v1.ModelService' },
        ],
      },
    });
  });

  test.each([
    ['a service', 'sluice.v1.ModelService', 'sluice/v1/model_service.proto'],
    ['a method', 'sluice.v1.ModelService.LoadModel', 'sluice/v1/model_service.proto'],
    ['a message', 'sluice.v1.ModelStatus', 'sluice/v1/model.proto'],
    ['a field', 'sluice.v1.ModelStatus.percent', 'sluice/v1/model.proto'],
    ['an enum', 'sluice.v1.ModelState', 'sluice/v1/model.proto'],
    ['an enum value', 'sluice.v1.MODEL_STATE_READY', 'sluice/v1/model.proto'],
    ['an extension', 'sluice.v1.access', 'sluice/v1/access.proto'],
    ['an extension of others', 'google.api.http', 'google/api/annotations.proto'],
    [
      'a nested message',
      'google.protobuf.DescriptorProto.ExtensionRange',
      'google/protobuf/descriptor.proto',
    ],
    [
      'a nested enum value',
      'google.protobuf.FieldDescriptorProto.TYPE_BOOL',
      'google/protobuf/descriptor.proto',
    ],
    ['a oneof', 'google.protobuf.Value.kind', 'google/protobuf/struct.proto'],
  ])('finds the file of %s', async (_kind, value, file) => {
    const files = await filesOf({ case: 'fileContainingSymbol', value });
    expect(Array.isArray(files) && files[0]).toBe(file);
  });

  test('sends a file with all that it imports, of which a schema can be made', async () => {
    const [answer] = await ask({
      messageRequest: { case: 'fileByFilename', value: 'sluice/v1/model_service.proto' },
    } as Request);
    if (answer?.messageResponse.case !== 'fileDescriptorResponse') throw new Error('no files');
    const file = answer.messageResponse.value.fileDescriptorProto.map((bytes) =>
      fromBinary(FileDescriptorProtoSchema, bytes),
    );
    const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: inOrder(file) }));
    const service = registry.getService('sluice.v1.ModelService');
    expect(service?.methods.map(({ name }) => name)).toEqual(ModelService.methods.map(({ name }) => name));
    expect(registry.getExtension('google.api.http')?.number).toBe(72295728);
  });

  test('sends no import twice on one stream, but what is asked for', async () => {
    const messageRequest = { case: 'fileByFilename', value: 'sluice/v1/model.proto' } as const;
    const answers = await ask({ messageRequest } as Request, { messageRequest } as Request);
    const counts = answers.map(({ messageResponse }) =>
      messageResponse.case === 'fileDescriptorResponse'
        ? messageResponse.value.fileDescriptorProto.length
        : 0,
    );
    expect(counts).toEqual([3, 1]);
  });

  test('finds extensions by number, and their numbers by message', async () => {
    const containingType = 'google.protobuf.MethodOptions';
    const value = { containingType, extensionNumber: 50001 } as never;
    const files = await filesOf({ case: 'fileContainingExtension', value });
    expect(Array.isArray(files) && files[0]).toBe('sluice/v1/access.proto');
    expect(await filesOf({ case: 'allExtensionNumbersOfType', value: containingType })).toMatchObject({
      case: 'allExtensionNumbersResponse',
      value: { baseTypeName: containingType, extensionNumber: [50001, 72295728] },
    });
    expect(
      await filesOf({ case: 'allExtensionNumbersOfType', value: 'sluice.v1.ModelStatus' }),
    ).toMatchObject({
      case: 'allExtensionNumbersResponse',
      value: { extensionNumber: [] },
    });
  });

  test.each([
    [{ case: 'fileByFilename', value: 'x.proto' }, 'There is no file x.proto here.'],
    [{ case: 'fileContainingSymbol', value: 'sluice.v1.X' }, 'There is no symbol sluice.v1.X here.'],
    [
      { case: 'fileContainingExtension', value: { containingType: 'a.B', extensionNumber: 1 } },
      'There is no extension 1 of a.B here.',
    ],
    [{ case: 'allExtensionNumbersOfType', value: 'a.B' }, 'There is no message a.B here.'],
  ])('answers what it does not know with NOT_FOUND and goes on: %o', async (messageRequest, errorMessage) => {
    const known = { messageRequest: { case: 'listServices', value: '' } };
    const answers = await ask({ messageRequest } as unknown as Request, known as Request);
    expect(answers[0]?.messageResponse).toMatchObject({
      case: 'errorResponse',
      value: { errorCode: Code.NotFound, errorMessage },
    });
    expect(answers[1]?.messageResponse.case).toBe('listServicesResponse');
  });

  test('answers a request for nothing with INVALID_ARGUMENT', async () => {
    const [answer] = await ask({ host: 'x' } as Request);
    expect(answer?.messageResponse).toMatchObject({
      case: 'errorResponse',
      value: { errorCode: Code.InvalidArgument },
    });
  });
});

/** Imports first, as a registry wants them. */
function inOrder(files: readonly FileDescriptorProto[]): FileDescriptorProto[] {
  const ordered = new Set<FileDescriptorProto>();
  const visit = (file: FileDescriptorProto | undefined): void => {
    if (file === undefined || ordered.has(file)) return;
    for (const name of file.dependency) visit(files.find((other) => other.name === name));
    ordered.add(file);
  };
  for (const file of files) visit(file);
  return [...ordered];
}
