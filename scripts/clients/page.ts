import { readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { runBounded } from '../bounded.ts';
import { ROOT } from '../go-tool.ts';
import type { Stage } from './stage.ts';

const PAGE = join(ROOT, 'docs/clients.md');
/** Printed between the outputs of two blocks. */
const RULE = '~~~ end of block ~~~';

/** A shell block of the page, and what the page says that it prints. */
interface Example {
  readonly script: string;
  /** `…` stands for anything; null: nothing is said. */
  readonly prints: string | null;
}

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
    if (prints === null || pattern(prints).test(compact(got))) return [];
    return [`${script}\nprinted\n${got.trim()}\nand the page says\n${prints}`];
  });
  return { faults, count: examples.length };
}

/** A block of `sh` that calls the gateway, with the block of another kind that follows it at once. */
function examplesOf(page: string): readonly Example[] {
  const block = /^```sh\n([\s\S]*?)^```\n(?:\n```(?:json|text)\n([\s\S]*?)^```)?/gm;
  return Array.from(page.matchAll(block), ([, script = '', prints]) => ({
    script,
    prints: prints ?? null,
  })).filter(({ script }) => script.includes('localhost:4000') && /\b(?:curl|grpcurl)\b/.test(script));
}

/** Go's protojson adds spaces at random, so that nobody relies on them. */
function compact(text: string): string {
  return text.replaceAll(/\s+/g, '');
}

function pattern(prints: string): RegExp {
  const literal = compact(prints).replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${literal.replaceAll('…', '.*?')}$`);
}
