import { clientModel } from '../load/exchange.ts';
import type { Peer } from './peer.ts';

/** No proxy at all: what the load generator and the upstream cost by themselves. */
export const direct: Peer = {
  name: 'direct',
  setup: 'the load generator talks to the upstream',
  expectedModel: clientModel,
  start: async ({ upstreamPort }) => ({ port: upstreamPort, child: null }),
};
