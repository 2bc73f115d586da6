/**
 * The yardstick: Connect-ES as its documentation sets it up, with handlers that do nothing of their own. Argument: the
 * port.
 */
import { createServer as createHttp1 } from 'node:http';
import { createServer as createHttp2 } from 'node:http2';
import { create } from '@bufbuild/protobuf';
import type { ConnectRouter } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { GetConfigurationResponseSchema, ModelService } from '../../gen/sluice/v1/model_service_pb.ts';
import { ForwardResponseSchema, PassthroughService } from '../../gen/sluice/v1/passthrough_service_pb.ts';
import { CONFIGURATION } from './exchange.ts';

function routes(router: ConnectRouter): void {
  router.service(ModelService, {
    getConfiguration: ({ configId }) =>
      create(GetConfigurationResponseSchema, { configuration: { ...CONFIGURATION, configId } }),
  });
  router.service(PassthroughService, {
    async *forward(requests) {
      for await (const { part } of requests) {
        if (part.case === 'chunk') yield create(ForwardResponseSchema, { part });
      }
    },
  });
}

const [port = '0', http2Port = '0'] = process.argv.slice(2);
const handler = connectNodeAdapter({ routes });
createHttp1(handler).listen(Number(port), '127.0.0.1');
createHttp2(handler).listen(Number(http2Port), '127.0.0.1');
