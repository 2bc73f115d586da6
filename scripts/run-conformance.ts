/**
 * Runs Connect's conformance suite (https://github.com/connectrpc/conformance) against the gateway's RPC server, and
 * fails unless every case passes. Needs Go. `--adapter connect-es` runs it against Connect's own adapter, for comparison;
 * what else is given goes to the suite (`--run '**\/unary/**'`, `--trace`, `-v`).
 */
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

const suite = ['--mode', 'server', '--conf', join(FOLDER, 'suite.yaml'), ...skipped, ...more];
const server = [process.execPath, join(FOLDER, 'server.ts'), ...(isCompared ? ['connect-es'] : [])];
const ran = await runBounded(join(tool, 'connectconformance'), [...suite, '--', ...server], {
  cwd: ROOT,
  timeoutMs: 240_000,
});
process.stdout.write(ran.output);
const passed = Number(/^(\d+) passed, 0 failed$/m.exec(ran.output)?.[1] ?? Number.NaN);
if (!ran.ok || Number.isNaN(passed)) process.exitCode = 1;
else if (expected !== null && passed !== expected) {
  process.stdout.write(`${expected} cases should have run\n`);
  process.exitCode = 1;
}

/** @returns the command's stdout */
async function step(command: string, args: readonly string[]): Promise<string> {
  const { ok, stdout, output } = await runBounded(command, args, { cwd: ROOT, timeoutMs: 120_000 });
  if (!ok) throw new Error(`${command} ${args.join(' ')}:\n${output}`);
  return stdout;
}
