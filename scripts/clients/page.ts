import { readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { examplesOf, isPrinted } from '../../test/docs/printed.ts';
import { runBounded } from '../bounded.ts';
import { ROOT } from '../go-tool.ts';
import type { Stage } from './stage.ts';

const PAGE = join(ROOT, 'docs/clients.md');
/** Printed between the outputs of two blocks. */
const RULE = '~~~ end of block ~~~';

/**
 * Runs the page's curl, grpcurl and buf curl examples, one after the other in one shell as a reader would.
 * @param path folders that come first on PATH
 * @returns what went wrong, nothing if all is as the page says; and how many examples there are
 */
export async function runPage(
  { url, vllmUrl }: Stage,
  path: readonly string[],
): Promise<{ readonly faults: readonly string[]; readonly count: number }> {
  const examples = examplesOf(readFileSync(PAGE, 'utf8'));
  const script = examples.map(({ script }) => `${script}\necho\necho '${RULE}'`).join('\n');
  const here = script
    .replaceAll('localhost:4000', new URL(url).host)
    .replaceAll('http://localhost:8000', vllmUrl);
  const ran = await runBounded('sh', ['-euc', here], {
    cwd: ROOT,
    env: { ...process.env, PATH: [...path, process.env.PATH].join(delimiter) },
    timeoutMs: 60_000,
  });
  const printed = ran.stdout.split(RULE);
  const faults = examples.flatMap(({ script, prints }, index) => {
    const got = printed[index];
    // The last part is what stands behind the last rule.
    if (got === undefined || index >= printed.length - 1)
      return [`didn't end well:\n${script}\n${ran.output}`];
    if (prints === null || isPrinted(prints, got)) return [];
    return [`${script}\nprinted\n${got.trim()}\nand the page says\n${prints}`];
  });
  return { faults, count: examples.length };
}
