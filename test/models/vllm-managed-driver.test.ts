import { describe, expect, test } from 'vitest';
import { isRunning, untilGone } from './processes.ts';
import { managed, rewrite, SIM_COMMAND, scriptedVllm } from './vllm-managed/fixture.ts';

describe('a loaded model', () => {
  test('that dies is started again, elsewhere and with another key', async () => {
    const { load, heard, pids, progress } = managed();
    const { upstream } = await load();
    const [first = 0] = pids();
    process.kill(first, 'SIGKILL');
    expect((await heard('lost')).reason).toMatch(/^vLLM was killed by SIGKILL; its log ends with:\n/);
    const { upstream: second } = await heard('recovered');
    expect(second.apiKey).not.toBe(upstream.apiKey);
    const answer = await fetch(`${second.apiBase}/v1/models`, {
      headers: { authorization: `Bearer ${second.apiKey}` },
    });
    expect(answer.status).toBe(200);
    const stages = progress().map(({ stage }) => stage);
    const waiting = stages.indexOf('waiting_to_restart');
    expect([stages[waiting - 1], stages[waiting + 1], stages.at(-1)]).toEqual([
      'ready',
      'starting_process',
      'ready',
    ]);
  });

  test('that dies takes its workers with it before it is started again', async () => {
    const { load, heard, pids, told } = managed({ graceMs: 50 });
    await load({ sim_workers: 2, sim_ignore_sigterm: true });
    const [worker, other, leader = 0] = pids();
    process.kill(leader, 'SIGKILL');
    await heard('lost');
    expect(told.at(-1)?.kind).not.toBe('recovered');
    expect([worker, other].filter((pid) => isRunning(pid ?? 0))).toEqual([]);
  });

  test('that crashes again and again is given up', async () => {
    const { load, heard, told, pids, until } = managed();
    await load();
    for (let crashes = 1; crashes <= 4; crashes++) {
      process.kill(pids().at(-1) ?? 0, 'SIGKILL');
      const isOver = () =>
        told.filter(({ kind }) => kind === 'recovered' || kind === 'failed').length === crashes;
      await until(isOver);
    }
    const { reason } = await heard('failed');
    expect(reason).toMatch(
      /^given up after 3 restarts in a row: vLLM was killed by SIGKILL; its log ends with:\n/,
    );
    expect(told.filter(({ kind }) => kind === 'lost')).toHaveLength(4);
    expect(told.filter(({ kind }) => kind === 'recovered')).toHaveLength(3);
    expect(told.at(-1)?.kind).toBe('failed');
  });

  test('that can’t be started again is given up, with the last reason', async () => {
    const vllm = scriptedVllm(`exec '${SIM_COMMAND.join("' '")}' "$@"`);
    const { load, heard, pids, told } = managed({ command: [vllm] });
    const { stop } = await load();
    rewrite(vllm, 'echo no GPU left; exit 3');
    process.kill(pids()[0] ?? 0, 'SIGKILL');
    const { reason } = await heard('failed');
    expect(reason).toBe(
      'given up after 3 restarts in a row: vLLM exited with code 3 while it was loading; its log ends with:\nno GPU left',
    );
    expect(told.filter(({ kind }) => kind === 'lost')).toHaveLength(1);
    await stop();
  });

  test('that is stopped while it waits to start again stays down', async () => {
    const restarts = { firstDelayMs: 600_000, maxDelayMs: 600_000, maxRestarts: 3, stableMs: 60_000 };
    const { load, pids, told, until, progress } = managed({ restarts });
    const { stop } = await load();
    process.kill(pids()[0] ?? 0, 'SIGKILL');
    await until(() => progress().at(-1)?.stage === 'waiting_to_restart');
    await stop();
    expect(told.at(-1)).toMatchObject({ kind: 'progress', progress: { stage: 'waiting_to_restart' } });
    await untilGone(pids());
  });

  test('that is stopped while it is starting again stays down', async () => {
    const vllm = scriptedVllm(`exec '${SIM_COMMAND.join("' '")}' "$@"`);
    const { load, pids, until, told } = managed({ command: [vllm] });
    const { stop } = await load();
    const [first = 0] = pids();
    rewrite(vllm, `exec '${SIM_COMMAND.join("' '")}' "$@" --sim-loading-ms 600000`);
    process.kill(first, 'SIGKILL');
    await until(() => pids().length > 1);
    await stop();
    await untilGone(pids());
    expect(told.some(({ kind }) => kind === 'recovered' || kind === 'failed')).toBe(false);
  });

  test('is stopped with its workers, even if they ignore SIGTERM', async () => {
    const { load, pids, told } = managed({ graceMs: 100 });
    const { stop } = await load({ sim_workers: 2, sim_ignore_sigterm: true });
    const all = pids();
    expect([all.length, all.every(isRunning)]).toEqual([3, true]);
    await Promise.all([stop(), stop()]);
    expect(all.filter(isRunning)).toEqual([]);
    expect(told.every(({ kind }) => kind === 'progress')).toBe(true);
  });

  test('ends in peace when it heeds SIGTERM', async () => {
    const { load, lines } = managed();
    const { stop } = await load({ sim_workers: 1 });
    await stop();
    expect(lines().at(-1)).toBe('INFO:     Application shutdown complete.');
  });

  test('tells no further lines as progress, and goes on telling them to the log', async () => {
    const { load, lines, progress } = managed();
    const { stop } = await load();
    const before = progress().length;
    await stop();
    expect(lines()).toContain('INFO:     Shutting down');
    expect(progress()).toHaveLength(before);
  });
});
