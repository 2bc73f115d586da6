import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { freePort, redisProgram } from './redis.ts';

export interface TestSentinel {
  readonly port: number;
  command(name: string, ...args: readonly string[]): Promise<unknown>;
  stop(): Promise<void>;
}

/** Starts a Sentinel that alone decides, within half a second, that a master is gone. */
export async function startSentinel(name: string, masterPort: number): Promise<TestSentinel> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-sentinel-'));
  const port = await freePort();
  // It writes to its file, so that it needs one.
  const file = join(folder, 'sentinel.conf');
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir ${folder}`,
    `sentinel monitor ${name} 127.0.0.1 ${masterPort} 1`,
    `sentinel down-after-milliseconds ${name} 500`,
    `sentinel failover-timeout ${name} 2000`,
  ];
  writeFileSync(file, `${lines.join('\n')}\n`);
  const child = spawn(redisProgram(), [file, '--sentinel'], { stdio: ['ignore', 'pipe', 'inherit'] });
  if (child.stdout !== null) {
    for await (const chunk of child.stdout.iterator({ destroyOnReturn: false })) {
      if (/Sentinel ID|\+monitor/i.test(String(chunk))) break;
    }
    child.stdout.resume();
  }
  return {
    port,
    async command(commandName, ...args) {
      const client = new Redis({ port, host: '127.0.0.1', protocol: 2, enableReadyCheck: false });
      client.on('error', () => {});
      try {
        return await client.call(commandName, ...args);
      } finally {
        client.disconnect();
      }
    },
    async stop() {
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
