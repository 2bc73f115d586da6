import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import type { LogLine } from './gateway.ts';
import { Watch } from './watch.ts';

const LAUNCHER = fileURLToPath(new URL('../../bin/sluice.js', import.meta.url));

export interface ProgramOptions {
  readonly args: readonly string[];
  /** All of its environment but PATH. */
  readonly env?: Readonly<Record<string, string>>;
}

/** How a process ended. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The program in a process of its own, with everything that it says. */
export interface Program {
  readonly pid: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Log lines so far. */
  readonly lines: readonly LogLine[];
  /** It is still there. */
  readonly alive: boolean;
  /** Resolves with the first line, past or future, that passes; rejects when the process ends without one. */
  line(passes: (line: LogLine) => boolean): Promise<LogLine>;
  signal(name: NodeJS.Signals): void;
  /** To its whole process group, as Ctrl-C and systemd do. */
  signalGroup(name: NodeJS.Signals): void;
  readonly ended: Promise<Ended>;
}

/** Starts the program; it is killed when the test is over, if it hasn't ended by itself. */
export function startProgram({ args, env = {} }: ProgramOptions): Program {
  const child = spawn(process.execPath, [LAUNCHER, ...args], {
    env: { PATH: process.env.PATH ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true, // a process group of its own, for `signalGroup`
  });
  const watch = new Watch();
  const lines: LogLine[] = [];
  let stdout = '';
  let stderr = '';
  let unparsed = '';
  let alive = true;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    const complete = (unparsed + text).split('\n');
    unparsed = complete.pop() ?? '';
    for (const line of complete) if (line.startsWith('{')) lines.push(JSON.parse(line) as LogLine);
    watch.changed();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<Ended>((resolve) => {
    child.on('close', (code, signal) => {
      alive = false;
      watch.changed();
      resolve({ code, signal, stdout, stderr });
    });
  });
  onTestFinished(async () => {
    if (alive) child.kill('SIGKILL');
    await ended;
  });
  return {
    pid: child.pid ?? -1,
    get stdout() {
      return stdout;
    },
    get stderr() {
      return stderr;
    },
    lines,
    get alive() {
      return alive;
    },
    async line(passes) {
      await watch.until(() => lines.some(passes) || !alive);
      const found = lines.find(passes);
      if (found === undefined) throw new Error(`ended without the line:\n${stdout}${stderr}`);
      return found;
    },
    signal: (name) => void child.kill(name),
    signalGroup: (name) => void process.kill(-(child.pid ?? 0), name),
    ended,
  };
}

/** Runs the program to its end. */
export function runProgram(...args: readonly string[]): Promise<Ended> {
  return startProgram({ args }).ended;
}

/** A program that serves. */
export interface Serving extends Program {
  readonly url: string;
  readonly port: number;
}

/** Starts the program on a free port and waits until it serves. */
export async function startServing({ args, env = {} }: ProgramOptions): Promise<Serving> {
  const program = startProgram({ args: ['--port', '0', ...args], env });
  const { msg } = await program.line(({ msg }) => / RUNNING on /.test(String(msg)));
  const url = String(msg).replace(/^.* RUNNING on (\S+).*$/, '$1');
  return Object.defineProperties(Object.assign({ url, port: Number(new URL(url).port) }, program), {
    ...Object.getOwnPropertyDescriptors(program),
  });
}

/** A folder that is gone after the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Writes a configuration to a file of its own and tells its name. */
export function configFile(yaml: string): string {
  const file = join(temporaryFolder(), 'config.yaml');
  writeFileSync(file, yaml);
  return file;
}

/** A port that nobody listens on at the moment. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}
