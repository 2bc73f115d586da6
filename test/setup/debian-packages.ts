import { spawnSync } from 'node:child_process';

/** What tests run: programs, any of which will do, and Debian's package with one of them. */
const NEEDED: readonly { readonly anyOf: readonly string[]; readonly name: string }[] = [
  { anyOf: ['curl'], name: 'curl' },
  { anyOf: ['openssl'], name: 'openssl' },
  // Also where REDIS_URL names one: what a Redis that dies does is tried on servers of the tests' own.
  { anyOf: ['redis-server', 'valkey-server'], name: 'redis-server' },
];

/** Installs what is missing on Debian as root; elsewhere says which command to run. */
export function setup(): void {
  const missing = NEEDED.filter(({ anyOf }) => !anyOf.some(isThere)).map(({ name }) => name);
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

function isThere(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
}
