import { mkdirSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { SYSTEM_CLOCK } from '../../../src/models/clock.ts';
import { ProcessGroup } from '../../../src/models/supervisor/process-group.ts';
import { temporaryFolder } from '../../helpers/program.ts';
import { Watch } from '../../helpers/watch.ts';
import { isRunning, untilGone } from '../processes.ts';

function start(
  command: readonly string[],
  { graceMs = 5_000, environment = {} }: { graceMs?: number; environment?: Record<string, string> } = {},
) {
  const lines: string[] = [];
  const warnings: string[] = [];
  const watch = new Watch();
  const group = new ProcessGroup({
    command,
    environment: { PATH: process.env.PATH ?? '', ...environment },
    graceMs,
    clock: SYSTEM_CLOCK,
    warn: (message) => {
      warnings.push(message);
      watch.changed();
    },
    onLine: (line) => {
      lines.push(line);
      watch.changed();
    },
  });
  onTestFinished(async () => {
    if (group.pid !== null) {
      try {
        process.kill(-group.pid, 'SIGKILL');
      } catch {
        // As it should be: the test has ended it.
      }
    }
    await group.stop();
  });
  return {
    group,
    lines,
    warnings,
    until: (passes: () => boolean) => watch.until(passes),
    async line(pattern: RegExp): Promise<string> {
      await watch.until(() => lines.some((line) => pattern.test(line)));
      return lines.find((line) => pattern.test(line)) ?? '';
    },
    async pids(count: number): Promise<readonly number[]> {
      const told = () => lines.flatMap((line) => (/^pid (\d+)$/.test(line) ? [Number(line.slice(4))] : []));
      await watch.until(() => told().length >= count);
      return told();
    },
  };
}

const sh = (script: string) => ['/bin/sh', '-c', script];

describe('a process group', () => {
  test('runs a program with its arguments as they are, and nothing of a shell in between', async () => {
    const { group, lines } = start(['printf', '%s|', '$HOME', 'a b', '', '"; exit 9', '*']);
    expect(await group.exited).toEqual({ kind: 'code', code: 0 });
    await group.stop();
    expect(lines).toEqual(['$HOME|a b||"; exit 9|*|']);
  });

  test('gives it the environment that was said, no input, and no descriptor of ours', async () => {
    const { group, lines } = start(['env'], { environment: { ONLY: 'this' } });
    await group.exited;
    await group.stop();
    // A shell sets PWD and the like by itself.
    expect(lines.filter((line) => !/^(PWD|OLDPWD|SHLVL|_|PATH)=/.test(line))).toEqual(['ONLY=this']);
    if (process.platform !== 'linux') return;
    const waiting = start(sh('echo up; cat; exec sleep 1000'));
    await waiting.line(/up/);
    const open = readdirSync(`/proc/${waiting.group.pid}/fd`);
    // What the gate waited at; the numbers beyond are those with which the test's own process was born.
    expect([open.includes('0'), open.includes('3')]).toEqual([true, false]);
    expect(readlinkSync(`/proc/${waiting.group.pid}/fd/0`)).toBe('/dev/null');
    await waiting.group.stop();
  });

  test('tells how it ended', async () => {
    expect(await start(sh('exit 3')).group.exited).toEqual({ kind: 'code', code: 3 });
    expect(await start(sh('kill -9 $$')).group.exited).toEqual({ kind: 'signal', signal: 'SIGKILL' });
    expect(await start(['/nowhere/program']).group.exited).toEqual({ kind: 'code', code: 127 });
    expect(await start(['printf', 'x'.repeat(4_000_000)]).group.exited).toMatchObject({
      kind: 'not started',
    });
  });

  test('has told all that was written when it is stopped, the last line without an end included', async () => {
    const { group, lines } = start(
      sh('i=0; while [ $i -lt 500 ]; do i=$((i+1)); echo line $i; done; printf end'),
    );
    await group.exited;
    await group.stop();
    expect([lines.length, lines.at(-2), lines.at(-1)]).toEqual([501, 'line 500', 'end']);
  });

  test('is stopped with all that it has started', async () => {
    const { group, pids } = start(
      sh('echo pid $$; (sleep 1000 & echo pid $!); sleep 1000 & echo pid $!; wait'),
    );
    const all = await pids(3);
    await group.stop();
    expect(all.filter(isRunning)).toEqual([]);
    expect(await group.exited).toEqual({ kind: 'signal', signal: 'SIGTERM' });
    await Promise.all([group.stop(), group.stop()]);
  });

  test('has the time of the grace to end well', async () => {
    const { group, lines, line } = start(
      sh('trap "echo bye; exit 0" TERM; echo up; while :; do sleep 0.05; done'),
    );
    await line(/up/);
    await group.stop();
    expect([lines.at(-1), await group.exited]).toEqual(['bye', { kind: 'code', code: 0 }]);
  });

  test('is killed when it ignores SIGTERM, a worker that does so too', async () => {
    const ignoring = 'trap "" TERM; echo pid $$; while :; do sleep 0.05; done';
    const { group, pids } = start(
      sh(`(${ignoring.replace('$$', "$(exec sh -c 'echo $PPID')")}) & ${ignoring}`),
      {
        graceMs: 50,
      },
    );
    const all = await pids(2);
    await group.stop();
    expect(all.filter(isRunning)).toEqual([]);
    expect(await group.exited).toEqual({ kind: 'signal', signal: 'SIGKILL' });
  });

  test('is waited for when only the first process has ended', async () => {
    const { group, pids } = start(sh('trap "" TERM; (sleep 1000 & echo pid $!)'), { graceMs: 50 });
    const [worker = 0] = await pids(1);
    await group.exited;
    expect(isRunning(worker)).toBe(true);
    await group.stop();
    expect(isRunning(worker)).toBe(false);
  });

  test('is not bothered by output that a process outside of it keeps open', async () => {
    const { group, pids } = start(
      // A session of its own, as a daemon makes for itself.
      [process.execPath, '-e', DAEMON],
    );
    const [daemon = 0] = await pids(1);
    onTestFinished(() => void process.kill(daemon, 'SIGKILL'));
    await group.exited;
    await group.stop();
    expect(isRunning(daemon)).toBe(true);
  });

  const DAEMON = `const child = require('node:child_process').spawn('sleep', ['1000'], { detached: true, stdio: ['ignore', 'inherit', 'inherit'] }); child.unref(); console.log('pid', child.pid);`;
});

describe('the guard', () => {
  test('goes when the group has gone', async () => {
    const { group, line } = start(sh('echo up; exec sleep 1000'));
    await line(/up/);
    const guard = group.guardPid ?? 0;
    expect(isRunning(guard)).toBe(true);
    await group.stop();
    await untilGone([guard]);
  });

  test('is replaced when it is killed, and the group goes on', async () => {
    const { group, line, warnings, until } = start(sh('echo pid $$; exec sleep 1000'));
    const pid = Number((await line(/pid/)).slice(4));
    const first = group.guardPid ?? 0;
    process.kill(first, 'SIGKILL');
    await until(() => warnings.length > 0);
    const second = group.guardPid ?? 0;
    expect([second === first, isRunning(second), isRunning(pid)]).toEqual([false, true, true]);
    await group.stop();
    await untilGone([second]);
    expect(warnings).toHaveLength(1);
  });

  test('lets itself be ended by nothing that is sent to the group or to it politely', async () => {
    const { group, line } = start(sh('echo up; exec sleep 1000'));
    await line(/up/);
    const guard = group.guardPid ?? 0;
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.kill(guard, signal);
    process.kill(-(group.pid ?? 0), 'SIGTERM');
    await group.exited;
    expect(isRunning(guard)).toBe(true);
    await group.stop();
    await untilGone([guard]);
  });
});

test('a folder with a program’s name is no program', async () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'vllm'));
  const { group } = start([join(folder, 'vllm')]);
  expect(await group.exited).toEqual({ kind: 'code', code: 126 });
});
