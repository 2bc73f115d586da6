import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  createFileRegistry,
  type DescMessage,
  type DescService,
  type FileRegistry,
  fromBinary,
} from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const BUF = join(ROOT, 'node_modules/.bin/buf');

/** Compiles proto sources by file name; they may import google/api and google/protobuf. */
export function buildProtos(sources: Readonly<Record<string, string>>): FileRegistry {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bridge-'));
  try {
    cpSync(join(ROOT, 'proto/google'), join(folder, 'google'), { recursive: true });
    for (const [name, source] of Object.entries(sources)) writeFileSync(join(folder, name), source);
    const args = ['build', folder, '--as-file-descriptor-set', '-o', '-#format=binpb'];
    const bytes = execFileSync(BUF, args, { cwd: ROOT });
    return createFileRegistry(fromBinary(FileDescriptorSetSchema, bytes));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Compiles files of test/bridge/proto. */
export function buildTestProtos(...names: readonly string[]): FileRegistry {
  const source = (name: string) => readFileSync(new URL(`./proto/${name}`, import.meta.url), 'utf8');
  return buildProtos(Object.fromEntries(names.map((name) => [name, source(name)])));
}

export function serviceOf(registry: FileRegistry, typeName: string): DescService {
  const service = registry.getService(typeName);
  if (service === undefined) throw new Error(`no service ${typeName}`);
  return service;
}

export function messageOf(registry: FileRegistry, typeName: string): DescMessage {
  const message = registry.getMessage(typeName);
  if (message === undefined) throw new Error(`no message ${typeName}`);
  return message;
}
