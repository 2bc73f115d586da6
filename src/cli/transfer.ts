import { createReadStream, existsSync } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { StateConfig } from '../base/config/config.ts';
import { processEnvironment } from '../base/config/environment.ts';
import { ConfigError, loadConfig } from '../base/config/load.ts';
import { readProblem } from '../base/config/read-problem.ts';
import { openStore } from '../store/open-store.ts';
import type { Store } from '../store/store.ts';
import { exportStore } from '../store/transfer-export.ts';
import { readTransfer, TransferFileError } from '../store/transfer-file.ts';
import type { TransferCounts } from '../store/transfer-format.ts';
import { importTransfer, StoreNotEmptyError } from '../store/transfer-import.ts';
import { PROVIDERS } from '../upstream/providers.ts';

/** `sluice store export`. Returns the exit code. */
export function exportTo(output: string | null, config: string | null): Promise<number> {
  return reportingFaults(async () => {
    const state = stateFrom(config);
    if (state.kind === 'sqlite' && !existsSync(state.file)) {
      throw new Error(`sluice: there is no store in ${state.file}`);
    }
    const counts = await withStore(state, async (store) => {
      const exported = await exportStore(store, new Date());
      if (output === null) await print(exported.lines);
      else await writeNew(output, exported.lines);
      return exported.counts;
    });
    const where = output === null ? '' : ` to ${output}, which its owner alone can read`;
    tell(`exported ${words(counts)}${where}; secrets of upstreams are in clear in it`);
    return 0;
  });
}

/** `sluice store import`. Returns the exit code. */
export function importFrom(
  file: string,
  { merge, config }: { readonly merge: boolean; readonly config: string | null },
): Promise<number> {
  return reportingFaults(async () => {
    const state = stateFrom(config);
    const records = await (file === '-' ? readTransfer(process.stdin, 'stdin') : readFile(file));
    const result = await withStore(state, (store) => importTransfer(store, records, { merge })).catch(
      (thrown: unknown) => {
        if (!(thrown instanceof StoreNotEmptyError)) throw thrown;
        const there = words(thrown.counts);
        throw new Error(
          `sluice: nothing is imported: ${placeOf(state)} has ${there} already; --merge adds to that and changes none of it`,
        );
      },
    );
    tell(`imported ${words(result.created)} into ${placeOf(state)}`);
    if (Object.values(result.kept).some((count) => count > 0)) {
      tell(`${words(result.kept)} had been there before: unchanged`);
    }
    for (const { line, why } of result.refused) {
      process.stderr.write(`${file === '-' ? 'stdin' : file}:${line}: not imported: ${why}\n`);
    }
    return result.refused.length === 0 ? 0 : 1;
  });
}

/** @throws Error for the operator */
function stateFrom(config: string | null): StateConfig {
  const { state } = loadConfig({ file: config, env: processEnvironment(), providers: PROVIDERS });
  if (state.kind === 'sqlite' && state.file === ':memory:') {
    throw new Error('sluice: a store in memory is the process’s that keeps it: name a file, or Redis');
  }
  return state;
}

async function withStore<T>(state: StateConfig, use: (store: Store) => Promise<T>): Promise<T> {
  const { store } = await openStore(state);
  try {
    return await use(store);
  } finally {
    await store.close();
  }
}

/** Every fault is said on stderr, in the words of who found it. */
async function reportingFaults(run: () => Promise<number>): Promise<number> {
  try {
    return await run();
  } catch (thrown) {
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    const isComplete = thrown instanceof ConfigError || thrown instanceof TransferFileError;
    process.stderr.write(`${isComplete || message.startsWith('sluice: ') ? '' : 'sluice: '}${message}\n`);
    return 1;
  }
}

/** A file that is there isn't written over: it may be the last copy. */
async function writeNew(file: string, lines: Iterable<string>): Promise<void> {
  const handle = await open(file, 'wx', 0o600).catch((thrown: unknown) => {
    throw new Error(`${file}: can't be written: ${writeProblem(thrown)}`, { cause: thrown });
  });
  try {
    await handle.writeFile(chunksOf(lines));
    await handle.sync();
    await handle.close();
  } catch (thrown) {
    await handle.close().catch(() => {});
    await rm(file, { force: true });
    throw thrown;
  }
}

async function print(lines: Iterable<string>): Promise<void> {
  await pipeline(Readable.from(chunksOf(lines)), process.stdout, { end: false });
}

/** Lines are short, and each chunk is a system call. */
function* chunksOf(lines: Iterable<string>): Generator<string> {
  let chunk = '';
  for (const line of lines) {
    chunk += line;
    if (chunk.length < 65_536) continue;
    yield chunk;
    chunk = '';
  }
  yield chunk;
}

async function readFile(file: string): ReturnType<typeof readTransfer> {
  try {
    return await readTransfer(createReadStream(file), file);
  } catch (thrown) {
    if (thrown instanceof TransferFileError) throw thrown;
    throw new Error(`${file}: can't be read: ${readProblem(thrown)}`, { cause: thrown });
  }
}

function writeProblem(thrown: unknown): string {
  switch (thrown instanceof Error && 'code' in thrown ? thrown.code : '') {
    case 'EEXIST':
      return 'it exists already; name another file';
    case 'ENOENT':
      return 'its folder does not exist';
    case 'EACCES':
    case 'EPERM':
      return 'no permission to write there';
    default:
      return thrown instanceof Error ? thrown.message : String(thrown);
  }
}

function placeOf(state: StateConfig): string {
  if (state.kind === 'sqlite') return state.file;
  return `Redis at ${state.nodes.map(({ host, port }) => `${host}:${port}`).join(', ')}`;
}

const NAMES: readonly (readonly [keyof TransferCounts, string])[] = [
  ['configuration', 'configuration'],
  ['route', 'route'],
  ['key', 'key'],
  ['loaded', 'loaded mark'],
];

function words(counts: TransferCounts): string {
  const parts = NAMES.filter(([kind]) => counts[kind] > 0).map(
    ([kind, name]) => `${counts[kind]} ${name}${counts[kind] === 1 ? '' : 's'}`,
  );
  return parts.length === 0 ? 'nothing' : parts.join(', ');
}

/** On stderr, as stdout may be the export. */
function tell(text: string): void {
  process.stderr.write(`sluice: ${text}\n`);
}
