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
] as const;

export type ScriptName = (typeof SCRIPT_NAMES)[number];

export interface Script {
  readonly source: string;
  /** SHA-1, as EVALSHA wants it. */
  readonly sha: string;
}

const FOLDER = new URL('./lua/', import.meta.url);

let loaded: ReadonlyMap<ScriptName, Script> | null = null;

/** All scripts, read from their files once. */
export function redisScripts(): ReadonlyMap<ScriptName, Script> {
  loaded ??= new Map(SCRIPT_NAMES.map((name) => [name, scriptFrom(name)]));
  return loaded;
}

function scriptFrom(name: ScriptName): Script {
  const source = withIncludes(read(`${name}.lua`));
  return { source, sha: createHash('sha1').update(source).digest('hex') };
}

/** `-- include: name.lua`, in a line of its own, stands for that file. */
function withIncludes(source: string): string {
  return source.replaceAll(/^-- include: (\S+)$/gm, (_line, file: string) => read(`parts/${file}`));
}

function read(file: string): string {
  return readFileSync(new URL(file, FOLDER), 'utf8');
}
