import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { clientModel } from '../load/exchange.ts';
import { versionOf } from '../measure/machine.ts';
import { freePort, type Peer } from './peer.ts';

/** The yardstick: `proxy_pass` as one would set it up for streaming, on one worker. */
export const nginx: Peer = {
  name: 'nginx',
  setup: 'proxy_pass, one worker, upstream keepalive, buffering off both ways, buffered access log',
  expectedModel: clientModel,
  start: async ({ children, upstreamPort, proxyCore, directory }) => {
    ensureInstalled();
    const port = await freePort();
    const home = join(directory, `nginx-${port}`);
    mkdirSync(home);
    const file = join(home, 'nginx.conf');
    writeFileSync(file, configuration(port, upstreamPort, home));
    const command = ['nginx', '-p', home, '-e', join(home, 'error.log'), '-c', file];
    return { port, child: children.start({ name: 'nginx', command, core: proxyCore, withChannel: false }) };
  },
};

/**
 * The access log is on, buffered: the gateway logs each request too. Buffering is off in both directions, as a
 * gateway that streams must have it; the buffers of the bulk paths are large enough not to hold 10 MB bodies up.
 */
function configuration(port: number, upstreamPort: number, home: string): string {
  const isRoot = process.getuid?.() === 0;
  return `
daemon off;
${isRoot ? 'user root;' : ''}
worker_processes 1;
worker_rlimit_nofile 20000;
pid ${home}/nginx.pid;
events { worker_connections 16384; }
http {
  access_log ${home}/access.log combined buffer=64k flush=1s;
  client_body_temp_path ${home}/body;
  proxy_temp_path ${home}/proxy;
  fastcgi_temp_path ${home}/fastcgi;
  uwsgi_temp_path ${home}/uwsgi;
  scgi_temp_path ${home}/scgi;
  client_max_body_size 100m;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  upstream bench {
    server 127.0.0.1:${upstreamPort};
    keepalive 128;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
  }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://bench;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_request_buffering off;
      proxy_read_timeout 600s;
    }
    location /v1/bench/ {
      proxy_pass http://bench;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_request_buffering off;
      proxy_buffer_size 256k;
      proxy_buffers 4 256k;
      proxy_busy_buffers_size 512k;
      client_body_buffer_size 256k;
    }
  }
}
`;
}

/** @throws an Error that says which command to run, where this process may not run it itself */
function ensureInstalled(): void {
  if (versionOf('nginx', '-v') !== null) return;
  const install = 'apt-get install -y nginx-light';
  const missing = `nginx is not installed: run "${install}" as root, or leave it out with --peers direct,sluice`;
  if (!existsSync('/etc/debian_version') || process.getuid?.() !== 0) throw new Error(missing);
  console.error(`nginx is not installed; running ${install}`);
  // RUNLEVEL=1 keeps Debian's maintainer script from starting the service on port 80.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  const script = `${install} || { apt-get update && ${install}; }`;
  const result = spawnSync('/bin/sh', ['-c', script], { env, stdio: ['ignore', 'ignore', 'inherit'] });
  if (result.status !== 0) throw new Error(missing);
}
