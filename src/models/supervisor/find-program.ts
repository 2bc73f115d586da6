import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

/** POSIX leaves it open where programs are looked for without a PATH; this is what shells do. */
const DEFAULT_PATH = '/usr/local/bin:/usr/bin:/bin';

/** Whether a program can be run under this name: a path as it is, a bare name looked for in `path` as execvp does. */
export async function findProgram(name: string, path: string | undefined): Promise<boolean> {
  if (name.includes('/')) return isProgram(name);
  for (const folder of (path ?? DEFAULT_PATH).split(delimiter)) {
    if (await isProgram(join(folder === '' ? '.' : folder, name))) return true;
  }
  return false;
}

async function isProgram(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return (await stat(file)).isFile();
  } catch {
    return false;
  }
}
