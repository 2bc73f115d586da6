/** `node node-pipe-server.ts PORT UPSTREAM_PORT`: the naive proxy that node-pipe.ts starts. */
import { Agent, createServer, request } from 'node:http';

const [port, upstreamPort] = process.argv.slice(2).map(Number);
const agent = new Agent({ keepAlive: true });

const server = createServer((incoming, outgoing) => {
  const { method, url: path, headers } = incoming;
  const upstream = request(
    { host: '127.0.0.1', port: upstreamPort, agent, method, path, headers },
    (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    },
  );
  upstream.on('error', () => outgoing.destroy());
  outgoing.on('close', () => upstream.destroy());
  incoming.pipe(upstream);
});
// The load generator keeps its connections open between two rounds.
server.keepAliveTimeout = 3_600_000;
server.requestTimeout = 0;
server.listen({ host: '127.0.0.1', port, backlog: 4096 });
// Ending by itself, not by the signal, is what makes --cpu-prof write its file.
process.on('SIGTERM', () => process.exit(0));
