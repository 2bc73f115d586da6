/**
 * Generates and runs every program of examples/clients against a gateway from source with a simulated vLLM server, runs
 * the examples of docs/clients.md against it too, and fails unless all of them do what they should. Needs Go, Python,
 * Java and Maven; nothing else in this project does.
 */
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { type Ran, runBounded } from './bounded.ts';
import { DOCUMENT_STEPS, documentFault, openDocumentStage } from './clients/document.ts';
import { runPage } from './clients/page.ts';
import { type ClientProgram, DOCUMENT_PROGRAM, environmentOf, PROGRAMS } from './clients/programs.ts';
import { MASTER_KEY, MODEL, openStage } from './clients/stage.ts';
import { comparable, expectedStory } from './clients/story.ts';
import { installGoTool, ROOT } from './go-tool.ts';

const GRPCURL = { command: 'github.com/fullstorydev/grpcurl/cmd/grpcurl', version: 'v1.9.4' };

interface Row {
  readonly name: string;
  readonly result: string;
  readonly preparedMs: number;
  readonly ranMs: number;
  /** Empty: as it should be. */
  readonly fault: string;
}

const only = process.argv.slice(2);
const chosen = PROGRAMS.filter(({ folder }) => only.length === 0 || only.includes(folder));
const stage = await openStage();
const rows: Row[] = [];
try {
  const story = await expectedStory(stage);
  // One after the other: each of them makes, and removes, the model "example".
  for (const program of chosen) show(await tell(program, story));
  if (only.length === 0 || only.includes(DOCUMENT_PROGRAM.folder)) show(await tellDocument());
  if (only.length === 0) show(await readPage());
} finally {
  await stage.close();
}
for (const { name, fault } of rows) if (fault !== '') process.stdout.write(`\n${name}\n${fault}\n`);
if (rows.some(({ fault }) => fault !== '')) process.exitCode = 1;

function tell(program: ClientProgram, story: readonly string[]): Promise<Row> {
  return runProgram(program, story.length, (ran) => faultOf(ran, story));
}

/** On a gateway of its own, while the others' has another port. */
async function tellDocument(): Promise<Row> {
  const own = await openDocumentStage();
  try {
    return await runProgram(DOCUMENT_PROGRAM, DOCUMENT_STEPS, ({ ok, stdout, output }) =>
      ok ? documentFault(stdout) : output,
    );
  } finally {
    await own.close();
  }
}

async function runProgram(program: ClientProgram, steps: number, judge: (ran: Ran) => string): Promise<Row> {
  const env = { ...environmentOf(program), SLUICE_URL: stage.url, SLUICE_KEY: MASTER_KEY };
  const cwd = join(ROOT, 'examples/clients', program.folder);
  let preparedMs = 0;
  for (const { command, args, timeoutMs } of program.prepare) {
    const ran = await runBounded(command, args, { cwd, env, timeoutMs });
    preparedMs += ran.durationMs;
    if (ran.ok) continue;
    const fault = `${command} ${args.join(' ')}:\n${ran.output}`;
    return { name: program.name, result: 'not built', preparedMs, ranMs: 0, fault };
  }
  const { command, args, timeoutMs } = program.run(stage.vllmUrl, MODEL);
  const ran = await runBounded(command, args, { cwd, env, timeoutMs });
  const fault = judge(ran);
  const result = fault === '' ? `${steps} steps` : 'failed';
  return { name: program.name, result, preparedMs, ranMs: ran.durationMs, fault };
}

function faultOf({ ok, stdout, output }: Ran, story: readonly string[]): string {
  // Maven resets the terminal's colours around what it runs, terminal or not.
  const told = stripVTControlCharacters(stdout).trimEnd().split('\n').map(comparable);
  const wrong = story.findIndex((line, index) => line !== told[index]);
  if (wrong !== -1)
    return `step ${wrong + 1} should be\n${story[wrong]}\nand is\n${told[wrong] ?? ''}\n${output}`;
  if (told.length !== story.length) return `more lines than ${story.length}:\n${output}`;
  return ok ? '' : output;
}

async function readPage(): Promise<Row> {
  const startedAt = performance.now();
  const grpcurl = await installGoTool(GRPCURL);
  const preparedMs = performance.now() - startedAt;
  const { faults, count } = await runPage(stage, [grpcurl, join(ROOT, 'node_modules/.bin')]);
  const ranMs = performance.now() - startedAt - preparedMs;
  const result = faults.length === 0 ? `${count} examples` : `${faults.length} of ${count} failed`;
  return { name: 'docs/clients.md', result, preparedMs, ranMs, fault: faults.join('\n\n') };
}

function show(row: Row): void {
  rows.push(row);
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`.padStart(8);
  const cells = [row.name.padEnd(24), row.result.padEnd(14), seconds(row.preparedMs), seconds(row.ranMs)];
  if (rows.length === 1)
    process.stdout.write(`${'client'.padEnd(24)}  ${'result'.padEnd(14)}   build       run\n`);
  process.stdout.write(`${cells.join('  ')}\n`);
}
