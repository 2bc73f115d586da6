import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';

/** Whether a process runs; one that is dead and not collected yet doesn't. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2));
  } catch {
    // Where there is no /proc, or no such process any more.
    return process.platform !== 'linux';
  }
}

/** Resolves when none of them runs; fails when one still does after 10 s. Processes that aren't ours tell nobody. */
export async function untilGone(pids: readonly number[]): Promise<void> {
  expect(pids.length).toBeGreaterThan(0);
  const until = performance.now() + 10_000;
  for (;;) {
    const left = pids.filter(isRunning);
    if (left.length === 0) return;
    if (performance.now() > until) throw new Error(`still running: ${left.join(', ')}`);
    await delay(5);
  }
}

/** The process ids that vLLM's log lines tell: `(APIServer pid=12)`, `(Worker_TP0 pid=34)`. */
export function pidsIn(lines: readonly string[]): readonly number[] {
  return [
    ...new Set(
      lines.flatMap((line) => [...line.matchAll(/\bpid=(\d+)\)/g)].map((match) => Number(match[1]))),
    ),
  ];
}
