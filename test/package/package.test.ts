import { execFile, spawn } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { startVllmSim } from '../vllm-sim/index.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const run = promisify(execFile);

async function scratchFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-package-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

/** Resolves with the first match in what the process prints. */
function printed(child: ReturnType<typeof spawn>, pattern: RegExp): Promise<RegExpExecArray> {
  return new Promise((resolve, reject) => {
    let text = '';
    const look = (chunk: Buffer): void => {
      text += chunk.toString();
      const match = pattern.exec(text);
      if (match !== null) resolve(match);
    };
    child.stdout?.on('data', look);
    child.stderr?.on('data', look);
    child.on('exit', (code) => reject(new Error(`ended with ${code}: ${text}`)));
  });
}

test('the packed package, installed elsewhere, serves on the node that runs it', {
  timeout: 180_000,
}, async () => {
  const folder = await scratchFolder();
  await run('npm', ['pack', '--pack-destination', folder], { cwd: ROOT });
  const tarball = (await readdir(folder)).find((name) => name.endsWith('.tgz'));
  expect(tarball).toBeDefined();
  await run('npm', ['init', '-y'], { cwd: folder });
  await run(
    'npm',
    ['install', '--no-audit', '--no-fund', '--engine-strict=false', join(folder, tarball ?? '')],
    {
      cwd: folder,
    },
  );
  // The runtime of this clone is a dev dependency: whoever installs the package has a node of their own.
  expect(await readdir(join(folder, 'node_modules'))).not.toContain('node');

  const bin = join(folder, 'node_modules', '.bin', 'sluice');
  const help = await run(process.execPath, [bin, '--help']);
  expect(help.stdout).toContain('check-config');

  const sim = await startVllmSim();
  onTestFinished(() => sim.close());
  const child = spawn(process.execPath, [bin, '--port', '0'], {
    cwd: folder,
    env: { PATH: process.env.PATH, HOSTED_VLLM_API_BASE: sim.url },
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [, url] = await printed(child, /RUNNING on (http:\/\/[^"\s]+)/);
  const answer = await fetch(`${url}/vllm/version`);
  expect(answer.status).toBe(200);
  const ended = new Promise((resolve) => child.on('exit', resolve));
  child.kill('SIGTERM');
  expect(await ended).toBe(0);
});
