/**
 * Workers that share a limiter through their supervisor, without a gateway around it:
 * `node keys-workers-program.ts <workers>`. Says its port, and at its end what was spent, on stdout.
 *
 * `POST /take?count=N` with a key takes N times at once, and answers `{ pid, passed, reasons }`; what was taken stays
 * under way, or with `&usd=U` is settled with U dollars each.
 */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { createMemoryLimiter } from '../../src/access/memory-limiter.ts';
import { serveLimiter } from '../../src/access/serve-limiter.ts';
import { createSharedLimiter } from '../../src/access/shared-limiter.ts';
import { SluiceError } from '../../src/base/errors.ts';
import { onOrder } from '../../src/cli/orders.ts';
import { channelToSupervisor } from '../../src/cli/worker-channel.ts';
import { superviseWorkers } from '../../src/cli/workers.ts';
import type { StoredKey } from '../../src/store/key-store.ts';

const channel = channelToSupervisor();
const logger = pino({ level: 'silent' });

if (channel === null) {
  const spent: Record<string, number> = {};
  const limiter = createMemoryLimiter({
    logger,
    store: {
      async addSpend(batch) {
        for (const { id, usd } of batch) spent[id] = (spent[id] ?? 0) + usd;
      },
    },
  });
  const code = await superviseWorkers(Number(process.argv[2]), logger, (to) => serveLimiter(limiter, to));
  await limiter.close();
  process.stdout.write(`${JSON.stringify({ spent })}\n`);
  process.exitCode = code;
} else {
  const limiter = createSharedLimiter({ channel });
  const server = createServer((request, response) => {
    void (async () => {
      const { searchParams } = new URL(request.url ?? '', 'http://localhost');
      const key = JSON.parse(await textOf(request)) as StoredKey;
      const usd = searchParams.get('usd');
      const reasons: Record<string, number> = {};
      let passed = 0;
      const takes = Array.from({ length: Number(searchParams.get('count')) }, async () => {
        try {
          const grant = await limiter.take(key);
          passed++;
          if (usd !== null) grant.settle({ tokens: null, costUsd: Number(usd) });
        } catch (error) {
          const reason = error instanceof SluiceError ? error.reason : String(error);
          reasons[reason] = (reasons[reason] ?? 0) + 1;
        }
      });
      await Promise.all(takes);
      response.setHeader('connection', 'close').end(JSON.stringify({ pid: process.pid, passed, reasons }));
    })();
  });
  onOrder('stop', () => {
    server.close();
    void limiter.close().then(() => process.exit(0));
  });
  // The supervisor opens the port once, for all workers.
  server.listen(0, '127.0.0.1', () => {
    process.stdout.write(`${JSON.stringify({ port: (server.address() as AddressInfo).port })}\n`);
  });
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) text += chunk;
  return text;
}
