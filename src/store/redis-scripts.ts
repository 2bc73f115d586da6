import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** The files of lua/, one a command. */
export const SCRIPT_NAMES = [
  'configuration-create',
  'configuration-delete',
  'loaded-set',
  'route-create',
  'route-update',
  'route-delete',
  'key-create',
  'key-find',
  'key-update',
  'keys-delete',
  'keys-page',
  'spend-add',
  'heartbeat',
  'consume',
  'settle',
  'renew',
] as const;

export type ScriptName = (typeof SCRIPT_NAMES)[number];

export interface Script {
  readonly source: string;
  /** SHA-1, as EVALSHA wants it. */
  readonly sha: string;
}

const FOLDER = new URL('./lua/', import.meta.url);

export type Scripts = ReadonlyMap<ScriptName, Script>;

let loaded: Scripts | null = null;

/** All scripts, read from their files once. */
export function redisScripts(): Scripts {
  loaded ??= scriptsWith(partSource);
  return loaded;
}

/** All scripts, with parts that may be others than those of parts/: a test has its own clock. */
export function scriptsWith(sourceOfPart: (part: string) => string): Scripts {
  return new Map(SCRIPT_NAMES.map((name) => [name, scriptFrom(name, sourceOfPart)]));
}

/** The source of a part. */
export function partSource(part: string): string {
  return read(`parts/${part}`);
}

function scriptFrom(name: ScriptName, sourceOfPart: (part: string) => string): Script {
  // `-- include: name.lua`, in a line of its own, stands for that part.
  const source = read(`${name}.lua`).replaceAll(/^-- include: (\S+)$/gm, (_line, part: string) =>
    sourceOfPart(part),
  );
  return { source, sha: createHash('sha1').update(source).digest('hex') };
}

function read(file: string): string {
  return readFileSync(new URL(file, FOLDER), 'utf8');
}
