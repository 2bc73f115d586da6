import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parseCommandLine } from './command-line.ts';
import { startVllmSim, type VllmSim } from './index.ts';
import { eventsOf, getJson, post } from './testing/client.ts';

const health = async (sim: VllmSim) => (await fetch(`${sim.url}/health`)).status;

describe('while loading', () => {
  test('refuses connections until it serves', async () => {
    const sim = await startVllmSim({ loading: { mode: 'refuse' } });
    await expect(fetch(`${sim.url}/health`)).rejects.toThrow();
    await sim.finishLoading();
    expect(await health(sim)).toBe(200);
    await sim.close();
  });

  test('takes connections and leaves them hanging, then answers them', async () => {
    const sim = await startVllmSim({ loading: { mode: 'hang' } });
    const early = fetch(`${sim.url}/health`);
    await sim.waitForSockets(1);
    expect(sim.requests).toHaveLength(0);
    await sim.finishLoading();
    expect((await early).status).toBe(200);
    await sim.close();
  });

  test('serves HTTP and says that it is not well', async () => {
    const sim = await startVllmSim({ loading: { mode: 'unhealthy' } });
    const response = await fetch(`${sim.url}/health`);
    expect([response.status, await response.text()]).toEqual([503, '']);
    expect((await post(`${sim.url}/classify`, { input: 'x' })).status).toBe(503);
    await sim.finishLoading();
    await sim.ready;
    expect((await post(`${sim.url}/classify`, { input: 'x' })).status).toBe(200);
    await sim.close();
  });

  test('becomes ready by itself when its time is over, logging the stages that vLLM logs', async () => {
    const lines: string[] = [];
    const loading = { mode: 'hang', durationMs: 20 } as const;
    const sim = await startVllmSim({ loading, log: (line) => lines.push(line) });
    await sim.ready;
    const log = lines.join('\n');
    const stages = [
      'Initializing a V1 LLM engine',
      'Loading safetensors checkpoint shards:  50%',
      'Loading weights took',
      'Model loading took 1.0401 GiB and 1.523110 seconds',
      'torch.compile takes',
      'GPU KV cache size',
      'Graph capturing finished',
      'init engine (profile, create kv cache, warmup model) took',
      'Application startup complete',
    ];
    const places = stages.map((stage) => log.indexOf(stage));
    expect(places).not.toContain(-1);
    expect(places).toEqual(places.toSorted((one, other) => one - other));
    await sim.close();
  });
});

describe('the engine', () => {
  const chat = { messages: [{ role: 'user', content: 'hi' }] };

  test('says that it is dead: an empty 503 for health, 500 for the rest', async () => {
    const sim = await startVllmSim();
    sim.killEngine();
    const response = await fetch(`${sim.url}/health`);
    expect([response.status, await response.text()]).toEqual([503, '']);
    const failed = await post(`${sim.url}/v1/chat/completions`, chat);
    expect([failed.status, failed.json().error.type]).toEqual([500, 'InternalServerError']);
    sim.reviveEngine();
    expect(await health(sim)).toBe(200);
    await sim.close();
  });

  test('sleeps and wakes in development mode alone; requests meanwhile fail', async () => {
    const plain = await startVllmSim();
    expect((await post(`${plain.url}/sleep`, '')).status).toBe(404);
    await plain.close();
    const sim = await startVllmSim({ devMode: true });
    const sleeping = async () => (await getJson(`${sim.url}/is_sleeping`)).is_sleeping;
    expect(await sleeping()).toBe(false);
    expect((await post(`${sim.url}/sleep?level=1`, '')).status).toBe(200);
    expect(await sleeping()).toBe(true);
    expect((await post(`${sim.url}/v1/chat/completions`, chat)).status).toBe(503);
    await post(`${sim.url}/wake_up?tags=weights`, '');
    expect(await sleeping()).toBe(true);
    await post(`${sim.url}/wake_up?tags=kv_cache`, '');
    expect(await sleeping()).toBe(false);
    expect((await post(`${sim.url}/v1/chat/completions`, chat)).status).toBe(200);
    expect((await post(`${sim.url}/sleep?level=9`, '')).status).toBe(400);
    await sim.close();
  });

  test('holds requests while paused, and aborts those that ran', async () => {
    const sim = await startVllmSim({ devMode: true });
    const headers = { 'x-sim-interval-ms': '60000' };
    const running = post(`${sim.url}/v1/chat/completions`, { ...chat, stream: true }, headers);
    await sim.waitForRequest('/v1/chat/completions');
    const paused = await post(`${sim.url}/pause`, '');
    expect(paused.json()).toEqual({ status: 'paused' });
    const aborted = eventsOf((await running).text);
    expect(aborted.at(-2).choices[0].finish_reason).toBe('abort');
    const held = post(`${sim.url}/v1/completions`, { prompt: 'x' });
    await sim.waitForRequest('/v1/completions');
    expect((await getJson(`${sim.url}/is_paused`)).is_paused).toBe(true);
    await post(`${sim.url}/resume`, '');
    expect((await held).status).toBe(200);
    await sim.close();
  });

  test('lets requests wait that are more than it can run, and shows it', async () => {
    const sim = await startVllmSim({ maxRunning: 1 });
    const first = new AbortController();
    const slow = fetch(`${sim.url}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-sim-interval-ms': '60000' },
      body: '{"prompt":"x","stream":true}',
      signal: first.signal,
    });
    await slow;
    const second = post(`${sim.url}/v1/completions`, { prompt: 'y' });
    await sim.waitForRequest((request) => String(request.body).includes('"y"'));
    const page = await (await fetch(`${sim.url}/metrics`)).text();
    expect(page).toMatch(/^vllm:num_requests_running\{.*\} 1\.0$/m);
    expect(page).toMatch(/^vllm:num_requests_waiting\{.*\} 1\.0$/m);
    first.abort();
    await sim.waitForAbort();
    expect((await second).status).toBe(200);
    await sim.close();
  });

  test('aborts a request by the id that its client gave it', async () => {
    const sim = await startVllmSim();
    const headers = { 'x-sim-interval-ms': '60000', 'x-request-id': 'mine' };
    const response = await fetch(`${sim.url}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: '{"prompt":"x","stream":true}',
    });
    const done = await post(`${sim.url}/abort_requests`, { request_ids: ['mine'] });
    expect(done.json()).toEqual({ status: 'aborted', aborted: 1 });
    expect(eventsOf(await response.text()).at(-1)).toBe('[DONE]');
    await sim.close();
  });
});

