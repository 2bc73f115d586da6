import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

const PROGRAM = fileURLToPath(new URL('./store-process.ts', import.meta.url));

export interface StoreProcess {
  readonly child: ChildProcess;
  /** What it was answered so far. */
  readonly lines: readonly string[];
  /** Its exit code, once it has said everything. */
  readonly ended: Promise<number | null>;
}

/** Starts store-process.ts on a store. */
export function startProcess(location: string, what: string, name: string, count: number): StoreProcess {
  const child = spawn(process.execPath, [PROGRAM, location, what, name, String(count)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const lines: string[] = [];
  createInterface(child.stdout).on('line', (line) => lines.push(line));
  return { child, lines, ended: once(child, 'close').then(([code]) => code) };
}

/** Waits until it was answered so often. */
export async function reached({ child, lines }: StoreProcess, count: number): Promise<void> {
  while (lines.length < count && child.stdout !== null) await once(child.stdout, 'data');
}

export function firstCall(): { readonly call: () => void; readonly happened: Promise<void> } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { call: resolve, happened: promise };
}
