import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { configFile, type Serving, startServing, temporaryFolder } from '../helpers/program.ts';
import { startVllmSim, type VllmSim } from '../vllm-sim/index.ts';

/** A simulator that says which one it is, by the one model that it serves. */
async function simulator(name: string): Promise<VllmSim> {
  const sim = await startVllmSim({ models: [name], chunkIntervalMs: 0 });
  onTestFinished(() => sim.close());
  return sim;
}

const modelsAt = (sim: VllmSim, more = ''): string => `${more}model_list:
  - model_name: chat
    params: { model: hosted_vllm/m, api_base: "${sim.url}" }
`;

const reloaded = (program: Serving, times = 1) =>
  program.line(() => program.lines.filter(({ msg }) => msg === 'configuration reloaded').length >= times);

/** Which simulator answers now. */
async function served(program: Serving, headers: Record<string, string> = {}): Promise<string> {
  const answer = await fetch(`${program.url}/vllm/v1/models`, { headers });
  const list = (await answer.json()) as { data: { id: string }[] };
  return list.data.map(({ id }) => id).join();
}

test('after SIGHUP new requests go the new way, and a stream that runs ends on the old one', async () => {
  const [old, young] = [await simulator('old'), await simulator('young')];
  const proceed = Promise.withResolvers<void>();
  old.script('/v1/stream', async (socket) => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n');
    socket.write('9\r\ndata: 1\n\n\r\n');
    await proceed.promise;
    socket.end('9\r\ndata: 2\n\n\r\n0\r\n\r\n');
  });
  const file = configFile(modelsAt(old));
  const program = await startServing({ args: ['--config', file] });
  const stream = (await fetch(`${program.url}/vllm/v1/stream`)).body?.getReader();
  const text = async (): Promise<string> => Buffer.from((await stream?.read())?.value ?? []).toString();
  expect(await text()).toBe('data: 1\n\n');
  writeFileSync(file, modelsAt(young));
  program.signal('SIGHUP');
  await reloaded(program);
  expect(await served(program)).toBe('young');
  proceed.resolve();
  expect(await text()).toBe('data: 2\n\n');
  expect((await stream?.read())?.done).toBe(true);
});

describe('a changed file is taken into use by itself', () => {
  const layouts: [string, (folder: string, yaml: string, version: number) => void][] = [
    ['written in place', (folder, yaml) => writeFileSync(join(folder, 'config.yaml'), yaml)],
    [
      'replaced by a rename, as editors do',
      (folder, yaml) => {
        writeFileSync(join(folder, '.config.yaml.new'), yaml);
        renameSync(join(folder, '.config.yaml.new'), join(folder, 'config.yaml'));
      },
    ],
    [
      'swapped with its folder behind a link, as a ConfigMap is',
      (folder, yaml, version) => {
        mkdirSync(join(folder, `..v${version}`));
        writeFileSync(join(folder, `..v${version}`, 'config.yaml'), yaml);
        if (version === 1) symlinkSync('..data/config.yaml', join(folder, 'config.yaml'));
        symlinkSync(`..v${version}`, join(folder, '..data_new'));
        renameSync(join(folder, '..data_new'), join(folder, '..data'));
      },
    ],
  ];
  test.each(layouts)('%s', async (_name, write) => {
    const [old, young] = [await simulator('old'), await simulator('young')];
    const folder = temporaryFolder();
    write(folder, modelsAt(old), 1);
    const program = await startServing({ args: ['--config', join(folder, 'config.yaml')] });
    expect(await served(program)).toBe('old');
    write(folder, modelsAt(young), 2);
    await reloaded(program);
    expect(await served(program)).toBe('young');
  });
});

test('a broken file changes nothing and is told with every fault; mending it is enough', async () => {
  const [old, young] = [await simulator('old'), await simulator('young')];
  const file = configFile(modelsAt(old));
  const program = await startServing({ args: ['--config', file] });
  writeFileSync(file, 'model_lst: []\ngeneral_settings: { max_headers: many }\n');
  const { msg, level } = await program.line((line) => String(line.msg).includes('not reloaded'));
  expect(level).toBe('error');
  expect(msg).toMatch(/config\.yaml:1:.*model_lst.*model_list/);
  expect(msg).toMatch(/config\.yaml:2:.*max_headers/);
  expect(await served(program)).toBe('old');
  writeFileSync(file, modelsAt(young));
  await reloaded(program);
  expect(await served(program)).toBe('young');
});

test('a file that lost its master key does not open every address to everyone', async () => {
  const sim = await simulator('guarded');
  const key = 'general_settings: { master_key: sk-1234 }\n';
  const file = configFile(modelsAt(sim, key));
  const program = await startServing({ args: ['--config', file] });
  writeFileSync(file, modelsAt(sim));
  const { msg } = await program.line((line) => String(line.msg).includes('not reloaded'));
  expect(msg).toContain('without a master key');
  expect((await fetch(`${program.url}/vllm/v1/models`)).status).toBe(401);
  expect(await served(program, { authorization: 'Bearer sk-1234' })).toBe('guarded');
});

test('reloads under load fail no request', async () => {
  const [one, other] = [await simulator('m'), await simulator('m')];
  const file = configFile(modelsAt(one));
  const program = await startServing({ args: ['--config', file] });
  const agent = new Agent({ keepAlive: true });
  onTestFinished(() => agent.destroy());
  const body = JSON.stringify({ model: 'chat', messages: [{ role: 'user', content: 'hi' }], stream: true });
  const ask = (): Promise<string> =>
    new Promise((resolve) => {
      const headers = { 'content-type': 'application/json' };
      const path = '/v1/chat/completions';
      const sent = request({ port: program.port, agent, method: 'POST', path, headers }, (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        answer.on('end', () =>
          resolve(text.endsWith('data: [DONE]\n\n') ? 'whole' : `${answer.statusCode} ${text}`),
        );
        answer.on('error', (error) => resolve(String(error)));
      });
      sent.on('error', (error) => resolve(String(error)));
      sent.end(body);
    });

  const outcomes = new Map<string, number>();
  let loading = true;
  const load = Array.from({ length: 8 }, async () => {
    while (loading) {
      const outcome = await ask();
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
  });
  for (let round = 1; round <= 10; round++) {
    writeFileSync(file, modelsAt(round % 2 === 0 ? one : other));
    program.signal('SIGHUP');
    await reloaded(program, round);
    // The configuration of this round must have served before the next one comes.
    const current = round % 2 === 0 ? one : other;
    const before = current.requests.length;
    await vi.waitUntil(() => current.requests.length > before, { timeout: 10_000, interval: 5 });
  }
  loading = false;
  await Promise.all(load);
  expect([...outcomes.keys()]).toEqual(['whole']);
  expect(one.requests.length).toBeGreaterThan(0);
  expect(other.requests.length).toBeGreaterThan(0);
});
