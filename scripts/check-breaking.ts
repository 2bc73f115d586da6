/**
 * Compares the protos with those of `main`, and on `main` itself with the commit before, and fails on a change that
 * would break a client (https://buf.build/docs/breaking/).
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../', import.meta.url));

const against = base();
if (against === null) {
  process.stdout.write('no earlier protos to compare with\n');
} else {
  const { status } = spawnSync('buf', ['breaking', '--against', `.git#ref=${against}`], {
    cwd: ROOT,
    stdio: 'inherit',
  });
  process.exitCode = status ?? 1;
}

/** The commit to compare with: changes not committed yet count against main's tip. */
function base(): string | null {
  const head = git('rev-parse', 'HEAD');
  const main =
    git('rev-parse', '--verify', '--quiet', 'main') ?? git('rev-parse', '--verify', '--quiet', 'origin/main');
  const clean = git('status', '--porcelain', '--', 'proto') === '';
  const commit =
    main !== null && (main !== head || !clean) ? main : git('rev-parse', '--verify', '--quiet', 'HEAD~1');
  if (commit === null || git('cat-file', '-e', `${commit}:buf.yaml`) === null) return null;
  return commit;
}

/** What git prints, or null when it fails. */
function git(...args: string[]): string | null {
  try {
    return execFileSync('git', args, {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'ignore'],
      encoding: 'utf8',
    }).trim();
  } catch {
    return null;
  }
}
