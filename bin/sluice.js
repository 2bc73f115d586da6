#!/usr/bin/env node
// The launcher is plain JavaScript that every Node can read, so that an old one gets a sentence, not a stack.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';

const REQUIRED = [24, 9];

const built = new URL('../dist/src/cli/main.js', import.meta.url);
const source = new URL('../src/cli/main.ts', import.meta.url);
const pinnedNode = fileURLToPath(new URL('../node_modules/node/bin/node', import.meta.url));

const [major, minor] = process.versions.node.split('.').map(Number);

if (major > REQUIRED[0] || (major === REQUIRED[0] && minor >= REQUIRED[1])) {
  // Before the program is loaded: src/cli/young-generation.ts says why.
  setFlagsFromString('--semi-space-growth-factor=1');
  const { run } = await import(existsSync(source) ? source.href : built.href);
  process.exitCode = await run(process.argv.slice(2));
} else if (existsSync(pinnedNode)) {
  // In a clone the runtime is a dev dependency: use it, whatever stands on PATH.
  const child = spawn(pinnedNode, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: 'inherit',
    // A process group of its own: what is sent to ours reaches it once, through us, and not as a second signal.
    detached: true,
  });
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? 128 + (constants.signals[signal] ?? 0);
  });
} else {
  process.stderr.write(`sluice needs Node.js ${REQUIRED.join('.')} or newer; this is ${process.version}.\n`);
  process.exitCode = 1;
}
