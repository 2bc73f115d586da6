import { type Client, createClient, type Interceptor } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import { KeyService } from '../../gen/sluice/v1/key_service_pb.ts';
import { ModelService } from '../../gen/sluice/v1/model_service_pb.ts';
import { PassthroughService } from '../../gen/sluice/v1/passthrough_service_pb.ts';

export interface ControlPlaneClientOptions {
  /** Where the gateway is: `http://localhost:4000`; a path before its own is kept. */
  readonly baseUrl: string;
  /** The master key, or a virtual key; null: the gateway asks for none. */
  readonly apiKey: string | null;
}

/** Typed clients of a gateway's services. Their calls reject with ConnectError. */
export interface ControlPlaneClient {
  readonly keys: Client<typeof KeyService>;
  readonly models: Client<typeof ModelService>;
  readonly passthrough: Client<typeof PassthroughService>;
}

/**
 * Speaks Connect over HTTP/1.1, which every proxy in between understands; `passthrough.forward` streams both ways and
 * needs a gRPC client.
 */
export function createControlPlaneClient(options: ControlPlaneClientOptions): ControlPlaneClient {
  const transport = createConnectTransport({
    baseUrl: options.baseUrl,
    httpVersion: '1.1',
    interceptors: options.apiKey === null ? [] : [withKey(options.apiKey)],
  });
  return {
    keys: createClient(KeyService, transport),
    models: createClient(ModelService, transport),
    passthrough: createClient(PassthroughService, transport),
  };
}

function withKey(key: string): Interceptor {
  return (next) => (request) => {
    request.header.set('authorization', `Bearer ${key}`);
    return next(request);
  };
}
