import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { basename } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { SluiceError } from '../../../src/base/errors.ts';
import type { LoadStage } from '../../../src/models/driver.ts';
import { freePort } from '../../../src/models/supervisor/free-port.ts';
import { startVllmSim } from '../../vllm-sim/index.ts';
import { isRunning } from '../processes.ts';
import { configurationOf, failureOf, heldClock, managed, SIM_COMMAND, scriptedVllm } from './fixture.ts';

describe('a load', () => {
  test('ends with a server that answers for the model, to whoever has the key', async () => {
    const { load, pids } = managed();
    const { upstream, stop } = await load();
    expect(upstream).toMatchObject({ provider: 'vllm', upstreamModel: 'my-model' });
    expect(upstream.apiBase).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    const ask = async (key: string) =>
      fetch(`${upstream.apiBase}/v1/models`, { headers: { authorization: `Bearer ${key}` } });
    const { data } = (await (await ask(upstream.apiKey ?? '')).json()) as { data: { id: string }[] };
    expect(data.map(({ id }) => id)).toEqual(['my-model']);
    expect((await ask('wrong')).status).toBe(401);
    await stop();
    expect(pids().filter(isRunning)).toEqual([]);
    await expect(ask('any')).rejects.toThrow();
    await stop();
  });

  test('tells the stages in their order, a percentage that never falls, and each line', async () => {
    const { load, progress, lines } = managed();
    await load({ sim_loading_ms: 200 });
    const stages = progress().map(({ stage }) => stage);
    const order: LoadStage[] = [
      'starting_process',
      'initializing_engine',
      'loading_weights',
      'compiling',
      'allocating_kv_cache',
      'capturing_graphs',
      'starting_server',
      'ready',
    ];
    expect([...new Set(stages)]).toEqual(order);
    expect(stages).toEqual(
      stages.toSorted((a, b) => order.indexOf(a as LoadStage) - order.indexOf(b as LoadStage)),
    );
    const percents = progress().map(({ percent }) => percent ?? -1);
    expect(percents).toEqual(percents.toSorted((a, b) => a - b));
    expect([percents[0], percents.at(-1)]).toEqual([0, 100]);
    expect(progress().flatMap(({ line }) => line ?? [])).toEqual(
      lines().slice(0, progress().filter(({ line }) => line !== null).length),
    );
    expect(lines()).toContain('Loading safetensors checkpoint shards:  50% Completed | 2/4');
  });

  test.each(['refuse', 'hang', 'unhealthy'])('waits for a server that begins to %s', async (mode) => {
    const { load } = managed({ tryTimeoutMs: 50 });
    const { upstream } = await load({ sim_loading_ms: 150, sim_loading_mode: mode });
    expect((await fetch(`${upstream.apiBase}/health`)).status).toBe(200);
  });

  test('that crashes tells the exit code and the last log lines, and is not repeated', async () => {
    const { load, told, lines, pids } = managed();
    const failure = await failureOf(load({ sim_fail_loading: true }));
    expect(failure).toMatch(/^vLLM exited with code 1 while it was loading; its log ends with:\n/);
    expect(failure).toContain('torch.OutOfMemoryError: CUDA out of memory.');
    expect(lines().filter((line) => line.includes('API server version'))).toHaveLength(1);
    expect(told.every(({ kind }) => kind === 'progress')).toBe(true);
    expect(pids().filter(isRunning)).toEqual([]);
  });

  test('that crashes late tells so, too', async () => {
    const { load, progress } = managed();
    const failure = await failureOf(load({ sim_loading_ms: 50, sim_fail_loading: 'Graph capturing' }));
    expect(failure).toContain('vLLM exited with code 1 while it was loading');
    expect(progress().at(-1)).toMatchObject({ percent: 92 });
  });

  test('that is killed from outside fails too', async () => {
    const { load, untilLogged, pids } = managed();
    const loading = failureOf(load({ sim_loading_ms: 600_000 }));
    await untilLogged('API server version');
    process.kill(pids()[0] ?? 0, 'SIGKILL');
    expect(await loading).toMatch(/^vLLM was killed by SIGKILL while it was loading/);
  });

  const HOUR_MS = 3_600_000;

  test('that takes too long is stopped', async () => {
    const clock = heldClock(HOUR_MS);
    const { load, pids, untilLogged } = managed({ clock });
    const loading = failureOf(load({ sim_loading_ms: 600_000, load_timeout: '1h' }));
    await untilLogged('API server version');
    clock.fire();
    expect(await loading).toMatch(
      /^vLLM was not ready within 3600 s \(load_timeout\): .*; its log ends with:\n/,
    );
    expect(pids().filter(isRunning)).toEqual([]);
  });

  test.each([
    ['has another model', { models: ['other'] }, '/v1/models doesn\'t list "my-model"'],
    ['wants another key', { apiKeys: ['another'] }, '/v1/models answers 401'],
    ['wants no key at all', { models: ['my-model'] }, 'the server on its port takes any key'],
  ])('is not taken in by a server on its port that %s', async (_what, options, problem) => {
    const other = await startVllmSim(options);
    onTestFinished(() => other.close());
    const clock = heldClock(HOUR_MS);
    const vllm = scriptedVllm('echo up; exec sleep 1000');
    const { load } = managed({ clock, command: [vllm], freePort: async () => other.port });
    const loading = failureOf(load({ load_timeout: '1h' }));
    // The second round begins when the first has been judged.
    const rounds = () => other.requests.filter(({ path }) => path === '/health').length;
    await other.waitForRequest(() => rounds() > 1);
    clock.fire();
    expect(await loading).toContain(`vLLM was not ready within 3600 s (load_timeout): ${problem}`);
  });

  test('that is aborted leaves nothing behind, whatever it was about', async () => {
    const { load, untilLogged, pids, told } = managed();
    const caller = new AbortController();
    const loading = failureOf(load({ sim_loading_ms: 600_000, sim_workers: 1 }, caller.signal));
    await untilLogged('API server version');
    const all = pids();
    caller.abort();
    expect(await loading).toBe('The load was stopped before the model was ready.');
    expect([all.length, all.filter(isRunning)]).toEqual([2, []]);
    expect(told.every(({ kind }) => kind === 'progress')).toBe(true);
    await expect(load({}, caller.signal)).rejects.toThrow('stopped before');
  });

  test('of a program that isn’t there says which setting names it', async () => {
    for (const command of [['no-such-vllm'], ['/nowhere/vllm', 'serve']]) {
      const failure = await failureOf(managed({ command }).load());
      expect(failure).toContain(JSON.stringify(command[0]));
      expect(failure).toContain('general_settings.vllm_command');
    }
  });

  test('takes another port when its own is taken meanwhile', async () => {
    const other = await startVllmSim({ models: ['my-model'] });
    onTestFinished(() => other.close());
    const ports = [other.port];
    const { load, logged } = managed({ freePort: async () => ports.pop() ?? freePort() });
    const { upstream } = await load({ sim_workers: 0 });
    expect(upstream.apiBase).not.toBe(other.url);
    expect(logged.map(({ msg }) => msg)).toContain(
      `model my-model: port ${other.port} is taken; another is tried`,
    );
  });

  test('gives up when no port is left to it', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    const { port } = server.address() as { port: number };
    const { load, lines } = managed({ freePort: async () => port });
    expect(await failureOf(load())).toBe('vLLM found its port taken, 3 times in a row.');
    expect(lines().filter((line) => line.includes('EADDRINUSE'))).toHaveLength(3);
  });
});

