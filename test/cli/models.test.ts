import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { gatedVllm, type ModelsGateway, startModels } from '../e2e/models-fixture.ts';
import { freePort, startProgram } from '../helpers/program.ts';
import { printed, type Result, refused, runAt, runHere } from './run-here.ts';

const UUID = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}\n$/;
const SOME_URL = 'http://127.0.0.1:9';

interface Scene {
  readonly gateway: ModelsGateway;
  readonly sluice: (...args: readonly string[]) => Promise<Result>;
  /** Configures a model by the command line; resolves with the configuration's id. */
  configure(modelId: string, ...settings: readonly string[]): Promise<string>;
}

async function scene(options: Parameters<typeof startModels>[0] = {}): Promise<Scene> {
  const gateway = await startModels(options);
  const sluice = runAt(gateway.url);
  return {
    gateway,
    sluice,
    async configure(modelId, ...settings) {
      const set = settings.flatMap((setting) => ['--set', setting]);
      const result = await sluice(
        'models',
        'configure',
        modelId,
        '--type',
        'vllm',
        '--name',
        `org/${modelId}`,
        ...set,
      );
      expect(result).toEqual({ code: 0, stdout: expect.stringMatching(UUID), stderr: '' });
      return result.stdout.trim();
    },
  };
}

describe('a model by the command line', () => {
  test('is configured, listed, loaded, asked, unloaded and deleted', async () => {
    const { sluice, configure } = await scene();
    expect(await sluice('models', 'list')).toEqual(
      printed(
        'No models are configured. Add one: sluice models configure <model-id> --type vllm --name <name>\n',
      ),
    );
    const id = await configure('qwen', 'temperature=0.5', 'sim_interval_ms=1');
    expect(await sluice('models', 'list')).toEqual(
      printed(`MODEL  STATE    TYPE  NAME      CONFIGURATION\nqwen   stopped  vllm  org/qwen  ${id}\n`),
    );
    const loaded = await sluice('models', 'load', 'qwen');
    expect([loaded.code, loaded.stdout]).toEqual([0, 'Model loaded successfully\n']);
    expect((await sluice('models', 'list')).stdout).toContain(`\nqwen   ready  vllm  org/qwen  ${id}\n`);
    expect(await sluice('models', 'infer', 'qwen', 'What is the capital of France?')).toEqual(
      printed('The capital of France is Paris.\n'),
    );
    expect(await sluice('models', 'infer', 'qwen', 'hi', '--set', 'max_tokens=1', '--json')).toEqual(
      printed(expect.stringMatching(/^\{"response":"\S{1,8}"\}\n$/) as unknown as string),
    );
    expect(await sluice('models', 'delete', id)).toEqual(
      refused(
        `sluice: The configuration ${id} is in use: unload its model first (POST /llm/unload_model/qwen).`,
      ),
    );
    expect(await sluice('models', 'unload', 'qwen')).toEqual(printed('Model unloaded successfully\n'));
    expect(await sluice('models', 'delete', id)).toEqual(printed('Configuration deleted successfully\n'));
  });

  test('answers programs in JSON', async () => {
    const { sluice } = await scene();
    const configure = ['models', 'configure', 'm', '--type', 'vllm', '--name', 'org/m'];
    const kwargs = '{"temperature":0.5,"hf_token":"hf_secret"}';
    const configured = await sluice(...configure, '--kwargs', kwargs, '--set', 'stop=["a","b"]', '--json');
    const { config_id } = JSON.parse(configured.stdout) as { readonly config_id: string };
    const plain = {
      config_id,
      model_id: 'm',
      model_name: 'org/m',
      model_type: 'vllm',
      model_kwargs: { temperature: 0.5, hf_token: '***', stop: ['a', 'b'] },
      state: 'stopped',
      failure: '',
    };
    expect(JSON.parse((await sluice('models', 'list', '--json')).stdout)).toEqual([plain]);
    const loaded = await sluice('models', 'load', config_id, '--json');
    // No picture of the load: what reads JSON has no eyes.
    expect(loaded).toEqual(printed(`{"message":"Model loaded successfully","config_id":"${config_id}"}\n`));
    expect(JSON.parse((await sluice('models', 'show', 'm', '--json')).stdout)).toEqual({
      ...plain,
      state: 'ready',
    });
    expect(await sluice('models', 'unload', 'm', '--json')).toEqual(
      printed('{"message":"Model unloaded successfully"}\n'),
    );
    expect(await sluice('models', 'delete', config_id, '--json')).toEqual(
      printed('{"detail":"Configuration deleted successfully"}\n'),
    );
    expect(await sluice('models', 'list', '--json')).toEqual(printed('[]\n'));
  });

  test('that failed says why in short in the list, and in full where it is shown', async () => {
    const { sluice, configure } = await scene();
    const id = await configure('m', 'sim_fail_loading=true', 'sim_loading_ms=100');
    const { code, stdout, stderr } = await sluice('models', 'load', 'm');
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^sluice: vLLM exited with code 1 while it was loading; its log ends with:$/m);
    expect(stderr).toContain('\ntorch.OutOfMemoryError: CUDA out of memory.');
    expect((await sluice('models', 'list')).stdout).toBe(
      `MODEL  STATE   TYPE  NAME   CONFIGURATION
m      failed  vllm  org/m  ${id}

m failed: vLLM exited with code 1 while it was loading (its log: sluice models show ${id})
`,
    );
    const shown = await sluice('models', 'show', id);
    expect(shown.stdout).toMatch(
      /^model {10}m\n.*^state {10}failed\n\nvLLM exited.*\ntorch\.OutOfMemoryError/ms,
    );
  });

  test('that is shown has its settings, and how it stands', async () => {
    const { sluice, configure } = await scene();
    const id = await configure('m', 'sim_loading_ms=100', 'hf_token=hf_secret', 'stop=["a b"]');
    await sluice('models', 'load', 'm');
    expect((await sluice('models', 'show', 'm')).stdout.replace(/\d+ s/, 'N s')).toBe(
      `model          m
configuration  ${id}
type           vllm
name           org/m
settings       sim_loading_ms=100
               'hf_token=***'
               'stop=["a b"]'
state          ready, loaded in N s
last log line  INFO:     Application startup complete.
`,
    );
  });

  test('with several configurations has to be named by one of them', async () => {
    const { sluice, configure } = await scene();
    const [first, second] = [await configure('my model', 'seed=1'), await configure('my model')];
    const several = refused(
      `sluice: 'my model' has several configurations; name one of them by its id:
  ${first}  org/my model  {"seed":1}
  ${second}  org/my model  {}`,
    );
    expect(await sluice('models', 'load', 'my model')).toEqual(several);
    expect(await sluice('models', 'show', 'my model')).toEqual(several);
    expect((await sluice('models', 'load', second)).code).toBe(0);
    expect(await sluice('models', 'load', first)).toEqual(
      refused(
        `sluice: The model "my model" is loaded with another configuration, ${second}: unload it first (POST /llm/unload_model/my%20model).`,
      ),
    );
  });

  test.each([
    [
      ['load', 'nonesuch'],
      'there is neither a model nor a configuration nonesuch (sluice models list shows them)',
    ],
    [['show', 'a b'], "there is neither a model nor a configuration 'a b' (sluice models list shows them)"],
    [['unload', 'nonesuch'], 'The model "nonesuch" does not exist here.'],
    [['delete', 'nonesuch'], 'There is no configuration "nonesuch".'],
    [
      ['configure', 'm', '--type', 'vlm', '--name', 'n'],
      'model_type: "vlm" is not known; did you mean vllm? known are openai, vllm.',
    ],
    [
      ['configure', 'm', '--type', 'vllm', '--name', 'n', '--set', 'port=1'],
      "model_kwargs.port: can't be set: the gateway picks a free one",
    ],
  ])('%j is refused in one line', async (args, why) => {
    const { sluice } = await scene();
    expect(await sluice('models', ...args)).toEqual(refused(`sluice: ${why}`));
  });
});

