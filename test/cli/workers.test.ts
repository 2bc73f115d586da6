import { readFileSync, writeFileSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { configFile, freePort, type Program, startProgram } from '../helpers/program.ts';
import { startVllmSim, type VllmSim } from '../vllm-sim/index.ts';

interface Workers {
  readonly program: Program;
  readonly url: string;
  readonly sim: VllmSim;
}

async function startWorkers(count: number): Promise<Workers> {
  const sim = await startVllmSim({ chunkIntervalMs: 10 });
  onTestFinished(() => sim.close());
  const port = await freePort();
  const program = startProgram({
    args: ['--workers', String(count), '--port', String(port)],
    env: { HOSTED_VLLM_API_BASE: sim.url },
  });
  onTestFinished(() => {
    if (program.alive) program.signalGroup('SIGKILL');
  });
  await program.line(({ msg }) => String(msg).startsWith(`${count} workers RUNNING`));
  return { program, url: `http://127.0.0.1:${port}`, sim };
}

/** A stream of so many tokens, 10 ms apart; resolves when its first bytes are there. */
async function startStream(url: string, tokens: number): Promise<{ readonly text: Promise<string> }> {
  const answer = await fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ prompt: 'hi', stream: true, ignore_eos: true, max_tokens: tokens }),
  });
  return { text: answer.text() };
}

test.each(['SIGTERM', 'SIGINT'] as const)(
  'workers hear %s to their process group once, finish what is under way and end with 0',
  async (signal) => {
    const { program, url } = await startWorkers(2);
    const streams = await Promise.all(Array.from({ length: 4 }, () => startStream(url, 50)));
    program.signalGroup(signal);
    for (const { text } of streams) expect(await text).toMatch(/data: \[DONE\]\n\n$/);
    expect((await program.ended).code).toBe(0);
  },
);

test('a second order breaks what is left, and the exit code tells', async () => {
  const { program, url } = await startWorkers(2);
  const { text } = await startStream(url, 100_000);
  program.signal('SIGTERM');
  await program.line(({ msg }) => String(msg).startsWith('draining, 1 requests'));
  program.signal('SIGTERM');
  await expect(text).rejects.toThrow();
  expect((await program.ended).code).toBe(3);
});

test('a worker that dies is replaced', async () => {
  const { program, url } = await startWorkers(2);
  const first = await fetch(`${url}/health/readiness`);
  expect(first.status).toBe(200);
  const { pid } = program;
  const worker = childOf(pid);
  process.kill(worker, 'SIGKILL');
  await program.line(({ msg }) => String(msg).startsWith('a worker died'));
  await expect
    .poll(async () => (await fetch(`${url}/health/readiness`).catch(() => null))?.status, { timeout: 10_000 })
    .toBe(200);
  expect(childOf(pid)).not.toBe(worker);
});

test('a worker that dies while the file is broken does not take the others with it', async () => {
  const file = configFile(
    'model_list: [{model_name: m, litellm_params: {model: hosted_vllm/m, api_base: "http://localhost:1"}}]',
  );
  const port = await freePort();
  const program = startProgram({ args: ['--config', file, '--workers', '2', '--port', String(port)] });
  onTestFinished(() => {
    if (program.alive) program.signalGroup('SIGKILL');
  });
  await program.line(({ msg }) => String(msg).startsWith('2 workers RUNNING'));
  writeFileSync(file, 'model_list: [');
  process.kill(childOf(program.pid), 'SIGKILL');
  await program.line(({ msg }) => String(msg).startsWith('a worker could not start'));
  expect((await fetch(`http://127.0.0.1:${port}/health/readiness`)).status).toBe(200);
  expect(program.alive).toBe(true);
});

function childOf(pid: number): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return Number(children.trim().split(' ')[0]);
}
