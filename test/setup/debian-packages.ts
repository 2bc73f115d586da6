import { spawnSync } from 'node:child_process';

/** Programs that tests run, and Debian's package for each. */
const PROGRAMS: Readonly<Record<string, string>> = { curl: 'curl', openssl: 'openssl' };

/** Installs what is missing on Debian as root; elsewhere says which command to run. */
export function setup(): void {
  const missing = Object.entries(PROGRAMS)
    .filter(([program]) => spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0)
    .map(([, name]) => name);
  if (missing.length === 0) return;
  const install = `apt-get install -y ${missing.join(' ')}`;
  if (process.getuid?.() === 0) {
    const { status } = spawnSync('sh', ['-c', `apt-get update -qq && ${install}`], { stdio: 'inherit' });
    if (status === 0) return;
  }
  throw new Error(
    `The tests run ${missing.join(' and ')}: install it first, on Debian by "${install}" as root.`,
  );
}
