import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { type Clock, pause } from '../clock.ts';
import { groupRuns, signalGroup } from './group-members.ts';
import { GATE, Guard, SHELL } from './guard.ts';
import { OutputLines } from './output-lines.ts';

export interface ProcessGroupOptions {
  /** The program and its arguments; never seen by a shell. */
  readonly command: readonly string[];
  /** All of its environment. */
  readonly environment: Readonly<Record<string, string>>;
  /** Gets each line of its output and that of its children, as it comes. */
  readonly onLine: (line: string) => void;
  /** Between SIGTERM and SIGKILL, also where the gateway's death ends it. */
  readonly graceMs: number;
  readonly clock: Clock;
  readonly warn: (message: string) => void;
}

/** How the first process of a group ended. */
export type Exit =
  | { readonly kind: 'code'; readonly code: number }
  | { readonly kind: 'signal'; readonly signal: NodeJS.Signals }
  /** It never ran. */
  | { readonly kind: 'not started'; readonly error: Error };

export function exitText(exit: Exit): string {
  switch (exit.kind) {
    case 'code':
      return `exited with code ${exit.code}`;
    case 'signal':
      return `was killed by ${exit.signal}`;
    case 'not started':
      return `could not be started: ${exit.error.message}`;
  }
}

/** What the first process leaves behind when it dies by itself is of no use to anybody. */
const STRAY_GRACE_MS = 2_000;
/** SIGKILL is final, but for a process that hangs in a driver of the kernel. */
const KILL_WAIT_MS = 10_000;
/** For output that is still in the pipes when all is over. */
const OUTPUT_WAIT_MS = 1_000;
const MIN_POLL_MS = 5;
const MAX_POLL_MS = 100;

/**
 * A program in a process group of its own, with all that it starts. It doesn't outlive this process: a guard ends it
 * when this process is gone, even by SIGKILL.
 */
export class ProcessGroup {
  /** The group's number, too; null when it could not be started. */
  readonly pid: number | null;
  /** Resolves when the first process has ended; the others may go on. */
  readonly exited: Promise<Exit>;
  readonly #options: ProcessGroupOptions;
  readonly #leader: ChildProcess | null;
  readonly #guard: Guard | null;
  #exit: Exit | null = null;
  #stopped: Promise<void> | null = null;

  constructor(options: ProcessGroupOptions) {
    this.#options = options;
    const leader = spawnLeader(options);
    if (leader instanceof Error) {
      this.pid = null;
      this.#leader = null;
      this.#guard = null;
      this.#exit = { kind: 'not started', error: leader };
      this.exited = Promise.resolve(this.#exit);
      return;
    }
    this.#leader = leader;
    this.exited = exitOf(leader).then((exit) => {
      this.#exit = exit;
      return exit;
    });
    this.pid = leader.pid ?? null;
    if (this.pid === null) {
      this.#guard = null;
      return;
    }
    for (const stream of [leader.stdout, leader.stderr]) {
      const lines = new OutputLines(options.onLine);
      stream?.on('data', (bytes: Buffer) => lines.write(bytes));
      stream?.on('end', () => lines.end());
    }
    const gate = leader.stdio[3] as Duplex;
    gate.on('error', () => {});
    const graceSeconds = Math.ceil(options.graceMs / 1_000);
    try {
      this.#guard = new Guard({ groupId: this.pid, graceSeconds, warn: options.warn });
      gate.end('go\n');
    } catch (error) {
      // Without a guard it must not run: the gate ends when its pipe does.
      this.#guard = null;
      options.warn(`no guard could be started: ${String(error)}`);
      gate.destroy();
    }
  }

  /** How the first process ended; null while it runs. */
  get exit(): Exit | null {
    return this.#exit;
  }

  /** The guard's process, for tests. */
  get guardPid(): number | undefined {
    return this.#guard?.pid;
  }

  /**
   * SIGTERM to all, SIGKILL after the grace; resolves when nothing of it runs any more and its output is read. When the
   * first process has died by itself, the others get less time. Never rejects.
   */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    const { graceMs, warn } = this.#options;
    const { pid } = this;
    if (pid === null) return;
    if (this.#exit === null || (await groupRuns(pid))) {
      signalGroup(pid, 'SIGTERM');
      const ended = await this.#gone(this.#exit === null ? graceMs : Math.min(graceMs, STRAY_GRACE_MS));
      if (!ended) {
        signalGroup(pid, 'SIGKILL');
        if (!(await this.#gone(KILL_WAIT_MS)))
          warn(`process group ${pid} is still there ${KILL_WAIT_MS / 1_000} s after SIGKILL`);
      }
    }
    this.#guard?.dismiss();
    await this.#outputRead();
  }

  /** Whether all have ended within so long. */
  async #gone(withinMs: number): Promise<boolean> {
    const { clock } = this.#options;
    const until = clock.now() + withinMs;
    const { pid } = this;
    if (pid === null) return true;
    if (this.#exit === null) {
      const inTime = new AbortController();
      await Promise.race([this.exited, pause(clock, withinMs, inTime.signal)]);
      inTime.abort();
    }
    for (let pollMs = MIN_POLL_MS; this.#exit === null || (await groupRuns(pid)); ) {
      const leftMs = until - clock.now();
      if (leftMs <= 0) return false;
      await pause(clock, Math.min(pollMs, leftMs), null);
      pollMs = Math.min(pollMs * 2, MAX_POLL_MS);
    }
    return true;
  }

  async #outputRead(): Promise<void> {
    const leader = this.#leader;
    const open = [leader?.stdout, leader?.stderr].filter((stream) => stream != null && !stream.closed);
    const inTime = new AbortController();
    const closed = Promise.all(open.map((stream) => stream && once(stream, 'close')));
    await Promise.race([closed, pause(this.#options.clock, OUTPUT_WAIT_MS, inTime.signal)]);
    inTime.abort();
    for (const stream of open) stream?.destroy();
  }
}

function spawnLeader({ command, environment }: ProcessGroupOptions): ChildProcess | Error {
  try {
    return spawn(SHELL, ['-c', GATE, 'sluice-gate', ...command], {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      env: environment,
    });
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

function exitOf(child: ChildProcess): Promise<Exit> {
  return new Promise((resolve) => {
    child.on('error', (error) => {
      // The same event tells of signals that could not be sent.
      if (child.pid === undefined) resolve({ kind: 'not started', error });
    });
    child.on('exit', (code, signal) => {
      resolve(signal === null ? { kind: 'code', code: code ?? 0 } : { kind: 'signal', signal });
    });
  });
}
