import { execFile } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { temporaryFolder } from '../helpers/program.ts';
import { type Example, isPrinted } from './printed.ts';

const ROOT = new URL('../../', import.meta.url);
const LAUNCHER = fileURLToPath(new URL('bin/sluice.js', ROOT));
/** Printed behind each example's output. */
const RULE = '~~~ end of example ~~~';

/** Reads a page by its path in the repository. */
export function readPage(path: string): string {
  return readFileSync(new URL(path, ROOT), 'utf8');
}

/** The fenced blocks of one language. */
export function blocksOf(page: string, language: string): readonly string[] {
  return Array.from(
    page.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'gm')),
    ([, text = '']) => text,
  );
}

export interface RunOptions {
  readonly examples: readonly Example[];
  /** Takes the place of `http://localhost:4000`. */
  readonly url: string;
  /** What else stands for something on this machine: `http://localhost:8000` for a simulator's URL. */
  readonly replaced?: Readonly<Record<string, string>>;
}

/** An example as it is printed, and as it went. */
export interface Outcome {
  readonly script: string;
  readonly prints: string;
  readonly printed: string;
}

/**
 * Runs examples one after the other in one shell, as a reader would, with `sluice` and `npx sluice` on its path.
 * @returns those that printed something else than the page says
 * @throws Error with all that was printed, when one of them ended with a fault
 */
export async function runExamples({ examples, url, replaced = {} }: RunOptions): Promise<readonly Outcome[]> {
  const folder = temporaryFolder();
  program(folder, 'sluice', `exec '${process.execPath}' '${LAUNCHER}' "$@"`);
  program(folder, 'npx', 'exec "$@"');
  const here = Object.entries({ 'http://localhost:4000': url, ...replaced }).reduce(
    (text, [printed, local]) => text.replaceAll(printed, local),
    examples.map(({ script }) => `${script}\necho\necho '${RULE}'`).join('\n'),
  );
  const env = { ...process.env, PATH: `${folder}:${process.env.PATH ?? ''}`, SLUICE_URL: url };
  const output = await new Promise<string>((resolve, reject) => {
    execFile('sh', ['-euc', here], { cwd: folder, env, timeout: 85_000 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${stdout}\n${stderr}`, { cause: error }));
    });
  });
  const printed = output.split(RULE);
  return examples.flatMap(({ script, prints }, index) => {
    const got = (printed[index] ?? '').trim();
    return prints === null || isPrinted(prints, got) ? [] : [{ script, prints, printed: got }];
  });
}

function program(folder: string, name: string, command: string): void {
  const file = join(folder, name);
  writeFileSync(file, `#!/bin/sh\n${command}\n`);
  chmodSync(file, 0o755);
}
