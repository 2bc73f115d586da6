import { expect, test } from 'vitest';
import { LogTail } from '../../../src/models/supervisor/log-tail.ts';

test('keeps the last lines', () => {
  const tail = new LogTail([]);
  for (let index = 1; index <= 30; index++) tail.add(`line ${index}`);
  expect(tail.text().split('\n')).toEqual(Array.from({ length: 20 }, (_, index) => `line ${index + 11}`));
});

test('tells an error that stands further above, and the same one once', () => {
  const tail = new LogTail([]);
  tail.add('INFO up');
  for (const cause of ['CUDA out of memory. Tried 1 GiB', 'CUDA out of memory. Tried 1 GiB'])
    tail.add(`(EngineCore pid=7) ERROR 01-02 [core.py:1] torch.OutOfMemoryError: ${cause}`);
  for (let index = 1; index <= 20; index++) tail.add(`line ${index}`);
  expect(tail.text().split('\n').slice(0, 3)).toEqual([
    '(EngineCore pid=7) ERROR 01-02 [core.py:1] torch.OutOfMemoryError: CUDA out of memory. Tried 1 GiB',
    '…',
    'line 1',
  ]);
});

test('blots out secrets wherever they stand, before a line is cut', () => {
  const tail = new LogTail(['sk-secret', '']);
  expect(tail.add("args: {'api_key': ['sk-secret'], 'sk-secret'}")).toBe("args: {'api_key': ['***'], '***'}");
  expect(tail.add(`${'x'.repeat(995)}sk-secret`)).toBe(`${'x'.repeat(995)}***`);
  expect(tail.add('x'.repeat(1_001))).toBe(`${'x'.repeat(1_000)}…`);
  expect(tail.text()).not.toContain('sk-secret');
});
