import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { findProgram } from '../../../src/models/supervisor/find-program.ts';
import { temporaryFolder } from '../../helpers/program.ts';

test('finds what can be run, on the PATH or where it is said to be, and nothing else', async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'vllm'), '#!/bin/sh\n');
  writeFileSync(join(folder, 'text'), '');
  chmodSync(join(folder, 'vllm'), 0o755);
  mkdirSync(join(folder, 'folder'));
  expect(await findProgram('vllm', `/nowhere:${folder}`)).toBe(true);
  expect(await findProgram(join(folder, 'vllm'), '')).toBe(true);
  expect(await findProgram('sh', undefined)).toBe(true);
  for (const name of ['text', 'folder', 'missing']) expect(await findProgram(name, folder)).toBe(false);
  expect(await findProgram('vllm', '/nowhere')).toBe(false);
});
