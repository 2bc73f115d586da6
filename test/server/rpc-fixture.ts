import type { DescService } from '@bufbuild/protobuf';
import type { Client, Interceptor, Transport } from '@connectrpc/connect';
import { ConnectError, createClient, type ServiceImpl } from '@connectrpc/connect';
import type { Compression } from '@connectrpc/connect/protocol';
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from '@connectrpc/connect-node';
import { ModelService } from '../../gen/sluice/v1/model_service_pb.ts';
import { createDoor } from '../../src/access/admit.ts';
import { parseRequestPath } from '../../src/base/request-path.ts';
import { createRpcServer, type RpcServer, type RpcServerOptions } from '../../src/server/rpc.ts';
import { createAdmission } from '../../src/service/admission.ts';
import { bind, type ServiceBinding } from '../../src/service/binding.ts';
import type { RequestRecord } from '../../src/telemetry/request-log.ts';
import { openTestPort, type TestPort, type TestPortOptions, tellBack } from './port-fixture.ts';

export const MASTER_KEY = 'sk-master';

export interface RpcFixture {
  readonly rpc: RpcServer;
  readonly port: TestPort;
  readonly baseUrl: string;
  readonly records: readonly RequestRecord[];
  /** Resolves with the first `count` records once they are there. */
  recorded(count: number): Promise<readonly RequestRecord[]>;
  /** Resolves when the port has no exchange under way. */
  idle(): Promise<void>;
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
  const door = createDoor({ masterKey });
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
        else tellBack(req, res);
      },
    },
  });
  const scheme = portOptions?.tls ? 'https' : 'http';
  return {
    rpc,
    port,
    baseUrl: `${scheme}://127.0.0.1:${port.address.port}`,
    records,
    async idle() {
      while (port.inFlight > 0) await new Promise(setImmediate);
    },
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

/** Every protocol on every HTTP version that Connect's own client speaks it on. */
export const WIRES: readonly Wire[] = [
  { protocol: 'connect', httpVersion: '1.1' },
  { protocol: 'connect', httpVersion: '2' },
  { protocol: 'grpc', httpVersion: '2' },
  { protocol: 'grpc-web', httpVersion: '1.1' },
  { protocol: 'grpc-web', httpVersion: '2' },
];

export function transportTo(baseUrl: string, wire: Wire, more: TransportOptions = {}): Transport {
  const { httpVersion, protocol } = wire;
  const options = { baseUrl, ...more };
  // Each version has options of its own type, which a variable can't have.
  const versioned = httpVersion === '2' ? { ...options, httpVersion } : { ...options, httpVersion };
  switch (protocol) {
    case 'connect':
      return createConnectTransport(versioned);
    case 'grpc':
      // HTTP/2 alone.
      return createGrpcTransport(options);
    case 'grpc-web':
      return createGrpcWebTransport(versioned);
  }
}

export interface TransportOptions {
  readonly useBinaryFormat?: boolean;
  readonly nodeOptions?: { readonly rejectUnauthorized: boolean };
  readonly acceptCompression?: Compression[];
  readonly sendCompression?: Compression;
  readonly interceptors?: Interceptor[];
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
