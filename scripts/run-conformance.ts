/**
 * Runs Connect's conformance suite (https://github.com/connectrpc/conformance) against the gateway's RPC server, and
 * fails unless every case passes. A case that fails is run once more, with nothing beside it: one that passes then is
 * told as flaky. Needs Go. `--adapter connect-es` runs it against Connect's own adapter, for comparison; what else is
 * given goes to the suite (`--run '**\/unary/**'`, `--trace`, `-v`).
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runBounded } from './bounded.ts';
import { installGoTool, ROOT } from './go-tool.ts';

const MODULE = 'connectrpc.com/conformance';
const VERSION = 'v1.0.6';
/** Cases that suite.yaml chooses; fewer would mean that something isn't tested any more. */
const CASES = 3_620;
const FOLDER = join(ROOT, 'test/conformance');

const [first, second, ...rest] = process.argv.slice(2);
const isCompared = first === '--adapter' && second === 'connect-es';
const more = isCompared ? rest : process.argv.slice(2);
// Connect's adapter doesn't end an HTTP/2 request whose message is too large, and the suite would wait for ever.
const skipped = isCompared ? ['--skip', 'Server Message Size/**'] : [];
const expected = isCompared || more.length > 0 ? null : CASES;

const tool = await installGoTool({ command: `${MODULE}/cmd/connectconformance`, version: VERSION });
const downloaded = await step('go', ['mod', 'download', '-json', `${MODULE}@${VERSION}`]);
const { Dir: protos } = JSON.parse(downloaded) as { Dir: string };
await step('buf', ['generate', protos, '--template', 'test/conformance/buf.gen.yaml', '-o', FOLDER]);
await step('tsc', ['-p', FOLDER]);

// A server that takes more than 10 s to start fails all its cases; two at a time are as quick on two cores as four.
const { passed, failed, isWhole } = await runSuite(['--max-servers', '2', ...skipped, ...more]);
if (!isWhole) process.exitCode = 1;
else if (expected !== null && passed + failed.length !== expected) {
  process.stdout.write(`${expected} cases should have run\n`);
  process.exitCode = 1;
}
if (failed.length > 0) {
  const again = await runAlone(failed);
  const flaky = failed.filter((name) => !again.failed.includes(name));
  const isEachTold = again.isWhole && again.passed === flaky.length;
  if (isEachTold) for (const name of flaky) process.stdout.write(`flaky: ${name}\n`);
  if (!isEachTold || again.failed.length > 0) process.exitCode = 1;
}

interface Outcome {
  readonly passed: number;
  /** The names of the cases. */
  readonly failed: readonly string[];
  /** The suite came to its end, and told of every case. */
  readonly isWhole: boolean;
}

/** Runs the suite and prints what it says. */
async function runSuite(args: readonly string[]): Promise<Outcome> {
  const suite = ['--mode', 'server', '--conf', join(FOLDER, 'suite.yaml'), ...args];
  const server = [process.execPath, join(FOLDER, 'server.ts'), ...(isCompared ? ['connect-es'] : [])];
  const { ok, output } = await runBounded(join(tool, 'connectconformance'), [...suite, '--', ...server], {
    cwd: ROOT,
    timeoutMs: 240_000,
  });
  process.stdout.write(output);
  const [, passed, count] = /^(\d+) passed, (\d+) failed$/m.exec(output) ?? [];
  const failed = Array.from(output.matchAll(/^FAILED: (.+):$/gm), ([, name]) => name as string);
  const isWhole =
    count !== undefined &&
    Number(count) === failed.length &&
    ok === (failed.length === 0) &&
    !output.includes('could not be run');
  return { passed: Number(passed), failed, isWhole };
}

/** One case after another. */
async function runAlone(names: readonly string[]): Promise<Outcome> {
  process.stdout.write(`\n${names.length} failed, once more by themselves:\n`);
  const folder = await mkdtemp(join(tmpdir(), 'sluice-conformance-'));
  try {
    const list = join(folder, 'names');
    await writeFile(list, names.join('\n'));
    return await runSuite(['--run', `@${list}`, '--max-servers', '1', '--parallel', '1']);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** @returns the command's stdout */
async function step(command: string, args: readonly string[]): Promise<string> {
  const { ok, stdout, output } = await runBounded(command, args, { cwd: ROOT, timeoutMs: 120_000 });
  if (!ok) throw new Error(`${command} ${args.join(' ')}:\n${output}`);
  return stdout;
}
