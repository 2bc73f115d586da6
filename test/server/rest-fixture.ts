import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import type { ServiceImpl } from '@connectrpc/connect';
import { ModelService } from '../../gen/sluice/v1/model_service_pb.ts';
import { createDoor } from '../../src/access/admit.ts';
import { parseRequestPath } from '../../src/base/request-path.ts';
import type { Downstream } from '../../src/relay/downstream.ts';
import { Http1Downstream } from '../../src/relay/http1-downstream.ts';
import { Http2Downstream } from '../../src/relay/http2-downstream.ts';
import { expectsContinue } from '../../src/server/port-handlers.ts';
import { createRest, type RestOptions } from '../../src/server/rest.ts';
import { createRpcServer } from '../../src/server/rpc.ts';
import { createAdmission } from '../../src/service/admission.ts';
import { bind } from '../../src/service/binding.ts';
import type { RequestRecord } from '../../src/telemetry/request-log.ts';
import { type AnyRequest, type AnyResponse, openTestPort, type TestPort, tellBack } from './port-fixture.ts';

export interface RestFixture {
  readonly port: TestPort;
  /** Its number. */
  readonly number: number;
  readonly records: readonly RequestRecord[];
  /** Resolves with the records once there are `count` of them. */
  recorded(count: number): Promise<readonly RequestRecord[]>;
}

export interface RestFixtureOptions extends Partial<RestOptions> {
  readonly model?: Partial<ServiceImpl<typeof ModelService>>;
  /** Default null: open. */
  readonly masterKey?: string | null;
  readonly stallTimeoutMs?: number;
}

/** ModelService over REST on a real port, closed after the test; other paths are answered by `tellBack`. */
export async function startRest(options: RestFixtureOptions = {}): Promise<RestFixture> {
  const { model = {}, masterKey = null, stallTimeoutMs = 5_000, ...rest } = options;
  const records: RequestRecord[] = [];
  const waiting = new Set<() => void>();
  const door = createDoor({ masterKey });
  const admit = createAdmission(() => door);
  const rpc = createRpcServer({
    services: [bind(ModelService, model)],
    admit,
    log: () => {},
    bodyTimeoutMs: 5_000,
  });
  const served = createRest({
    services: rpc.services,
    transport: rpc.transport,
    admit,
    log(record) {
      records.push(record);
      for (const wake of waiting) wake();
    },
    bodyTimeoutMs: 5_000,
    ...rest,
  });
  const port = await openTestPort({
    handlers: {
      request(req, res) {
        const downstream = downstreamFrom(req, res, stallTimeoutMs);
        if (!served.serve(downstream, parseRequestPath(req.url ?? '/'))) tellBack(req, res);
      },
    },
  });
  return {
    port,
    number: port.address.port,
    records,
    recorded(count) {
      return new Promise((resolve) => {
        const wake = (): void => {
          if (records.length < count) return;
          waiting.delete(wake);
          resolve(records);
        };
        waiting.add(wake);
        wake();
      });
    },
  };
}

function downstreamFrom(req: AnyRequest, res: AnyResponse, stallTimeoutMs: number): Downstream {
  if (req.httpVersionMajor === 2) {
    return new Http2Downstream(req as Http2ServerRequest, res as Http2ServerResponse, stallTimeoutMs);
  }
  return new Http1Downstream(req as IncomingMessage, res as ServerResponse<IncomingMessage>, {
    expectsContinue: expectsContinue(req),
    stallTimeoutMs,
  });
}
