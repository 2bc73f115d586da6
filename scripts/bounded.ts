import { spawn } from 'node:child_process';

export interface BoundedOptions {
  readonly cwd: string;
  /** Beyond it the whole process group is killed. */
  readonly timeoutMs: number;
  /** Default: this process's own. */
  readonly env?: NodeJS.ProcessEnv;
}

/** How a command ended. */
export interface Ran {
  /** Exit code 0, and in time. */
  readonly ok: boolean;
  readonly stdout: string;
  /** Both streams as they came, and a last line that says so when time was up. */
  readonly output: string;
  readonly durationMs: number;
}

/** Runs a command to its end, or to the end of its time. Never throws: a program that isn't there is one more failure. */
export function runBounded(
  command: string,
  args: readonly string[],
  { cwd, timeoutMs, env = process.env }: BoundedOptions,
): Promise<Ran> {
  const startedAt = performance.now();
  let stdout = '';
  let output = '';
  return new Promise((resolve) => {
    // A group of its own, so that what it started in its turn ends with it.
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    const timer = setTimeout(() => {
      output += `\n${command} took longer than ${timeoutMs / 1000} s`;
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    }, timeoutMs);
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      output += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    const end = (ok: boolean): void => {
      clearTimeout(timer);
      resolve({ ok, stdout, output, durationMs: performance.now() - startedAt });
    };
    child.on('error', (error) => {
      output += `${error.message}\n`;
      end(false);
    });
    child.on('close', (code) => end(code === 0));
  });
}
