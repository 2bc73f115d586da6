/**
 * A process of its own that asks a limiter on Redis: `node limiter-process.ts <url> <attempts> <skew in ms>`. Keys are
 * read from stdin, one as JSON; how many attempts passed, and how many of those on a share of the limits, is a line on
 * stdout. The skew is what this process's clock is ahead of the others.
 */
import { text } from 'node:stream/consumers';
import { pino } from 'pino';
import { createRedisLimiter } from '../../src/access/redis-limiter.ts';
import { SluiceError } from '../../src/base/errors.ts';
import type { StoredKey } from '../../src/store/key-store.ts';
import { openRedisStore } from '../../src/store/redis-store.ts';
import { stateOf } from '../store/redis-house.ts';

const [url = '', attempts = '', skewMs = ''] = process.argv.slice(2);
const realNow = Date.now;
Date.now = () => realNow() + Number(skewMs);

const key = JSON.parse(await text(process.stdin)) as StoredKey;
const store = await openRedisStore({ state: stateOf(url) });
const logger = pino({ level: 'silent' });
const limiter = createRedisLimiter({ connection: store.connection, store, logger });
let left = Number(attempts);
let passed = 0;
let shares = 0;

async function attemptAll(): Promise<void> {
  while (left-- > 0) {
    try {
      const { headers } = await limiter.take(key);
      passed++;
      if (headers.includes('x-sluice-degraded')) shares++;
    } catch (error) {
      if (!(error instanceof SluiceError && error.status === 429)) throw error;
      if (error.headers.includes('x-sluice-degraded')) shares++;
    }
  }
}

await Promise.all(Array.from({ length: 32 }, attemptAll));
process.stdout.write(`${JSON.stringify({ passed, shares })}\n`);
await limiter.close();
await store.close();
