import { type FSWatcher, readFileSync, watch } from 'node:fs';
import { dirname } from 'node:path';

/** Editors write in several steps, and a ConfigMap swaps its links: wait until the file has been still. */
const SETTLE_MS = 100;

/**
 * Calls back when a file's content has changed. Watches the folder, because a replaced file (a rename, a link
 * swapped) is another inode, and compares the text, because most events aren't changes.
 * @returns stops watching
 */
export function watchFile(file: string, onChange: () => void): () => void {
  let text = contentOf(file);
  let settling: NodeJS.Timeout | null = null;
  const watcher: FSWatcher = watch(dirname(file), () => {
    settling ??= setTimeout(() => {
      settling = null;
      const next = contentOf(file);
      if (next === text || next === null) return;
      text = next;
      onChange();
    }, SETTLE_MS);
  });
  watcher.unref();
  watcher.on('error', () => {}); // the folder is gone: SIGHUP still works
  return () => {
    watcher.close();
    if (settling !== null) clearTimeout(settling);
  };
}

function contentOf(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}
