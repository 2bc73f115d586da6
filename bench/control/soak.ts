/**
 * `npm run soak:forward`: 100 MB through `Forward` each way while the other end takes it slowly. What counts is how
 * much the gateway's resident memory grows; more than 32 MB fails.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { PassthroughService } from '../../gen/sluice/v1/passthrough_service_pb.ts';
import { masterKey } from '../load/exchange.ts';
import { Children } from '../measure/children.ts';
import { processTree, rssKiB } from '../measure/processes.ts';
import { startGateway } from './gateway.ts';

const TOTAL_BYTES = 100_000_000;
const CHUNK = Buffer.alloc(16 * 1024, 'x');
/** What the slow side takes before it rests for 10 ms: some 25 MB a second. */
const SIP_BYTES = 256 * 1024;
const LIMIT_BYTES = 32_000_000;

const folder = mkdtempSync(join(tmpdir(), 'sluice-soak-'));
const children = new Children(folder, 0);
process.on('exit', () => {
  children.killAll();
  rmSync(folder, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

const upstream = createServer(async (request, response) => {
  if (request.url === '/down') {
    response.writeHead(200, { 'content-length': TOTAL_BYTES });
    for (let left = TOTAL_BYTES; left > 0; left -= CHUNK.length) {
      const more = response.write(left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK);
      if (!more) await new Promise((resolve) => response.once('drain', resolve));
    }
    response.end();
    return;
  }
  let bytes = 0;
  let sip = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    sip += chunk.length;
    if (sip >= SIP_BYTES) {
      sip = 0;
      await sleep(10);
    }
  }
  response.end(String(bytes));
});

type Client = ReturnType<typeof createClient<typeof PassthroughService>>;

async function slowDownload(client: Client): Promise<number> {
  async function* nothing() {
    yield head('GET', '/route/down');
  }
  let bytes = 0;
  let sip = 0;
  for await (const { part } of client.forward(nothing(), OPTIONS)) {
    if (part.case !== 'chunk') continue;
    bytes += part.value.length;
    sip += part.value.length;
    if (sip >= SIP_BYTES) {
      sip = 0;
      await sleep(10);
    }
  }
  return bytes;
}

async function slowUpload(client: Client): Promise<number> {
  async function* everything() {
    yield head('POST', '/route/up');
    for (let left = TOTAL_BYTES; left > 0; left -= CHUNK.length) {
      const value = left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK;
      yield { part: { case: 'chunk' as const, value } };
    }
  }
  let text = '';
  for await (const { part } of client.forward(everything(), OPTIONS)) {
    if (part.case === 'chunk') text += Buffer.from(part.value).toString();
  }
  return Number(text);
}

const OPTIONS = { headers: { authorization: `Bearer ${masterKey}` } };

function head(method: string, path: string) {
  return { part: { case: 'head' as const, value: { method, path, headers: [] } } };
}

async function main(): Promise<void> {
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  const { port: upstreamPort } = upstream.address() as AddressInfo;
  const { child: gateway, port } = await startGateway({
    children,
    folder,
    core: null,
    route: { path: '/route', target: `http://127.0.0.1:${upstreamPort}` },
  });
  const client = createClient(
    PassthroughService,
    createGrpcTransport({ baseUrl: `http://127.0.0.1:${port}` }),
  );
  const pids = processTree(gateway.pid);
  for (const [name, transfer] of Object.entries({ down: slowDownload, up: slowUpload })) {
    const before = rssKiB(pids) * 1024;
    let most = before;
    const timer = setInterval(() => {
      most = Math.max(most, rssKiB(pids) * 1024);
    }, 50);
    const startedAt = performance.now();
    const bytes = await transfer(client);
    clearInterval(timer);
    const seconds = (performance.now() - startedAt) / 1000;
    const grown = most - before;
    console.log(
      `${name}: ${(bytes / 1e6).toFixed(0)} MB in ${seconds.toFixed(1)} s, RSS ${(before / 1e6).toFixed(1)} MB and up to ${(grown / 1e6).toFixed(1)} MB more`,
    );
    if (bytes !== TOTAL_BYTES || grown > LIMIT_BYTES) process.exitCode = 1;
  }
  await children.stopAll();
  upstream.closeAllConnections();
  upstream.close();
  process.exit();
}

main().catch((error: unknown) => {
  console.error(`soak: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
});
