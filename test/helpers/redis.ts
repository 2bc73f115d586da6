import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, connect as netConnect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';

/** A redis-server of a test's own, in a temporary folder. */
export interface TestRedis {
  readonly port: number;
  readonly url: string;
  readonly pid: number;
  /** Starts again what was killed, on the same port and folder; `more` arguments for this time alone. */
  start(more?: readonly string[]): Promise<void>;
  /** SIGKILL: nobody is told. */
  kill(): Promise<void>;
  /** SIGSTOP: its sockets stay open, and nothing answers. */
  freeze(): void;
  /** SIGCONT. */
  thaw(): void;
  /** Sends one command by a connection of its own. */
  command(name: string, ...args: readonly (string | number)[]): Promise<unknown>;
  /** Ends it, and takes its folder away. */
  stop(): Promise<void>;
}

export interface TestRedisOptions {
  /** As on the command line: `['--appendonly', 'yes']`. */
  readonly arguments?: readonly string[];
  readonly port?: number;
}

const HOW = 'install it first, on Debian by "apt-get install -y redis-server" as root, or set REDIS_URL';

/** `redis-server` or `valkey-server`, whichever PATH has. @throws Error that says which command to run */
export function redisProgram(): string {
  const found = ['redis-server', 'valkey-server'].find(
    (program) => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0,
  );
  if (found === undefined) throw new Error(`The tests need a redis-server: ${HOW}.`);
  return found;
}

/** Starts a redis-server on a free port; whoever starts it stops it. */
export async function startRedis(options: TestRedisOptions = {}): Promise<TestRedis> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-redis-'));
  const port = options.port ?? (await freePort());
  let child: ChildProcess | null = null;

  async function start(more: readonly string[] = []): Promise<void> {
    const program = redisProgram();
    const fixed = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', ''];
    const started = spawn(program, [...fixed, ...(options.arguments ?? []), ...more], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    child = started;
    await listening(started, port);
  }

  async function kill(): Promise<void> {
    const ending = child;
    child = null;
    if (ending === null || ending.exitCode !== null || ending.signalCode !== null) return;
    const gone = once(ending, 'exit');
    ending.kill('SIGKILL');
    await gone;
  }

  await start();
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    get pid() {
      return child?.pid ?? 0;
    },
    start,
    kill,
    freeze: () => void child?.kill('SIGSTOP'),
    thaw: () => void child?.kill('SIGCONT'),
    async command(name, ...args) {
      // Without the check it talks to one that is loading, too.
      const client = new Redis({ port, host: '127.0.0.1', protocol: 2, enableReadyCheck: false });
      client.on('error', () => {});
      try {
        return await client.call(name, ...args);
      } finally {
        client.disconnect();
      }
    },
    async stop() {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A Redis for tests that share it: `REDIS_URL`, or one of their own. */
export interface SharedRedis {
  /** A place where nothing is kept yet, as a URL. */
  freshUrl(): string;
  stop(): Promise<void>;
}

export async function sharedRedis(): Promise<SharedRedis> {
  const { REDIS_URL } = process.env;
  const own = REDIS_URL === undefined || REDIS_URL === '' ? await startRedis() : null;
  const url = own?.url ?? REDIS_URL ?? '';
  const prefixes: string[] = [];
  return {
    freshUrl() {
      const prefix = `sluice-test-${process.pid}-${prefixes.length}-${Math.random().toString(36).slice(2)}`;
      prefixes.push(prefix);
      return `${url}${url.includes('?') ? '&' : '?'}prefix=${prefix}`;
    },
    async stop() {
      if (own !== null) return own.stop();
      const client = new Redis(url.replace(/\?.*/, ''), { protocol: 2 });
      for (const prefix of prefixes) {
        const keys = await client.keys(`${prefix}:*`);
        if (keys.length > 0) await client.unlink(...keys);
      }
      client.disconnect();
    },
  };
}

/** Redis has said that it listens, or its port answers: which version says what differs. */
async function listening(child: ChildProcess, port: number): Promise<void> {
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`redis-server ended with ${code} at its start`);
  });
  const said = (async () => {
    if (child.stdout === null) return;
    for await (const chunk of child.stdout.iterator({ destroyOnReturn: false })) {
      if (/Ready to accept connections|Server initialized|Loading/i.test(String(chunk))) break;
    }
    child.stdout.resume();
    await reachable(port);
  })();
  await Promise.race([said, ended]);
  ended.catch(() => {});
}

async function reachable(port: number): Promise<void> {
  const socket = netConnect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.destroy();
}

export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
