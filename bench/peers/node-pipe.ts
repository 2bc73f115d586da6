import { fileURLToPath } from 'node:url';
import { clientModel } from '../load/exchange.ts';
import { freePort, nodeCommand, type Peer } from './peer.ts';

/** What one gets from Node with twenty lines and no thought: the other end of the scale. */
export const nodePipe: Peer = {
  name: 'node-pipe',
  setup: 'http.createServer, http.request and pipe; no key check, no splice, no log',
  expectedModel: clientModel,
  start: async ({ children, upstreamPort, proxyCore, nodeFlags }) => {
    const port = await freePort();
    const script = fileURLToPath(new URL('./node-pipe-server.ts', import.meta.url));
    const command = nodeCommand(['node', script, String(port), String(upstreamPort)], nodeFlags);
    return {
      port,
      child: children.start({ name: 'node-pipe', command, core: proxyCore, withChannel: false }),
    };
  },
};