describe('the command line', () => {
  test('takes what vllm serve takes, and skips what it does not know', () => {
    const line =
      'serve org/model --host ::1 --port 81 --tensor-parallel-size 2 --enable-prefix-caching --api-key a b ' +
      '--served_model_name one two --max-model-len=4096 --sim-loading-ms 5';
    expect(parseCommandLine(line.split(' '))).toMatchObject({
      host: '::1',
      port: 81,
      models: ['one', 'two'],
      apiKeys: ['a', 'b'],
      loading: { mode: 'hang', durationMs: 5 },
    });
    expect(parseCommandLine(['serve', 'org/model'])).toMatchObject({ models: ['org/model'], port: 8000 });
  });

  const start = (...args: string[]) => {
    const main = fileURLToPath(new URL('main.ts', import.meta.url));
    return spawn(process.execPath, [main, 'serve', 'org/model', ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  };
  const lineWith = async (child: ChildProcess, text: string) => {
    if (child.stdout === null) throw new Error('no stdout');
    for await (const line of createInterface(child.stdout)) if (line.includes(text)) return line;
    throw new Error(`the process ended without: ${text}`);
  };

  test('serves until SIGTERM, then exits with 0', async () => {
    const child = start('--port', '0', '--served-model-name', 'mine');
    const exited = once(child, 'exit');
    const line = await lineWith(child, 'Starting vLLM API server on port');
    const url = `http://127.0.0.1:${line.split(' ').at(-1)}`;
    const { data } = await getJson(`${url}/v1/models`);
    expect(data.map((card: { id: string }) => card.id)).toEqual(['mine']);
    child.kill('SIGTERM');
    expect(await exited).toEqual([0, null]);
  });

  test('exits with an error when loading fails or the port is taken', async () => {
    const taken = await startVllmSim();
    const exits = [
      ['--port', '0', '--sim-fail-loading'],
      ['--port', String(taken.port)],
    ].map((args) => once(start(...args), 'exit'));
    expect(await Promise.all(exits)).toEqual([
      [1, null],
      [1, null],
    ]);
    await taken.close();
  });
});

test('closes with everything that hangs on it', async () => {
  const sim = await startVllmSim();
  const socket = connect({ port: sim.port, host: '127.0.0.1' });
  const closed = once(socket, 'close');
  socket.on('error', () => {});
  await sim.waitForSockets(1);
  await sim.close();
  await closed;
  expect(sim.openSockets).toBe(0);
});
