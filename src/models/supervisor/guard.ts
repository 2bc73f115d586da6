import { type ChildProcess, spawn } from 'node:child_process';

export const SHELL = '/bin/sh';

/**
 * Waits for a line on descriptor 3 and becomes the program in its arguments; ends when the descriptor closes first. So
 * the guard is there before the program is, and no moment is left in which the gateway's death would leave the program
 * running.
 */
export const GATE = 'read -r go <&3 || exit 1; exec "$@" 3<&-';

/**
 * Waits for a line, which dismisses it, or for the end of its input, which means that the gateway is gone, however it
 * went: then the process group $1 is asked to end, and killed $2 seconds later at the most.
 *
 * A shell, since it takes 1 MB where a Node process takes 40; in a session of its own, so that nothing sent to the
 * gateway's process group or to the watched one reaches it.
 */
const GUARD = `trap '' HUP INT TERM
read -r word && exit 0
kill -s TERM -- "-$1" 2>/dev/null
left=$2
while [ "$left" -gt 0 ] && kill -s 0 -- "-$1" 2>/dev/null; do sleep 1; left=$((left - 1)); done
kill -s KILL -- "-$1" 2>/dev/null`;

/** One that dies at once, again and again, can't be had here. */
const MAX_GUARDS = 10;

export interface GuardOptions {
  readonly groupId: number;
  /** Whole seconds between SIGTERM and SIGKILL. */
  readonly graceSeconds: number;
  readonly warn: (message: string) => void;
}

/** Ends a process group when this process is gone. A guard that is killed is replaced. */
export class Guard {
  readonly #options: GuardOptions;
  #shell: ChildProcess;
  #isDismissed = false;
  #count = 1;

  constructor(options: GuardOptions) {
    this.#options = options;
    this.#shell = this.#spawn();
  }

  /** Its process; for tests. */
  get pid(): number | undefined {
    return this.#shell.pid;
  }

  /** When the group is gone: its number may be another's from now on. */
  dismiss(): void {
    this.#isDismissed = true;
    this.#shell.stdin?.end('dismissed\n');
  }

  #spawn(): ChildProcess {
    const { groupId, graceSeconds } = this.#options;
    const shell = spawn(SHELL, ['-c', GUARD, 'sluice-guard', String(groupId), String(graceSeconds)], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
      cwd: '/',
      env: { PATH: '/usr/local/bin:/usr/bin:/bin' },
    });
    shell.stdin?.on('error', () => {});
    shell.on('error', (error) => this.#replace(String(error)));
    shell.on('exit', (code, signal) => this.#replace(signal ?? `code ${code}`));
    return shell;
  }

  #replace(end: string): void {
    if (this.#isDismissed) return;
    const { groupId, warn } = this.#options;
    if (this.#count >= MAX_GUARDS) {
      warn(`process group ${groupId} has no guard any more (${end}): it would outlive this process`);
      return;
    }
    this.#count++;
    warn(`the guard of process group ${groupId} ended (${end}); another takes its place`);
    this.#shell = this.#spawn();
  }
}
