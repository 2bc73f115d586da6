import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { startVllmSim } from '../../test/vllm-sim/index.ts';
import { ROOT } from '../go-tool.ts';

export const MASTER_KEY = 'sk-1234';
/** A model that the simulated vLLM server serves. */
export const MODEL = 'qwen2.5-7b-instruct';

/** A gateway from source, with a simulated vLLM server to be told of. */
export interface Stage {
  readonly url: string;
  readonly vllmUrl: string;
  close(): Promise<void>;
}

/** @throws Error with what the gateway said when it doesn't start */
export async function openStage(): Promise<Stage> {
  const vllm = await startVllmSim();
  const gateway = spawn(
    process.execPath,
    [join(ROOT, 'bin/sluice.js'), '--host', '127.0.0.1', '--port', '0'],
    {
      cwd: ROOT,
      env: { ...process.env, SLUICE_MASTER_KEY: MASTER_KEY, DATABASE_URL: 'sqlite::memory:' },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const close = async (): Promise<void> => {
    if (gateway.exitCode === null && gateway.signalCode === null) {
      gateway.kill();
      await once(gateway, 'exit');
    }
    await vllm.close();
  };
  const lines: string[] = [];
  const found = Promise.withResolvers<string>();
  createInterface(gateway.stdout)
    .on('line', (line) => {
      lines.push(line);
      const [, url] = / RUNNING on (https?:\/\/[^\s"]+)/.exec(line) ?? [];
      if (url !== undefined) found.resolve(url);
    })
    .on('close', () => found.reject(new Error(`the gateway ended:\n${lines.join('\n')}`)));
  try {
    return { url: await found.promise, vllmUrl: vllm.url, close };
  } catch (error) {
    await close();
    throw error;
  }
}
