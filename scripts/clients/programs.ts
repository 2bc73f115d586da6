import { delimiter, join } from 'node:path';
import { CACHE, ROOT } from '../go-tool.ts';

/** One command of a client: what to run in its folder, and how long it may take on a slow machine. */
export interface Command {
  readonly command: string;
  readonly args: readonly string[];
  readonly timeoutMs: number;
}

/** A program of examples/clients. */
export interface ClientProgram {
  readonly name: string;
  readonly folder: string;
  /** Folders that come first on its PATH. */
  readonly path?: readonly string[];
  /** Fetches what it needs, generates its code and compiles it. */
  readonly prepare: readonly Command[];
  /** Tells the story against `vllmUrl`. */
  run(vllmUrl: string, model: string): Command;
}

const VENV = join(CACHE, 'python-client');
const REQUESTS_VENV = join(CACHE, 'python-requests');
const GO_PROGRAM = join(CACHE, 'go-client');
const QUIETLY = ['-q', '-B', '-ntp'];
const RUN_MS = 60_000;

const npmClient = (name: string, folder: string): ClientProgram => ({
  name,
  folder,
  path: [join(ROOT, 'examples/clients', folder, 'node_modules/.bin')],
  prepare: [
    slow('npm', 'ci', '--ignore-scripts', '--no-audit', '--no-fund'),
    quick('buf', 'generate'),
    quick('tsc', '-p', '.'),
  ],
  run: (vllmUrl, model) => quick('node', 'main.ts', vllmUrl, model),
});

export const PROGRAMS: readonly ClientProgram[] = [
  npmClient('TypeScript (Connect)', 'typescript-connect'),
  npmClient('TypeScript (grpc-js)', 'typescript-grpc'),
  {
    name: 'Go (connect-go)',
    folder: 'go',
    prepare: [
      slow('buf', 'generate'),
      quick('go', 'vet', './...'),
      slow('go', 'build', '-o', GO_PROGRAM, '.'),
    ],
    run: (vllmUrl, model) => quick(GO_PROGRAM, vllmUrl, model),
  },
  {
    name: 'Python (grpcio)',
    folder: 'python',
    path: [join(VENV, 'bin')],
    prepare: [
      quick('python3', '-m', 'venv', VENV),
      slow('pip', 'install', '--quiet', '--requirement', 'requirements.txt'),
      quick('buf', 'generate'),
      quick(
        ...['python', '-m', 'grpc_tools.protoc', '-I', '../../../proto', '--grpc_python_out=.'],
        ...['sluice/v1/model_service.proto', 'sluice/v1/passthrough_service.proto'],
      ),
    ],
    run: (vllmUrl, model) => quick('python', 'main.py', vllmUrl, model),
  },
  {
    name: 'Java (grpc-java)',
    folder: 'java',
    prepare: [slow('mvn', ...QUIETLY, 'compile')],
    run: (vllmUrl, model) => quick('mvn', ...QUIETLY, 'exec:java', `-Dexec.args=${vllmUrl} ${model}`),
  },
];

/** The script of the REST documents, as it is printed there: other steps, and a gateway of its own. */
export const DOCUMENT_PROGRAM: ClientProgram = {
  name: 'Python (requests)',
  folder: 'python-requests',
  path: [join(REQUESTS_VENV, 'bin')],
  prepare: [
    quick('python3', '-m', 'venv', REQUESTS_VENV),
    slow('pip', 'install', '--quiet', '--requirement', 'requirements.txt'),
  ],
  run: () => quick('python', 'main.py'),
};

/** The environment of a client's commands: its own tools first, then this project's. */
export function environmentOf({ path = [] }: ClientProgram): NodeJS.ProcessEnv {
  const own = [...path, join(ROOT, 'node_modules/.bin')].join(delimiter);
  return { ...process.env, PATH: `${own}${delimiter}${process.env.PATH ?? ''}` };
}

function quick(command = '', ...args: readonly string[]): Command {
  return { command, args, timeoutMs: RUN_MS };
}

/** What downloads. */
function slow(command: string, ...args: readonly string[]): Command {
  return { command, args, timeoutMs: 4 * RUN_MS };
}
