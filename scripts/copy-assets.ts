/** Part of the build: puts next to the compiled sources those that the compiler leaves alone. */
import { cpSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SRC = fileURLToPath(new URL('../src/', import.meta.url));
const DIST = fileURLToPath(new URL('../dist/src/', import.meta.url));

for (const file of readdirSync(SRC, { recursive: true, encoding: 'utf8' })) {
  if (/\.(?:sql|lua)$/.test(file)) cpSync(join(SRC, file), join(DIST, file));
}
