/** Generates `gen/` anew into a folder of its own and fails when the committed files aren't the same. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../', import.meta.url));

const folder = mkdtempSync(join(tmpdir(), 'sluice-gen-'));
try {
  execFileSync('buf', ['generate', '--output', folder], { cwd: ROOT, stdio: 'inherit' });
  const expected = filesIn(join(folder, 'gen'));
  const committed = filesIn(join(ROOT, 'gen'));
  const stale = [...new Set([...expected.keys(), ...committed.keys()])].filter(
    (file) => expected.get(file) !== committed.get(file),
  );
  if (stale.length > 0) {
    process.stderr.write(`stale, run npm run generate:\n${stale.map((file) => `  gen/${file}\n`).join('')}`);
    process.exitCode = 1;
  }
} finally {
  rmSync(folder, { recursive: true });
}

/** Text by path of what protoc-gen-es writes. */
function filesIn(base: string): Map<string, string> {
  const names = readdirSync(base, { recursive: true, encoding: 'utf8' });
  return new Map(
    names
      .filter((name) => name.endsWith('_pb.ts'))
      .map((name) => [name, readFileSync(join(base, name), 'utf8')]),
  );
}
