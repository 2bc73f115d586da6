import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runBounded } from './bounded.ts';

export const ROOT = fileURLToPath(new URL('../', import.meta.url));
/** What the scripts build or download for themselves: kept between runs, never committed. */
export const CACHE = join(ROOT, 'node_modules/.cache/sluice');

export interface GoTool {
  /** Import path of the command. */
  readonly command: string;
  readonly version: string;
}

/**
 * Builds a Go command, once for each version.
 * @returns the folder that has it
 * @throws Error with Go's own words
 */
export async function installGoTool({ command, version }: GoTool): Promise<string> {
  const folder = join(CACHE, `${basename(command)}-${version}`);
  if (existsSync(join(folder, basename(command)))) return folder;
  const built = await runBounded('go', ['install', `${command}@${version}`], {
    cwd: ROOT,
    env: { ...process.env, GOBIN: folder },
    timeoutMs: 240_000,
  });
  if (!built.ok) throw new Error(`go install ${command}@${version}:\n${built.output}`);
  return folder;
}
