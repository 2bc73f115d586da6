import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createFileRegistry, type DescService, type FileRegistry, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { createOpenApi, type OpenApiOptions } from '../../src/bridge/openapi.ts';
import type { OpenApiDocument, Operation, Schema } from '../../src/bridge/openapi-document.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Compiles a proto file of `syntax = "proto3"; package odd.v1;` and this text, comments kept. */
export function compile(text: string, head = 'syntax = "proto3";'): FileRegistry {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-proto-'));
  try {
    for (const vendored of ['google', 'buf']) {
      cpSync(join(ROOT, 'proto', vendored), join(folder, vendored), { recursive: true });
    }
    writeFileSync(join(folder, 'buf.yaml'), 'version: v2\n');
    writeFileSync(join(folder, 'odd.proto'), `${head}\npackage odd.v1;\n${IMPORTS}\n${text}\n`);
    const image = execFileSync(
      join(ROOT, 'node_modules/.bin/buf'),
      ['build', '--as-file-descriptor-set', '-o', '-#format=binpb'],
      { cwd: folder, maxBuffer: 64 * 1024 * 1024 },
    );
    return createFileRegistry(fromBinary(FileDescriptorSetSchema, image));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const IMPORTS = [
  'buf/validate/validate.proto',
  'google/api/annotations.proto',
  'google/api/httpbody.proto',
  'google/protobuf/any.proto',
  'google/protobuf/duration.proto',
  'google/protobuf/empty.proto',
  'google/protobuf/field_mask.proto',
  'google/protobuf/struct.proto',
  'google/protobuf/timestamp.proto',
  'google/protobuf/wrappers.proto',
]
  .map((file) => `import "${file}";`)
  .join('\n');

export function services(registry: FileRegistry): DescService[] {
  return [...registry].filter((desc) => desc.kind === 'service');
}

export const OPTIONS: OpenApiOptions = {
  title: 'Odd',
  version: 'v1',
  servers: [{ url: '/' }],
  securitySchemes: { key: { type: 'http', scheme: 'bearer' } },
  access: () => ({ security: [{ key: [] }], refusals: { 401: 'No key.' } }),
  errorSchema: { type: 'object' },
};

export function describeServices(
  registry: FileRegistry,
  options: Partial<OpenApiOptions> = {},
): OpenApiDocument {
  return createOpenApi(services(registry), { ...OPTIONS, ...options });
}

/** The operations by `GET /path`. */
export function operationsOf(document: OpenApiDocument): Map<string, Operation> {
  const entries = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([verb, operation]) => [`${verb.toUpperCase()} ${path}`, operation] as const),
  );
  return new Map(entries);
}

export function propertiesOf(document: OpenApiDocument, schema: string): Readonly<Record<string, Schema>> {
  return document.components.schemas[schema]?.properties as Record<string, Schema>;
}
