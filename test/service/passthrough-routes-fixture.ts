import { type Client, Code, ConnectError, createClient, createRouterTransport } from '@connectrpc/connect';
import { onTestFinished } from 'vitest';
import { PassthroughService } from '../../gen/sluice/v1/passthrough_service_pb.ts';
import { errorInterceptor } from '../../src/service/interceptors/errors.ts';
import { createValidationInterceptor } from '../../src/service/interceptors/validation.ts';
import { createPassthroughRoutesService } from '../../src/service/passthrough-routes.ts';
import { openSqliteStore } from '../../src/store/sqlite-store.ts';
import type { Store } from '../../src/store/store.ts';
import { openPathRoutes, type PathRoutes } from '../../src/upstream/path-routes.ts';
import { parsed } from '../base/config/parsed.ts';

export interface RoutesFixture {
  readonly client: Client<typeof PassthroughService>;
  readonly routes: PathRoutes;
  readonly store: Store;
  readonly warnings: readonly string[];
}

/** Routes of `config` and of a store in memory, and an RPC client of the service that manages them. */
export async function startRoutes(config = 'general_settings: {}'): Promise<RoutesFixture> {
  const store = await openSqliteStore({ file: ':memory:' });
  onTestFinished(() => store.close());
  const warnings: string[] = [];
  const routes = await openPathRoutes({
    store,
    config: parsed(config),
    warn: (message) => void warnings.push(message),
  });
  onTestFinished(() => routes.close());
  const transport = createRouterTransport(
    ({ service }) => void service(PassthroughService, createPassthroughRoutesService(routes)),
    { router: { interceptors: [errorInterceptor, createValidationInterceptor([PassthroughService])] } },
  );
  return { client: createClient(PassthroughService, transport), routes, store, warnings };
}

/** `InvalidArgument: target: …`, or `answered`. */
export async function refusal(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (thrown) {
    const { code, rawMessage } = ConnectError.from(thrown);
    return `${Code[code]}: ${rawMessage}`;
  }
  return 'answered';
}
