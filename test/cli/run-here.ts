import { onTestFinished, vi } from 'vitest';
import { run } from '../../src/cli/main.ts';

export interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command line in this process; one at a time. */
export async function runHere(...args: readonly string[]): Promise<Result> {
  const written = { stdout: '', stderr: '' };
  const spies = (['stdout', 'stderr'] as const).map((stream) => {
    const spy = vi.spyOn(process[stream], 'write').mockImplementation((text) => {
      written[stream] += String(text);
      return true;
    });
    onTestFinished(() => spy.mockRestore());
    return spy;
  });
  const code = await run(args);
  for (const spy of spies) spy.mockRestore();
  return { code, ...written };
}

/** The same for commands that talk to a gateway. */
export function runAt(url: string): (...args: readonly string[]) => Promise<Result> {
  return (...args) => runHere(...args, '--url', url);
}

/** What a command prints when it is done as asked. */
export function printed(stdout: string): Result {
  return { code: 0, stdout, stderr: '' };
}

/** What it prints when the gateway, or the command itself, refuses. */
export function refused(why: string, code = 1): Result {
  return { code, stdout: '', stderr: `${why}\n` };
}
