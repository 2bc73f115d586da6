import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { create, type DescMessage, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { createClient } from '@connectrpc/connect';
import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ServerReflection } from '../../gen/grpc/reflection/v1/reflection_pb.ts';
import { ModelService } from '../../gen/sluice/v1/model_service_pb.ts';
import { SluiceError } from '../../src/base/errors.ts';
import { selfSignedCertificate } from '../helpers/certificate.ts';
import { MASTER_KEY, type RpcFixture, startRpc, transportTo, WIRES } from './rpc-fixture.ts';

const { loadModel, streamInfer } = ModelService.method;
const { serverReflectionInfo } = ServerReflection.method;

function encoder<D extends DescMessage>(schema: D): (message: MessageInitShape<D>) => Buffer {
  return (message) => Buffer.from(toBinary(schema, create(schema, message)));
}

function openClient(fixture: RpcFixture): Client {
  const client = new Client(`127.0.0.1:${fixture.port.address.port}`, credentials.createInsecure());
  onTestFinished(() => client.close());
  return client;
}

function load(client: Client, path = '/sluice.v1.ModelService/LoadModel', key = MASTER_KEY): Promise<string> {
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${key}`);
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      path,
      encoder(loadModel.input),
      (bytes) => fromBinary(loadModel.output, bytes),
      { configId: 'x' },
      metadata,
      (error, answer) => (error === null ? resolve(answer?.message ?? '') : reject(error)),
    );
  });
}

async function errorOf(promise: Promise<unknown>): Promise<ServiceError> {
  return promise.then(
    () => Promise.reject(new Error('not refused')),
    (error) => error as ServiceError,
  );
}

describe('grpc-js', () => {
  test('makes unary calls, and gets errors with their text', async () => {
    let isLoaded = true;
    const fixture = await startRpc({
      masterKey: MASTER_KEY,
      model: {
        loadModel() {
          if (isLoaded) return { message: 'ok' };
          throw new SluiceError('failed_precondition', 'Another one ist geladen: ä.');
        },
      },
    });
    const client = openClient(fixture);
    expect(await load(client)).toBe('ok');
    isLoaded = false;
    const failed = await errorOf(load(client));
    expect(failed.code).toBe(status.FAILED_PRECONDITION);
    expect(failed.details).toBe('Another one ist geladen: ä.');
    expect(failed.metadata.get('grpc-status')).toEqual([]);
    expect((await errorOf(load(client, undefined, 'sk-no'))).code).toBe(status.UNAUTHENTICATED);
    expect((await errorOf(load(client, '/sluice.v1.ModelService/Nothing'))).code).toBe(status.UNIMPLEMENTED);
    expect((await errorOf(load(client, '/sluice.v1.Nothing/Nothing'))).code).toBe(status.UNIMPLEMENTED);
  });

  test('reads a stream', async () => {
    const fixture = await startRpc({
      model: {
        async *streamInfer({ prompt }) {
          for (const letter of prompt) yield { response: letter };
        },
      },
    });
    const stream = openClient(fixture).makeServerStreamRequest(
      '/sluice.v1.ModelService/StreamInfer',
      encoder(streamInfer.input),
      (bytes) => fromBinary(streamInfer.output, bytes),
      { modelId: 'm', prompt: 'abc' },
    );
    const letters: string[] = [];
    for await (const { response } of stream) letters.push(response as string);
    expect(letters).toEqual(['a', 'b', 'c']);
  });

  test('talks both ways', async () => {
    const fixture = await startRpc();
    const stream = openClient(fixture).makeBidiStreamRequest(
      '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
      encoder(serverReflectionInfo.input),
      (bytes) => fromBinary(serverReflectionInfo.output, bytes),
    );
    const cases: unknown[] = [];
    stream.write({ messageRequest: { case: 'listServices', value: '' } });
    for await (const { messageResponse } of stream) {
      cases.push(messageResponse.case);
      if (cases.length === 1) stream.write({ messageRequest: { case: 'fileByFilename', value: 'x' } });
      else stream.end();
    }
    expect(cases).toEqual(['listServicesResponse', 'errorResponse']);
    await fixture.idle();
  });
});

describe('buf curl', () => {
  const buf = fileURLToPath(new URL('../../node_modules/.bin/buf', import.meta.url));
  const run = promisify(execFile);

  test.each(['grpc', 'grpcweb', 'connect'])(
    'lists services without a key, and calls with one, over %s',
    async (protocol) => {
      const fixture = await startRpc({
        masterKey: MASTER_KEY,
        model: { loadModel: ({ configId }) => ({ message: configId }) },
      });
      const flags = ['curl', '--http2-prior-knowledge', '--protocol', protocol];
      const listed = await run(buf, [...flags, '--list-methods', fixture.baseUrl]);
      expect(listed.stdout).toContain('sluice.v1.ModelService/LoadModel\n');
      expect(listed.stdout).toContain('grpc.health.v1.Health/Check\n');
      const key = ['--header', `authorization: Bearer ${MASTER_KEY}`];
      const url = `${fixture.baseUrl}/sluice.v1.ModelService/LoadModel`;
      const called = await run(buf, [...flags, ...key, '--data', '{"config_id":"c"}', url]);
      expect(JSON.parse(called.stdout)).toEqual({ message: 'c' });
    },
  );
});

describe('TLS', () => {
  test.each(WIRES)('$protocol over HTTP/$httpVersion', async (wire) => {
    const fixture = await startRpc({
      model: { loadModel: () => ({ message: 'ok' }) },
      port: { tls: selfSignedCertificate() },
    });
    const transport = transportTo(fixture.baseUrl, wire, { nodeOptions: { rejectUnauthorized: false } });
    const client = createClient(ModelService, transport);
    expect((await client.loadModel({ configId: 'x' })).message).toBe('ok');
  });
});
