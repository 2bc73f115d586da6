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

export interface StageOptions {
  /** Default: any free one. */
  readonly port?: number;
  /** What the simulated server serves; default: its own models. */
  readonly models?: readonly string[];
  /** The gateway's own environment besides; default: a master key. `$VLLM` in a value is the simulated server. */
  readonly env?: Readonly<Record<string, string>>;
}

/** @throws Error with what the gateway said when it doesn't start */
export async function openStage({
  port = 0,
  models,
  env = { SLUICE_MASTER_KEY: MASTER_KEY },
}: StageOptions = {}): Promise<Stage> {
  const vllm = await startVllmSim(models === undefined ? {} : { models });
  const own = Object.entries(env).map(([name, value]) => [name, value.replace('$VLLM', vllm.url)]);
  const gateway = spawn(
    process.execPath,
    [join(ROOT, 'bin/sluice.js'), '--host', '127.0.0.1', '--port', String(port)],
    {
      cwd: ROOT,
      env: { ...process.env, DATABASE_URL: 'sqlite::memory:', ...Object.fromEntries(own) },
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