describe('what is run', () => {
  test('is the operator’s command, `serve`, the model, and what the gateway decides', async () => {
    const vllm = scriptedVllm('for word; do echo "<$word>"; done; exit 3');
    const { load, lines } = managed({ command: [vllm, '--first word'] });
    await failureOf(load({ tensor_parallel_size: 2, enable_prefix_caching: true, temperature: 0.5 }));
    const port = lines()[6]?.slice(1, -1);
    expect(port).toMatch(/^\d+$/);
    expect(lines()).toEqual(
      [
        ['--first word', 'serve', 'org/model', '--host', '127.0.0.1', '--port', port],
        ['--served-model-name', 'my-model', '--tensor-parallel-size', '2', '--enable-prefix-caching'],
      ]
        .flat()
        .map((word) => `<${word}>`),
    );
  });

  test('is never taken from a configuration', async () => {
    const evil = scriptedVllm('echo evil');
    const { driver, load, lines } = managed({ command: [scriptedVllm('echo "$@"; exit 3')] });
    for (const name of ['command', 'vllm_command', 'program', 'executable'])
      await failureOf(load({ [name]: evil }));
    expect(lines().some((line) => line === 'evil')).toBe(false);
    for (const model of ['$(touch evil)', '; echo evil', '`echo evil`', '| echo evil']) {
      const loading = driver.load(configurationOf({}, model), SILENT, new AbortController().signal);
      expect((await failureOf(loading)).split('\n')[1]).toMatch(/^serve .*evil/);
    }
  });

  test.each([
    [{ host: '0.0.0.0' }, 'model_kwargs.host'],
    [{ worker_cls: 'evil.Worker' }, 'model_kwargs.worker_cls'],
    [{ middlewar: 'evil.f' }, 'model_kwargs.middlewar'],
  ])('refuses %j before anything is started', async (kwargs, param) => {
    const { driver, load, logged } = managed();
    expect(() => driver.check(configurationOf(kwargs))).toThrow(SluiceError);
    await expect(load(kwargs)).rejects.toMatchObject({ reason: 'invalid_request', param });
    expect(() => driver.check(configurationOf({}, '--config=/evil'))).toThrow(
      /^model_name: must not begin with a dash/,
    );
    expect(logged).toEqual([]);
  });

  test('is refused a key, beside all else; one that is stored changes nothing', async () => {
    const { driver, load } = managed();
    expect(() => driver.check(configurationOf({ api_key: 'sk-1', port: 1 }))).toThrow(
      /^model_kwargs\.api_key: can't be set: .* give its api_base, too\nmodel_kwargs\.port: /,
    );
    const { upstream } = await load({ api_key: 'sk-1' });
    expect(upstream.apiKey).not.toBe('sk-1');
  });

  test('may be what the operator allows', () => {
    const { driver } = managed({ allowedArguments: ['trust_remote_code'] });
    driver.check(configurationOf({ trust_remote_code: true }));
    expect(() => driver.check(configurationOf({ worker_cls: 'a.B' }))).toThrow(/vllm_allowed_arguments/);
  });

  test('gets a key of its own and the token for models, and none of the gateway’s secrets', async () => {
    const { load, lines } = managed({
      command: [scriptedVllm('env | sort; echo "key is $VLLM_API_KEY"; exit 3')],
      environment: {
        PATH: process.env.PATH,
        HOME: '/home/x',
        CUDA_VISIBLE_DEVICES: '1',
        SLUICE_MASTER_KEY: 'master',
        OPENAI_API_KEY: 'provider',
        VLLM_API_KEY: 'elsewhere',
      },
    });
    const failure = await failureOf(load({ hf_token: 'hf_secret' }));
    const names = lines().map((line) => line.split('=')[0]);
    expect(names).toEqual(
      expect.arrayContaining(['CUDA_VISIBLE_DEVICES', 'HF_TOKEN', 'HOME', 'VLLM_API_KEY']),
    );
    expect(names).not.toContain('SLUICE_MASTER_KEY');
    expect(names).not.toContain('OPENAI_API_KEY');
    // Whoever reads the log or the failure learns neither.
    expect(lines()).toEqual(expect.arrayContaining(['HF_TOKEN=***', 'VLLM_API_KEY=***', 'key is ***']));
    expect(failure).toContain('key is ***');
    expect(failure).not.toContain('hf_secret');
  });

  test('shows nothing in its log of what is a secret in its arguments', async () => {
    const { load, lines } = managed({ command: [scriptedVllm('echo "args: $@"; exit 3')] });
    const failure = await failureOf(
      load({
        model_loader_extra_config: { aws_secret_access_key: 's3-hidden', keys: { api_key: ['list-hidden'] } },
        lora_modules: ['a=https://user:url-hidden@host/a'],
      }),
    );
    expect(failure).toContain('aws_secret_access_key');
    expect([failure, ...lines()].join()).not.toMatch(/s3-hidden|list-hidden|url-hidden/);
  });

  test('can’t be seen by other users with its key: no secret stands on the command line', async () => {
    if (process.platform !== 'linux') return;
    const { load, pids } = managed();
    const { upstream } = await load({ hf_token: 'hf_secret' });
    const commandLine = readFileSync(`/proc/${pids()[0]}/cmdline`, 'latin1');
    expect(commandLine).toContain(basename(SIM_COMMAND[1] ?? ''));
    expect(commandLine).not.toContain('hf_secret');
    expect(commandLine).not.toContain(upstream.apiKey ?? '');
  });
});

const SILENT = { progress() {}, lost() {}, recovered() {}, failed() {} };
