import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const SRC = fileURLToPath(new URL('../src/', import.meta.url));

/** Who may import whom (docs/architecture.md has the same table in words); a folder may always import itself. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  base: [],
  store: ['base'],
  access: ['base', 'store'],
  upstream: ['base', 'store'],
  telemetry: ['base', 'store'],
  relay: ['base', 'access', 'upstream', 'telemetry'],
  models: ['base', 'store', 'upstream', 'relay', 'telemetry'],
  adapters: ['base', 'store', 'upstream', 'relay', 'telemetry'],
  service: ['gen', 'base', 'store', 'access', 'upstream', 'telemetry', 'relay', 'models', 'adapters'],
  bridge: ['gen/google/api', 'base'],
  server: [
    'gen',
    'base',
    'store',
    'access',
    'upstream',
    'telemetry',
    'relay',
    'models',
    'adapters',
    'service',
    'bridge',
  ],
  sdk: ['gen', 'base', 'upstream', 'relay', 'adapters'],
  cli: ['sdk', 'base'],
};

/**
 * `cli/serve` alone starts a server, `cli/transfer` alone opens a store: it moves all of one, whether a gateway runs or
 * not. They and `check-config` need the provider table to read a configuration.
 */
const EXCEPTIONS: ReadonlySet<string> = new Set([
  'cli/serve.ts -> server/gateway.ts',
  'cli/serve.ts -> server/reload.ts',
  'cli/serve.ts -> server/shared-limits.ts',
  'cli/serve.ts -> upstream/providers.ts',
  'cli/check-config.ts -> upstream/providers.ts',
  'cli/transfer.ts -> upstream/providers.ts',
  'cli/transfer.ts -> store/open-store.ts',
  'cli/transfer.ts -> store/store.ts',
  'cli/transfer.ts -> store/transfer-export.ts',
  'cli/transfer.ts -> store/transfer-file.ts',
  'cli/transfer.ts -> store/transfer-format.ts',
  'cli/transfer.ts -> store/transfer-import.ts',
]);

const IMPORT =
  /^(?:import|export)\b[^'"]*?from\s+'(\.[^']+)'|^import\s+'(\.[^']+)'|\bimport\('(\.[^']+)'\)/gm;

function sources(): string[] {
  return readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
}

function importsOf(file: string): string[] {
  const text = readFileSync(join(SRC, file), 'utf8');
  return [...text.matchAll(IMPORT)].map((match) => {
    const specifier = (match[1] ?? match[2] ?? match[3]) as string;
    const path = relative(SRC, resolve(SRC, dirname(file), specifier));
    return path.startsWith('../gen/') ? path.slice('../'.length) : path;
  });
}

describe('architecture', () => {
  const graph = new Map(sources().map((file) => [file, importsOf(file)]));

  test('sees the sources and their imports', () => {
    expect(graph.size).toBeGreaterThan(40);
    expect(graph.get('relay/relay.ts')).toContain('base/errors.ts');
  });

  test('every folder imports only what the table allows', () => {
    const offences: string[] = [];
    for (const [file, imports] of graph) {
      const folder = file.split('/')[0] as string;
      for (const imported of imports) {
        const edge = `${file} -> ${imported}`;
        const allowed = [folder, ...(MAY_IMPORT[folder] ?? [])];
        if (allowed.some((from) => imported.startsWith(`${from}/`)) || EXCEPTIONS.has(edge)) continue;
        offences.push(edge);
      }
    }
    expect(offences).toEqual([]);
  });

  test('docs/architecture.md has the same table, of the folders that there are', () => {
    const page = readFileSync(new URL('../docs/architecture.md', import.meta.url), 'utf8');
    const rows = Array.from(
      page.matchAll(/^\| `(\w+)` +\|[^|]*\| ([^|]*?) +\|$/gm),
      ([, folder = '', allowed = '']) =>
        [folder, Array.from(allowed.matchAll(/`([^`]+)`/g), ([, name]) => name)] as const,
    );
    const folders = new Set(sources().map((file) => file.split('/')[0] as string));
    const isThere = (name: string): boolean => name.startsWith('gen') || folders.has(name);
    const expected = Object.entries(MAY_IMPORT).map(
      ([folder, allowed]) => [folder, allowed.filter(isThere)] as const,
    );
    expect(Object.fromEntries(rows)).toEqual(
      Object.fromEntries(expected.filter(([folder]) => isThere(folder))),
    );
  });

  test('no import cycle', () => {
    const cycles: string[] = [];
    const finished = new Set<string>();
    const visit = (file: string, trail: readonly string[]): void => {
      if (trail.includes(file)) {
        cycles.push([...trail.slice(trail.indexOf(file)), file].join(' -> '));
        return;
      }
      if (finished.has(file)) return;
      for (const imported of graph.get(file) ?? []) visit(imported, [...trail, file]);
      finished.add(file);
    };
    for (const file of graph.keys()) visit(file, []);
    expect(cycles).toEqual([]);
  });

  test('the environment is read in one file', () => {
    const readers = sources().filter((file) => readFileSync(join(SRC, file), 'utf8').includes('process.env'));
    expect(readers).toEqual(['base/config/environment.ts']);
  });
});
