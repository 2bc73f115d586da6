import type { DescService } from '@bufbuild/protobuf';
import type { Client, Transport } from '@connectrpc/connect';
import { type Code, ConnectError, createClient, type ServiceImpl } from '@connectrpc/connect';
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from '@connectrpc/connect-node';
import { onTestFinished } from 'vitest';
import { ModelService } from '../../gen/sluice/v1/model_service_pb.ts';
import { createDoor } from '../../src/access/admit.ts';
import { parseRequestPath } from '../../src/base/request-path.ts';
import { createRpcServer, type RpcServer, type RpcServerOptions } from '../../src/server/rpc.ts';
import { createAdmission } from '../../src/service/admission.ts';
import { bind, type ServiceBinding } from '../../src/service/binding.ts';
import type { RequestRecord } from '../../src/telemetry/request-log.ts';
import { openTestPort, type TestPort, type TestPortOptions } from './port-fixture.ts';

export const MASTER_KEY = 'sk-master';

export interface RpcFixture {
  readonly rpc: RpcServer;
  readonly port: TestPort;
  readonly baseUrl: string;
  readonly records: readonly RequestRecord[];
  /** Resolves with the first `count` records once they are there. */
  recorded(count: number): Promise<readonly RequestRecord[]>;
}

export interface RpcFixtureOptions extends Partial<RpcServerOptions> {
  readonly model?: Partial<ServiceImpl<typeof ModelService>>;
  /** Default null: open. */
  readonly masterKey?: string | null;
  readonly port?: TestPortOptions;
}

/** An RPC server with ModelService on a real port, closed after the test. */
export async function startRpc(options: RpcFixtureOptions = {}): Promise<RpcFixture> {
  const { model = {}, masterKey = null, port: portOptions, ...rest } = options;
  const records: RequestRecord[] = [];
  const waiting = new Set<() => void>();
  const door = createDoor(masterKey);
  const binding: ServiceBinding = bind(ModelService, model, { watchLoad: { endless: true } });
  const rpc = createRpcServer({
    services: [binding],
    admit: createAdmission(() => door),
    log(record) {
      records.push(record);
      for (const wake of waiting) wake();
    },
    bodyTimeoutMs: 5_000,
    ...rest,
  });
  const port = await openTestPort({
    ...portOptions,
    handlers: {
      request(req, res) {
        if (rpc.handles(parseRequestPath(req.url ?? '/'))) rpc.serve(req, res);
        else res.writeHead(418).end();
      },
    },
  });
  const scheme = portOptions?.tls ? 'https' : 'http';
  return {
    rpc,
    port,
    baseUrl: `${scheme}://127.0.0.1:${port.address.port}`,
    records,
    recorded(count) {
      return new Promise((resolve) => {
        const check = (): void => {
          if (records.length < count) return;
          waiting.delete(check);
          resolve(records.slice(0, count));
        };
        waiting.add(check);
        check();
      });
    },
  };
}

export type Protocol = 'connect' | 'grpc' | 'grpc-web';
export type HttpVersion = '1.1' | '2';

export interface Wire {
  readonly protocol: Protocol;
  readonly httpVersion: HttpVersion;
}

/** Every protocol on every HTTP version. */
export const WIRES: readonly Wire[] = (['connect', 'grpc', 'grpc-web'] as const).flatMap((protocol) =>
  (['1.1', '2'] as const).map((httpVersion) => ({ protocol, httpVersion })),
);

export function transportTo(
  baseUrl: string,
  { protocol, httpVersion }: Wire,
  more: { readonly useBinaryFormat?: boolean; readonly nodeOptions?: Record<string, unknown> } = {},
): Transport {
  const options = { baseUrl, httpVersion, ...more } as Parameters<typeof createConnectTransport>[0];
  switch (protocol) {
    case 'connect':
      return createConnectTransport(options);
    case 'grpc':
      return createGrpcTransport(options);
    case 'grpc-web':
      return createGrpcWebTransport(options);
  }
}

export function clientFor<S extends DescService>(service: S, fixture: RpcFixture, wire: Wire): Client<S> {
  return createClient(service, transportTo(fixture.baseUrl, wire));
}

/** What `promise` rejected with, which must be a ConnectError. */
export async function refusalOf(promise: PromiseLike<unknown>): Promise<ConnectError> {
  try {
    await promise;
  } catch (thrown) {
    if (thrown instanceof ConnectError) return thrown;
    throw thrown;
  }
  throw new Error('the call was not refused');
}

export interface Told {
  readonly code: Code;
  readonly message: string;
}

export function told({ code, rawMessage }: ConnectError): Told {
  return { code, message: rawMessage };
}

/** A promise with its resolver, failing the test's clean-up if nobody resolved it is not needed: tests time out. */
export function signal(): { readonly happened: Promise<void>; readonly happen: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  onTestFinished(() => resolve());
  return { happened: promise, happen: resolve };
}
