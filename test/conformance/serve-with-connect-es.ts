import { createServer } from 'node:http';
import { createServer as createHttp2Server, createSecureServer as createHttp2TlsServer } from 'node:http2';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createRegistry } from '@bufbuild/protobuf';
import { compressionGzip, connectNodeAdapter } from '@connectrpc/connect-node';
import { HTTPVersion } from './gen/connectrpc/conformance/v1/config_pb.ts';
import type { ServerCompatRequest } from './gen/connectrpc/conformance/v1/server_compat_pb.ts';
import {
  ConformanceService,
  file_connectrpc_conformance_v1_service,
} from './gen/connectrpc/conformance/v1/service_pb.ts';
import { conformanceService } from './service.ts';

/** Serves as Connect's documentation says, on a free port. */
export async function serveWithConnectEs(
  request: ServerCompatRequest,
): Promise<{ host: string; port: number }> {
  const adapter = connectNodeAdapter({
    routes: (router) => void router.service(ConformanceService, conformanceService),
    acceptCompression: [compressionGzip],
    jsonOptions: { registry: createRegistry(file_connectrpc_conformance_v1_service) },
    ...(request.messageReceiveLimit > 0 && { readMaxBytes: request.messageReceiveLimit }),
  });
  const credentials = request.serverCreds && {
    cert: Buffer.from(request.serverCreds.cert),
    key: Buffer.from(request.serverCreds.key),
  };
  const http2 = request.httpVersion === HTTPVersion.HTTP_VERSION_2;
  const server =
    credentials === undefined
      ? http2
        ? createHttp2Server(adapter)
        : createServer(adapter)
      : http2
        ? createHttp2TlsServer(credentials, adapter)
        : createTlsServer(credentials, adapter);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { address: host, port } = server.address() as AddressInfo;
  return { host, port };
}
