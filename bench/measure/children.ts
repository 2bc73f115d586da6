import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { processTree } from './processes.ts';

export interface ChildOptions {
  /** Names the log file and the messages. */
  readonly name: string;
  readonly command: readonly string[];
  /** The core to pin it to, with all that it starts; null leaves it to the scheduler. */
  readonly core: number | null;
  /** Opens a channel for structured messages (Node programs only). */
  readonly withChannel: boolean;
  readonly environment?: Readonly<Record<string, string>>;
}

export interface Child {
  readonly name: string;
  readonly pid: number;
  readonly process: ChildProcess;
  /** Null while it runs, else how it ended, with the last lines that it wrote. */
  exitReport(): string | null;
  /** SIGTERM, and SIGKILL for the whole tree when it doesn't follow within five seconds. */
  stop(): Promise<void>;
}

/** More than any case needs (4,000 streams cost a proxy 8,000 descriptors); root may raise the hard limit to it. */
const openFiles = 65_536;

/** The processes of one bench run: each started here is ended here, by its pid. */
export class Children {
  readonly #directory: string;
  readonly #niceness: number;
  readonly #running = new Set<Child>();
  #startedCount = 0;

  /**
   * @param directory where the children's output goes, one file each
   * @param niceness for all of them, -20 (first) to 19 (last); below 0 only root may
   */
  constructor(directory: string, niceness: number) {
    this.#directory = directory;
    this.#niceness = niceness;
  }

  start(options: ChildOptions): Child {
    // The shell, nice and taskset all exec, so that the pid stays the child's own.
    const pin = options.core === null ? [] : ['taskset', '-c', String(options.core)];
    const nice = this.#niceness === 0 ? [] : ['nice', '-n', String(this.#niceness)];
    // Where the kernel groups processes by session, niceness only counts within it: the group has one of its own.
    const group = `{ echo ${this.#niceness} > /proc/$$/autogroup; } 2>/dev/null; `;
    const limit = `ulimit -n ${openFiles} 2>/dev/null || ulimit -n "$(ulimit -Hn)"; `;
    const logFile = join(this.#directory, `${options.name}-${++this.#startedCount}.log`);
    const log = openSync(logFile, 'a');
    const stdio: StdioOptions = options.withChannel ? ['ignore', log, log, 'ipc'] : ['ignore', log, log];
    const child = spawn(
      '/bin/sh',
      ['-c', `${group}${limit}exec "$@"`, 'sh', ...nice, ...pin, ...options.command],
      {
        stdio,
        // A session of its own, so that Ctrl-C reaches the bench alone, which then ends its children.
        detached: true,
        serialization: 'advanced',
        env: { PATH: process.env.PATH, HOME: process.env.HOME, ...options.environment },
      },
    );
    closeSync(log);
    const handle = childFrom(options.name, child, logFile);
    this.#running.add(handle);
    child.once('exit', () => this.#running.delete(handle));
    return handle;
  }

  async stopAll(): Promise<void> {
    await Promise.all([...this.#running].map((child) => child.stop()));
  }

  /** Last resort of an `exit` handler, where nothing can be awaited. */
  killAll(): void {
    for (const { pid } of this.#running) killTree(processTree(pid));
  }
}

function childFrom(name: string, child: ChildProcess, logFile: string): Child {
  let exitReason: string | null = null;
  const exited = new Promise<void>((resolve) => {
    child.once('exit', (code, signal) => {
      exitReason = signal === null ? `exit code ${code}` : `signal ${signal}`;
      resolve();
    });
  });
  const pid = child.pid;
  if (pid === undefined) throw new Error(`${name}: could not be started`);
  return {
    name,
    pid,
    process: child,
    exitReport: () =>
      exitReason === null ? null : `${name} ended (${exitReason}):\n  ${lastLines(logFile)}`,
    stop: async () => {
      if (exitReason !== null) return;
      const tree = processTree(pid);
      process.kill(pid, 'SIGTERM');
      const deadline = new AbortController();
      const isLate = sleep(5_000, true, { signal: deadline.signal }).catch(() => false);
      if (await Promise.race([exited.then(() => false), isLate])) killTree(tree);
      deadline.abort();
      await exited;
    },
  };
}

function killTree(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has gone by itself.
    }
  }
}

function lastLines(file: string): string {
  return readFileSync(file, 'utf8').trim().split('\n').slice(-15).join('\n  ');
}
