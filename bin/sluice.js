#!/usr/bin/env node
// The launcher is plain JavaScript that every Node can read, so that an old one gets a sentence, not a stack.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const REQUIRED = [24, 9];

const built = new URL('../dist/cli/main.js', import.meta.url);
const source = new URL('../src/cli/main.ts', import.meta.url);
const pinnedNode = fileURLToPath(new URL('../node_modules/node/bin/node', import.meta.url));

const [major, minor] = process.versions.node.split('.').map(Number);

if (major > REQUIRED[0] || (major === REQUIRED[0] && minor >= REQUIRED[1])) {
  const { run } = await import(existsSync(source) ? source.href : built.href);
  process.exitCode = await run(process.argv.slice(2));
} else if (existsSync(pinnedNode)) {
  // In a clone the runtime is a dev dependency: use it, whatever stands on PATH.
  const child = spawn(pinnedNode, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: 'inherit',
  });
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  // Ctrl-C has reached the child already; a second one would make it stop without draining.
  process.on('SIGINT', () => process.stdin.isTTY || child.kill('SIGINT'));
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? (signal === null ? 1 : 128);
  });
} else {
  process.stderr.write(`sluice needs Node.js ${REQUIRED.join('.')} or newer; this is ${process.version}.\n`);
  process.exitCode = 1;
}