describe('the gateway', () => {
  test('that doesn’t run is told, and where it was looked for', async () => {
    const port = await freePort();
    expect(await runHere('models', 'list', '--url', `http://127.0.0.1:${port}`)).toEqual(
      refused(
        `sluice: no gateway answers at http://127.0.0.1:${port}: connect ECONNREFUSED 127.0.0.1:${port} (start one, or say --url)`,
      ),
    );
  });

  test('that wants a key says so, and takes it from the command line or the environment', async () => {
    const { sluice, gateway } = await scene({ masterKey: 'sk-master' });
    expect(await sluice('models', 'list')).toEqual(
      refused('sluice: no API key passed in: send Authorization: Bearer sk-… (say --key, or set SLUICE_KEY)'),
    );
    const wrong = await sluice('models', 'list', '--key', 'sk-wrong');
    expect([wrong.code, wrong.stderr]).toEqual([
      1,
      expect.stringMatching(/\(say --key, or set SLUICE_KEY\)\n$/),
    ]);
    expect(wrong.stderr).not.toContain('sk-wrong');
    expect((await sluice('models', 'list', '--key', 'sk-master')).code).toBe(0);
    const byEnvironment = ['SLUICE_KEY', 'SLUICE_MASTER_KEY', 'LITELLM_MASTER_KEY'].map(async (name) => {
      const env = { SLUICE_URL: gateway.url, [name]: 'sk-master' };
      return (await startProgram({ args: ['models', 'list'], env }).ended).code;
    });
    expect(await Promise.all(byEnvironment)).toEqual([0, 0, 0]);
  });

  test.each([['localhost:4000'], ['ftp://localhost'], ['http://']])('is not at %s', async (url) => {
    expect(await runHere('models', 'list', '--url', url)).toEqual(
      refused(`sluice: --url must be http://… or https://…, not "${url}"`, 2),
    );
  });

  test('is another program', async () => {
    const { gateway } = await scene({ settings: 'pass_through_endpoints: []' });
    // The data plane's 404, as a server that knows no RPC gives it.
    const { code, stderr } = await runHere('models', 'list', '--url', `${gateway.url}/elsewhere`);
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining(`(is ${gateway.url}/elsewhere a sluice gateway, of this version?)`),
    ]);
  });
});

