/**
 * A server for the suite's runner: reads on stdin what is to be served, serves `conformanceService` and says on stdout
 * where. With the argument `connect-es` it is served with Connect's own adapter instead, for comparison.
 */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { framed, readMessage } from './framing.ts';
import {
  ServerCompatRequestSchema,
  ServerCompatResponseSchema,
} from './gen/connectrpc/conformance/v1/server_compat_pb.ts';
import { serveWithConnectEs } from './serve-with-connect-es.ts';
import { serveWithSluice } from './serve-with-sluice.ts';

const request = fromBinary(ServerCompatRequestSchema, await readMessage(process.stdin));
const serve = process.argv.includes('connect-es') ? serveWithConnectEs : serveWithSluice;
const { host, port } = await serve(request);
const response = create(ServerCompatResponseSchema, {
  host,
  port,
  ...(request.serverCreds !== undefined && { pemCert: request.serverCreds.cert }),
});
process.stdout.write(framed(toBinary(ServerCompatResponseSchema, response)));

// The runner is done with it.
process.once('SIGTERM', () => process.exit());
