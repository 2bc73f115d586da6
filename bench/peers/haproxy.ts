import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { clientModel } from '../load/exchange.ts';
import { versionOf } from '../measure/machine.ts';
import { freePort, type Peer } from './peer.ts';

/** A second opinion on the yardstick; not among the default peers. */
export const haproxy: Peer = {
  name: 'haproxy',
  setup: 'one thread, http-reuse always, no log',
  expectedModel: clientModel,
  start: async ({ children, upstreamPort, proxyCore, directory }) => {
    if (versionOf('haproxy', '-v') === null) {
      throw new Error('haproxy is not installed: run "apt-get install -y haproxy" as root, or leave it out');
    }
    const port = await freePort();
    const file = join(directory, `haproxy-${port}.cfg`);
    writeFileSync(file, configuration(port, upstreamPort));
    const command = ['haproxy', '-db', '-f', file];
    return { port, child: children.start({ name: 'haproxy', command, core: proxyCore, withChannel: false }) };
  },
};

function configuration(port: number, upstreamPort: number): string {
  return `
global
  nbthread 1
  maxconn 9000
defaults
  mode http
  timeout connect 5s
  timeout client 600s
  timeout server 600s
  http-reuse always
frontend bench
  bind 127.0.0.1:${port} backlog 4096
  default_backend upstream
backend upstream
  server upstream 127.0.0.1:${upstreamPort}
`;
}
