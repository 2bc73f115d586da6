import { readdir, readFile } from 'node:fs/promises';

/**
 * Whether any process of a group still runs. The dead who wait for their parent don't count: in a container whose
 * first process is the gateway nobody ever collects those whose parents have died before them.
 */
export async function groupRuns(groupId: number): Promise<boolean> {
  try {
    process.kill(-groupId, 0);
  } catch (error) {
    if (isNoSuchProcess(error)) return false;
    // Not ours to signal, but there (the command may be sudo).
    return true;
  }
  return (await anyAlive(groupId)) ?? true;
}

/** Sends a signal to all processes of a group; harmless when there are none. */
export function signalGroup(groupId: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-groupId, signal);
  } catch {
    // Gone already, or not ours to signal: whoever waits for the end will see.
  }
}

function isNoSuchProcess(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ESRCH';
}

/** From Linux's /proc (proc_pid_stat(5)); null where there is none. */
async function anyAlive(groupId: number): Promise<boolean | null> {
  let names: string[];
  try {
    names = await readdir('/proc');
  } catch {
    return null;
  }
  let seen = false;
  for (const name of names) {
    if (!/^\d+$/.test(name)) continue;
    const text = await readFile(`/proc/${name}/stat`, 'latin1').catch(() => '');
    // The second field, the program's name, may have anything in it, parentheses too.
    const [state = '', , group] = text.slice(text.lastIndexOf(')') + 2).split(' ');
    seen ||= state !== '';
    if (Number(group) === groupId && state !== 'Z' && state !== 'X') return true;
  }
  return seen ? false : null;
}
