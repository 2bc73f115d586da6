import { createDoor } from '../../src/access/admit.ts';
import { parseConfig } from '../../src/base/config/parse.ts';
import { parseRequestPath } from '../../src/base/request-path.ts';
import { openPort } from '../../src/server/port.ts';
import { createRpcServer } from '../../src/server/rpc.ts';
import { createAdmission } from '../../src/service/admission.ts';
import { bind } from '../../src/service/binding.ts';
import type { ServerCompatRequest } from './gen/connectrpc/conformance/v1/server_compat_pb.ts';
import { ConformanceService } from './gen/connectrpc/conformance/v1/service_pb.ts';
import { conformanceService } from './service.ts';

/**
 * Serves on the gateway's own port with its own RPC server: the one port takes HTTP/1.1 and HTTP/2, whichever of them
 * the request names.
 */
export async function serveWithSluice(request: ServerCompatRequest): Promise<{ host: string; port: number }> {
  const { limits } = parseConfig('{}', { file: 'config.yaml', env: {}, providers: [], baseDir: '.' });
  const door = createDoor({ masterKey: null });
  const rpc = createRpcServer({
    services: [bind(ConformanceService, conformanceService)],
    admit: createAdmission(() => door),
    log() {},
    bodyTimeoutMs: limits.bodyTimeoutMs,
    ...(request.messageReceiveLimit > 0 && { readMaxBytes: request.messageReceiveLimit }),
  });
  const { address } = await openPort({
    host: '127.0.0.1',
    port: 0,
    tls: request.serverCreds
      ? { cert: Buffer.from(request.serverCreds.cert), key: Buffer.from(request.serverCreds.key) }
      : null,
    limits,
    handlers: {
      request(req, res) {
        if (rpc.handles(parseRequestPath(req.url ?? '/'))) return rpc.serve(req, res);
        // The suite asks for a service that doesn't exist, too.
        res.statusCode = 404;
        res.end();
      },
      upgrade: (_, socket) => void socket.destroy(),
      tunnel: (_, response) => void response.stream.close(),
    },
  });
  return address;
}
