/**
 * Writes gen/openapi.yaml, for people, and gen/openapi.ts, which the gateway serves, from the protos.
 * With `--check` it writes nothing and fails when the committed files aren't what would be written.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { stringify } from 'yaml';
import { createOpenApi } from '../src/bridge/openapi.ts';
import { OPENAPI_OPTIONS } from './openapi/options.ts';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const PACKAGE = 'sluice.v1';

const document = createOpenApi(servicesWithComments(), OPENAPI_OPTIONS);
const files = {
  'gen/openapi.yaml': `# Generated from proto/ by npm run generate.\n${stringify(document, { lineWidth: 120, blockQuote: 'literal', aliasDuplicateObjects: false })}`,
  'gen/openapi.ts': `// Generated from proto/ by npm run generate: gen/openapi.yaml as JSON text.\nexport const OPENAPI_JSON: string =\n  ${JSON.stringify(JSON.stringify(document))};\n`,
};

for (const [name, text] of Object.entries(files)) {
  const file = new URL(`../${name}`, import.meta.url);
  if (!process.argv.includes('--check')) writeFileSync(file, text);
  else if (committed(file) !== text) {
    process.stderr.write(`${name} is stale: run npm run generate\n`);
    process.exitCode = 1;
  }
}

/** The descriptors in generated code have no source info, and so no comments: buf's own have. */
function servicesWithComments() {
  const image = execFileSync('buf', ['build', '--as-file-descriptor-set', '-o', '-#format=binpb'], {
    cwd: ROOT,
    maxBuffer: 64 * 1024 * 1024,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, image));
  return [...registry]
    .filter((desc) => desc.kind === 'service')
    .filter(({ file }) => file.proto.package === PACKAGE);
}

function committed(file: URL): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