describe('wrong command lines', () => {
  test.each([
    [['models', 'lisst', '--url', SOME_URL], "error: unknown command 'lisst'\n(Did you mean list?)"],
    [['models', 'load', '--url', SOME_URL], "error: missing required argument 'config-id or model-id'"],
    [
      ['models', 'configure', 'm', '--name', 'n', '--url', SOME_URL],
      "error: required option '--type <type>' not specified",
    ],
    [
      ['models', 'configure', 'm', '--type', 'vllm', '--name', 'n', '--set', 'port'],
      "error: option '--set <name=value>' argument 'port' is invalid. it has the form name=value.",
    ],
    [
      ['models', 'configure', 'm', '--type', 'vllm', '--name', 'n', '--kwargs', '[1]'],
      "error: option '--kwargs <json>' argument '[1]' is invalid. it is a JSON object.",
    ],
  ])('%j ends with 2 and says what is wrong', async (args, why) => {
    expect(await runHere(...args)).toEqual(refused(why, 2));
  });
});

describe('a load', () => {
  test('tells each of its steps on a line of its own where there is no terminal', async () => {
    const { sluice, configure } = await scene();
    await configure('m', 'sim_loading_ms=1000');
    const { stderr } = await sluice('models', 'load', 'm');
    const steps = stderr.trimEnd().split('\n');
    for (const step of steps) expect(step).toMatch(/^[ \d]{3} % {2}\d+ s {2}[a-zA-Z ]+$/);
    const names = steps.map((step) => step.replace(/^.* s {2}/, ''));
    expect(names.slice(0, 3)).toEqual(['starting process', 'initializing engine', 'loading weights']);
    expect(new Set(names).size).toBe(names.length);
  });

  test('is listed and shown as far as it is', async () => {
    const vllm = gatedVllm();
    const { gateway, sluice, configure } = await scene({ command: vllm.command });
    const id = await configure('m');
    const loading = gateway.load(id);
    await gateway.untilStatus('m', ({ state }) => state === 'MODEL_STATE_STARTING');
    expect((await sluice('models', 'list')).stdout).toContain(`\nm      starting 0 %  vllm  org/m  ${id}\n`);
    expect((await sluice('models', 'show', 'm')).stdout).toMatch(
      /^state {10}starting 0 %, starting process, for \d+ s$/m,
    );
    vllm.open();
    await loading;
  });

  test('goes on when Ctrl-C ends the command, which says so', async () => {
    const vllm = gatedVllm();
    const { gateway, configure } = await scene({ command: vllm.command });
    await configure('my model');
    const program = startProgram({ args: ['models', 'load', 'my model', '--url', gateway.url] });
    await expect.poll(() => program.stderr, { timeout: 10_000 }).toContain('starting process');
    program.signal('SIGINT');
    const { code, stdout, stderr } = await program.ended;
    expect([code, stdout]).toEqual([130, '']);
    expect(stderr).toMatch(/\nThe load goes on\. To stop it: sluice models unload 'my model'\n$/);
    vllm.open();
    await gateway.untilStatus('my model', ({ state }) => state === 'MODEL_STATE_READY');
  });

  test('is a bar on a terminal, which is gone at the end', async () => {
    const { gateway, configure } = await scene();
    await configure('m', 'sim_loading_ms=500');
    const text = await onTerminal(['models', 'load', 'm', '--url', gateway.url]);
    const drawn = text.split('\r\x1b[K').slice(1);
    expect(drawn.at(-1)).toBe('Model loaded successfully\r\n');
    expect(drawn[0]).toMatch(/^\[░{30}\] {3}0 % {2}0 s {2}starting process$/);
    const bars = drawn.slice(0, -1);
    expect(bars.length).toBeGreaterThan(2);
    for (const bar of bars) {
      expect(bar).toMatch(/^\[█*░*\] [ \d]{3} % {2}\d+ s {2}\S/);
      // 80 columns, of which the last stays free: some terminals go to the next line there.
      expect([...bar].length).toBeLessThan(80);
    }
    expect(bars.join()).toMatch(/initializing engine {2}Initializing a V1 LLM engine|loading weights {2}\S/);
    expect(bars.join()).not.toContain('pid=');
  });
});

const LAUNCHER = fileURLToPath(new URL('../../bin/sluice.js', import.meta.url));

/** What a command draws on a terminal of 80 columns; `script` comes with Debian's bsdutils, which is always there. */
async function onTerminal(args: readonly string[]): Promise<string> {
  const command = [process.execPath, LAUNCHER, ...args].map((word) => `'${word}'`).join(' ');
  const line = `stty cols 80 && exec ${command}`;
  const { stdout } = await promisify(execFile)('script', ['-qec', line, '/dev/null'], {
    env: { PATH: process.env.PATH, TERM: 'xterm' },
    timeout: 15_000,
  });
  return stdout;
}
