import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import { parseRequestPath } from '../base/request-path.ts';
import type { Downstream } from '../relay/downstream.ts';
import { Http1Downstream } from '../relay/http1-downstream.ts';
import { Http2Downstream } from '../relay/http2-downstream.ts';
import { relay } from '../relay/relay.ts';
import { http1UpgradeClient, http2UpgradeClient } from '../relay/upgrade-client.ts';
import { relayWebSocket } from '../relay/websocket.ts';
import { answerControl, type GatewayState } from './control.ts';
import { expectsContinue, type PortHandlers } from './port-handlers.ts';

/** The dispatch table: the control plane first, everything else is the relay's. */
export function createHandlers(state: () => GatewayState, report: PortHandlers['report']): PortHandlers {
  return {
    request(request, response) {
      const current = state();
      const path = parseRequestPath(request.url ?? '/');
      const downstream = downstreamFrom(request, response, current.context.limits.bodyTimeoutMs);
      if (!answerControl(downstream, path, current)) relay(downstream, path, current.context);
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
