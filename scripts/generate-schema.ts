/**
 * Writes schema/config.schema.json, which editors use to complete and check configuration files.
 * With `--check` it writes nothing and fails when the committed file isn't what would be written.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { configJsonSchema } from '../src/base/config/json-schema.ts';

const FILE = new URL('../schema/config.schema.json', import.meta.url);

const generated = `${JSON.stringify(configJsonSchema(), null, 2)}\n`;

if (process.argv.includes('--check')) {
  if (committed() !== generated) {
    process.stderr.write('schema/config.schema.json is stale: run node scripts/generate-schema.ts\n');
    process.exitCode = 1;
  }
} else {
  writeFileSync(FILE, generated);
}

function committed(): string {
  try {
    return readFileSync(FILE, 'utf8');
  } catch {
    return '';
  }
}
