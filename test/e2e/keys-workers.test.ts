import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import type { StoredKey } from '../../src/store/key-store.ts';
import { limitedKey } from '../access/limiter-house.ts';

const PROGRAM = fileURLToPath(new URL('./keys-workers-program.ts', import.meta.url));

interface Workers {
  readonly supervisor: ChildProcess;
  readonly ended: Promise<unknown>;
  readonly lines: readonly string[];
  /** By whichever worker's turn it is. */
  take(key: StoredKey, query: string, signal?: AbortSignal): Promise<Taken>;
}

interface Taken {
  readonly pid: number;
  readonly passed: number;
  readonly reasons: Readonly<Record<string, number>>;
}

async function startWorkers(count: number): Promise<Workers> {
  const supervisor = spawn(process.execPath, [PROGRAM, String(count)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(supervisor, 'close');
  onTestFinished(async () => {
    supervisor.kill('SIGKILL');
    await ended;
  });
  const lines: string[] = [];
  const listening = Promise.withResolvers<number>();
  createInterface(supervisor.stdout).on('line', (line) => {
    lines.push(line);
    if (lines.length === count) listening.resolve((JSON.parse(line) as { port: number }).port);
  });
  const port = await Promise.race([
    listening.promise,
    ended.then(() => Promise.reject(new Error('it ended'))),
  ]);
  return {
    supervisor,
    ended,
    lines,
    async take(key, query, signal) {
      const answer = await fetch(`http://127.0.0.1:${port}/take?${query}`, {
        method: 'POST',
        body: JSON.stringify(key),
        ...(signal === undefined ? {} : { signal }),
      });
      return (await answer.json()) as Taken;
    },
  };
}

test('exactly 1,000 of 20,000 attempts by four processes at a time pass a limit of 1,000 a minute', async () => {
  const { take } = await startWorkers(4);
  const key = limitedKey({ rpmLimit: 1_000 });
  const taken = await Promise.all(Array.from({ length: 40 }, () => take(key, 'count=500')));
  expect(new Set(taken.map(({ pid }) => pid)).size).toBe(4);
  expect(taken.reduce((sum, { passed }) => sum + passed, 0)).toBe(1_000);
  expect(taken.reduce((sum, { reasons }) => sum + (reasons.rate_limited ?? 0), 0)).toBe(19_000);
});

test('a worker that is killed gives its slots back', async () => {
  const { take, lines } = await startWorkers(2);
  const key = limitedKey({ maxParallelRequests: 4 });
  const first = await take(key, 'count=3');
  expect(first.passed).toBe(3);
  const second = await take(key, 'count=3');
  expect(second.passed).toBe(1);
  expect(second.pid).not.toBe(first.pid);
  process.kill(first.pid, 'SIGKILL');
  // One connection more is handed to the dead worker, whose end is told to its supervisor in another way then.
  const abort = new AbortController();
  const lost = take(key, 'count=0', abort.signal).catch(() => null);
  await expect.poll(() => lines.length, { timeout: 10_000 }).toBe(3);
  abort.abort();
  await lost;
  let passed = 0;
  for (let i = 0; i < 4; i++) passed += (await take(key, 'count=1')).passed;
  expect(passed).toBe(3);
  expect((await take(key, 'count=5')).passed).toBe(0);
});

test('a clean stop loses nothing of what was spent', async () => {
  const { take, supervisor, ended, lines } = await startWorkers(4);
  const [budgeted, free] = [limitedKey({ maxBudget: 1_000 }), limitedKey({})];
  await Promise.all(
    [budgeted, free].flatMap((key) => Array.from({ length: 8 }, () => take(key, 'count=50&usd=0.125'))),
  );
  supervisor.kill('SIGTERM');
  expect(await ended).toEqual([0, null]);
  expect(JSON.parse(lines.at(-1) ?? '')).toEqual({ spent: { [budgeted.id]: 50, [free.id]: 50 } });
});

test('a budget holds for all workers together', async () => {
  const { take } = await startWorkers(4);
  const key = limitedKey({ maxBudget: 1 });
  let passed = 0;
  let last: Taken;
  do {
    last = await take(key, 'count=1&usd=0.125');
    passed += last.passed;
  } while (last.passed > 0);
  // A worker may ask before another one has told what it has just spent.
  expect(passed).toBeGreaterThanOrEqual(8);
  expect(passed).toBeLessThan(12);
  expect(last.reasons).toEqual({ budget_exceeded: 1 });
});

test('workers end with their supervisor', async () => {
  const { take, supervisor, ended } = await startWorkers(2);
  const key = limitedKey({ rpmLimit: 10 });
  for (let i = 0; i < 2; i++) expect((await take(key, 'count=1')).passed).toBe(1);
  supervisor.kill('SIGKILL');
  // Workers have its pipe too: it closes with the last of them.
  expect(await ended).toEqual([null, 'SIGKILL']);
});
