import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import { isControlPlanePath } from '../base/config/reserved-paths.ts';
import { type SluiceError, sluiceErrorFrom } from '../base/errors.ts';
import { parseRequestPath, type RequestPath } from '../base/request-path.ts';
import type { Downstream } from '../relay/downstream.ts';
import { Http1Downstream } from '../relay/http1-downstream.ts';
import { Http2Downstream } from '../relay/http2-downstream.ts';
import { relay } from '../relay/relay.ts';
import { http1UpgradeClient, http2UpgradeClient } from '../relay/upgrade-client.ts';
import { relayWebSocket } from '../relay/websocket.ts';
import { answerControl, answerDocs, type GatewayState, refuseControl } from './control.ts';
import type { ControlPlane } from './control-plane.ts';
import { expectsContinue, type PortHandlers } from './port-handlers.ts';

/** The dispatch table: the control plane first, everything else is the relay's. */
export function createHandlers(
  state: () => GatewayState,
  controlPlane: Pick<ControlPlane, 'rpc' | 'rest' | 'docs'>,
  report: PortHandlers['report'],
): PortHandlers {
  const { rpc, rest, docs } = controlPlane;
  return {
    request(request, response) {
      const current = state();
      const path = parseRequestPath(request.url ?? '/');
      const downstream = (): Downstream =>
        downstreamFrom(request, response, current.context.limits.bodyTimeoutMs);
      if (!isControlPlanePath(path.raw)) {
        answerOrRelay(downstream(), path, current);
        return;
      }
      const fault = hostFault(request, path, current);
      if (fault !== null) refuseControl(downstream(), path, current, fault);
      else if (rpc.handles(path)) rpc.serve(request, response);
      else {
        const asked = downstream();
        if (!rest.serve(asked, path) && !answerDocs(asked, path, current, docs)) {
          answerOrRelay(asked, path, current);
        }
      }
    },
    upgrade(request, socket, early) {
      const path = parseRequestPath(request.url ?? '/');
      relayWebSocket(http1UpgradeClient(request, socket, early), path, state().context);
    },
    tunnel(request, response) {
      const path = parseRequestPath(request.url);
      relayWebSocket(http2UpgradeClient(request, response), path, state().context);
    },
    ...(report !== undefined && { report }),
  };
}

function answerOrRelay(downstream: Downstream, path: RequestPath, state: GatewayState): void {
  if (!answerControl(downstream, path, state)) relay(downstream, path, state.context);
}

/** Probes of health ask from wherever they like: there is nothing to be had. */
function hostFault(
  { headers }: IncomingMessage | Http2ServerRequest,
  path: RequestPath,
  { hostCheck }: GatewayState,
): SluiceError | null {
  if (hostCheck === null || path.raw.startsWith('/health')) return null;
  const authority = headers[':authority'];
  try {
    hostCheck(typeof authority === 'string' ? authority : headers.host, headers.origin);
    return null;
  } catch (thrown) {
    return sluiceErrorFrom(thrown);
  }
}

function downstreamFrom(
  request: IncomingMessage | Http2ServerRequest,
  response: ServerResponse | Http2ServerResponse,
  stallTimeoutMs: number,
): Downstream {
  if (isHttp2(request)) {
    return new Http2Downstream(request, response as Http2ServerResponse, stallTimeoutMs);
  }
  const options = { expectsContinue: expectsContinue(request), stallTimeoutMs };
  return new Http1Downstream(request, response as ServerResponse<IncomingMessage>, options);
}

function isHttp2(request: IncomingMessage | Http2ServerRequest): request is Http2ServerRequest {
  return request.httpVersionMajor === 2;
}
