import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Json } from '../../../src/base/json.ts';
import { isRunning, pidsIn, untilGone } from '../processes.ts';
import { SIM_COMMAND } from './fixture.ts';

const PARENT = fileURLToPath(new URL('parent.ts', import.meta.url));

/** A gateway of its own process that loads a model; resolves with the processes that it has at the line. */
async function startParent(kwargs: Readonly<Record<string, Json>>, untilLine: string) {
  const parent = spawn(process.execPath, [PARENT, JSON.stringify(kwargs), ...SIM_COMMAND], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void parent.kill('SIGKILL'));
  const lines: string[] = [];
  for await (const line of createInterface(parent.stdout)) {
    lines.push(line);
    if (line.includes(untilLine)) break;
  }
  const pids = [...pidsIn(lines)];
  onTestFinished(() => {
    for (const pid of pids) if (isRunning(pid)) process.kill(pid, 'SIGKILL');
  });
  return { parent, pids };
}

/** The shells that watch over a process group; Linux tells their command lines. */
function guardsOf(groupId: number): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0');
        return words.includes('sluice-guard') && words.includes(String(groupId));
      } catch {
        return false;
      }
    })
    .map(Number);
}

async function kill(parent: ChildProcess): Promise<void> {
  const exited = once(parent, 'exit');
  parent.kill('SIGKILL');
  await exited;
}

describe('a gateway that is killed leaves no vLLM behind', () => {
  test('when it serves, with its workers', async () => {
    const { parent, pids } = await startParent({ sim_workers: 2 }, 'ready');
    expect([pids.length, pids.every(isRunning)]).toEqual([3, true]);
    const guards = process.platform === 'linux' ? guardsOf(pids.at(-1) ?? 0) : [];
    if (process.platform === 'linux') expect(guards).toHaveLength(1);
    await kill(parent);
    await untilGone([...pids, ...guards]);
  });

  test('while it is loading', async () => {
    const { parent, pids } = await startParent(
      { sim_loading_ms: 600_000, sim_workers: 1 },
      'API server version',
    );
    expect([pids.length, pids.every(isRunning)]).toEqual([2, true]);
    await kill(parent);
    await untilGone(pids);
  });

  test('even if all of it ignores SIGTERM', async () => {
    const { parent, pids } = await startParent({ sim_workers: 1, sim_ignore_sigterm: true }, 'ready');
    expect([pids.length, pids.every(isRunning)]).toEqual([2, true]);
    await kill(parent);
    await untilGone(pids);
  });

  test('even if its guard was killed before', async () => {
    if (process.platform !== 'linux') return;
    const { parent, pids } = await startParent({ sim_workers: 1 }, 'ready');
    const leader = pids.at(-1) ?? 0;
    const [guard = 0] = guardsOf(leader);
    process.kill(guard, 'SIGKILL');
    await untilGone([guard]);
    const until = performance.now() + 10_000;
    while (guardsOf(leader).length === 0 && performance.now() < until) await new Promise(setImmediate);
    expect(pids.every(isRunning)).toBe(true);
    await kill(parent);
    await untilGone(pids);
  });
});
