/** A shell block of a page, and what the page says that it prints. */
export interface Example {
  readonly script: string;
  /** Of the block of JSON or text that follows at once; `…` stands for anything, null: nothing is said. */
  readonly prints: string | null;
}

/** The shell blocks that can be run against a gateway on the documented port. */
export function examplesOf(page: string): readonly Example[] {
  const block = /^```sh\n([\s\S]*?)^```\n(?:\n```(?:json|text)\n([\s\S]*?)^```)?/gm;
  return Array.from(page.matchAll(block), ([, script = '', prints]) => ({
    script,
    prints: prints ?? null,
  })).filter(({ script }) => CALL.test(script));
}

/** Of curl, grpcurl or buf curl, or the command line's own. */
const CALL = /\b(?:grp)?curl\b[\s\S]*localhost:4000|^(?:\w+=\$\()?(?:npx )?sluice (?:keys|models|routes) /m;

/** Whether output is what a page says, but for spaces, which tell nothing, and `…`, which is anything. */
export function isPrinted(prints: string, output: string): boolean {
  const literal = compact(prints).replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${literal.replaceAll('…', '.*?')}$`, 's').test(compact(output));
}

/** Pages lay JSON out, and Go's protojson adds spaces at random, so that nobody relies on them. */
function compact(text: string): string {
  return text.replaceAll(/\s+/g, '');
}
