import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { LineWriter } from '../../src/base/line-writer.ts';

function scratchFile(): { readonly path: string; readonly fd: number } {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-log-'));
  const path = join(folder, 'log');
  const fd = openSync(path, 'w');
  onTestFinished(() => {
    closeSync(fd);
    rmSync(folder, { recursive: true });
  });
  return { path, fd };
}

test('writes every line once and in order, whatever its length', async () => {
  const { path, fd } = scratchFile();
  const writer = new LineWriter({ fd, flushIntervalMs: 250, maxPendingBytes: 1 << 30 });
  const lines = Array.from({ length: 5_000 }, (_, i) => `${i} ${'ä€'.repeat(i % 97)}\n`);
  lines.splice(2_000, 0, `${'long'.repeat(50_000)}\n`);
  for (const line of lines) writer.write(line);
  await writer.flush();
  expect(readFileSync(path, 'utf8')).toBe(lines.join(''));
});

test('writes a lonely line when its time has come', async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const { path, fd } = scratchFile();
  const writer = new LineWriter({ fd, flushIntervalMs: 250, maxPendingBytes: 1 << 30 });
  writer.write('one\n');
  vi.advanceTimersByTime(249);
  expect(readFileSync(path, 'utf8')).toBe('');
  vi.advanceTimersByTime(1);
  await writer.flush();
  expect(readFileSync(path, 'utf8')).toBe('one\n');
});

test('drops and counts lines when nobody takes them', () => {
  const { fd } = scratchFile();
  const writer = new LineWriter({ fd, flushIntervalMs: 250, maxPendingBytes: 100_000 });
  const line = `${'x'.repeat(999)}\n`;
  for (let i = 0; i < 1_000; i++) writer.write(line);
  expect(writer.dropped).toBeGreaterThan(700);
});

test('tears no line of several processes that write to one pipe', async () => {
  const module = new URL('../../src/base/line-writer.ts', import.meta.url).href;
  const program = `
    import { LineWriter } from ${JSON.stringify(module)};
    const writer = new LineWriter({ fd: 1, flushIntervalMs: 1, maxPendingBytes: 1 << 30, isShared: true });
    while (Date.now() < ${Date.now() + 1_000}); // all three at once
    for (let i = 0; i < 20000; i++) writer.write('begin ' + 'x'.repeat(i % 700) + ' end\\n');
    await writer.flush();
  `;
  // One pipe for all three, and a reader that can't keep up.
  const shell = spawn('sh', [
    '-c',
    '("$0" "$@" & "$0" "$@" & "$0" "$@" & wait) | cat',
    process.execPath,
    '--input-type=module',
    '-e',
    program,
  ]);
  let text = '';
  for await (const chunk of shell.stdout.setEncoding('utf8')) text += chunk;
  const lines = text.trimEnd().split('\n');
  expect(lines).toHaveLength(60_000);
  expect(lines.filter((line) => !/^begin x* end$/.test(line))).toEqual([]);
});
