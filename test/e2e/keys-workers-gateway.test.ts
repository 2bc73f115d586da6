import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { hashKey } from '../../src/access/mint.ts';
import { openSqliteStore } from '../../src/store/sqlite-store.ts';
import { configFile, freePort, temporaryFolder } from '../helpers/program.ts';
import { controlPlaneAt } from './models-fixture.ts';

const LAUNCHER = fileURLToPath(new URL('../../bin/sluice.js', import.meta.url));
const MASTER = 'sk-1234';

interface Workers {
  readonly port: number;
  /** Lets it finish. @returns its exit code */
  stop(): Promise<number>;
  /** Requests that reached the upstream. */
  readonly upstreamRequests: () => number;
  generate(limits: Readonly<Record<string, unknown>>): Promise<string>;
  /** What the store knows that a key has spent. */
  spent(key: string): Promise<number>;
}

/** A gateway of four processes before an upstream that answers at once. */
async function startWorkers(yaml: (upstream: string) => string): Promise<Workers> {
  let upstreamRequests = 0;
  const upstream = createServer((_request, response) => {
    upstreamRequests++;
    response.setHeader('content-type', 'application/json').end('{}');
  });
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    upstream.closeAllConnections();
    upstream.close();
  });
  const port = await freePort();
  const config = configFile(yaml(`http://127.0.0.1:${(upstream.address() as AddressInfo).port}`));
  // A file, not a pipe: in that the lines of several processes are torn, when there are so many.
  const folder = temporaryFolder();
  const log = join(folder, 'log');
  const fd = openSync(log, 'a');
  const program = spawn(
    process.execPath,
    [LAUNCHER, '--config', config, '--workers', '4', '--port', String(port)],
    {
      env: { PATH: process.env.PATH ?? '', SLUICE_MASTER_KEY: MASTER, SLUICE_DATA_DIR: folder },
      stdio: ['ignore', fd, 'inherit'],
    },
  );
  closeSync(fd);
  const ended = once(program, 'exit');
  onTestFinished(async () => {
    program.kill('SIGKILL');
    await ended;
  });
  const isRunning = () => readFileSync(log, 'utf8').includes('4 workers RUNNING');
  await expect.poll(isRunning, { timeout: 20_000 }).toBe(true);
  const { rest } = controlPlaneAt(`http://127.0.0.1:${port}`, MASTER);
  return {
    port,
    async stop() {
      program.kill('SIGTERM');
      const [code] = await ended;
      return code as number;
    },
    upstreamRequests: () => upstreamRequests,
    async generate(limits) {
      const { json } = await rest('POST', '/key/generate', { body: limits });
      return (json as { readonly key: string }).key;
    },
    async spent(key) {
      const store = await openSqliteStore({ file: join(folder, 'sluice.db') });
      onTestFinished(() => store.close());
      return (await store.keyByToken(hashKey(key), Date.now()))?.spend ?? Number.NaN;
    },
  };
}

/** The port answers no more on a connection without waiting. */
const PIPELINED = 100;

/** Requests one behind the other without waiting, on one connection after the other. @returns how often which status */
async function pipelined(port: number, key: string, count: number): Promise<ReadonlyMap<string, number>> {
  const statuses = new Map<string, number>();
  const request = `GET /upstream HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${key}\r\n\r\n`;
  const last = request.replace('\r\n\r\n', '\r\nconnection: close\r\n\r\n');
  for (let left = count; left > 0; left -= PIPELINED) {
    const socket = connect(port, '127.0.0.1');
    socket.write(request.repeat(Math.min(left, PIPELINED) - 1) + last);
    let text = '';
    for await (const chunk of socket.setEncoding('latin1')) text += chunk;
    for (const [, status = ''] of text.matchAll(/HTTP\/1\.1 (\d{3}) /g)) {
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
  }
  return statuses;
}

const ROUTE = (upstream: string) => `general_settings:
  pass_through_endpoints:
    - path: /upstream
      target: ${upstream}
      auth: true
      cost_per_request: 0.25
`;

test('exactly 1,000 of 20,000 requests to four workers pass a key with a limit of 1,000 a minute', async () => {
  const { port, generate, upstreamRequests } = await startWorkers(ROUTE);
  const key = await generate({ rpm_limit: 1_000 });
  const all = await Promise.all(Array.from({ length: 40 }, () => pipelined(port, key, 500)));
  const sum = (status: string) => all.reduce((total, statuses) => total + (statuses.get(status) ?? 0), 0);
  expect([sum('200'), sum('429')]).toEqual([1_000, 19_000]);
  expect(upstreamRequests()).toBe(1_000);
}, 60_000);

test('a budget holds for four workers together, and what was spent is stored at their end', async () => {
  const { port, generate, stop, spent, upstreamRequests } = await startWorkers(ROUTE);
  const key = await generate({ max_budget: 5 });
  let refused = 0;
  while (refused === 0) refused = (await pipelined(port, key, 1)).get('429') ?? 0;
  // A worker may ask before another one has told what it has just spent.
  expect(upstreamRequests()).toBeGreaterThanOrEqual(20);
  expect(upstreamRequests()).toBeLessThan(24);
  expect(await stop()).toBe(0);
  expect(await spent(key)).toBe(upstreamRequests() * 0.25);
});
