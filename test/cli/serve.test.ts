import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { configFile, freePort, runProgram, startProgram, startServing } from '../helpers/program.ts';
import { startVllmSim } from '../vllm-sim/index.ts';

const VALID = `model_list:
  - model_name: a
    params: { model: hosted_vllm/b, api_base: http://127.0.0.1:1 }
`;

const FAULTY = `model_list:
  - model_name: a
    litellm_params:
      model: hosted_vllm/b
      api_bse: http://127.0.0.1:1
general_settings:
  max_headers: many
  pass_through_endpoints:
    - path: bria
      target: engine.prod.bria-api.com
`;

/** What must stand on stderr for it: each fault with its line. */
const FAULTS = [/:5:.*api_bse.*api_base/, /:7:.*max_headers/, /:9:.*path/, /:10:.*target.*https:\/\//];

/** Whether somebody takes connections there. */
async function listens(port: number): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1' });
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

describe('a start that can’t be', () => {
  test('tells every fault of the configuration with its line, and listens on nothing', async () => {
    const port = await freePort();
    const { code, stdout, stderr } = await runProgram('--config', configFile(FAULTY), '--port', String(port));
    expect(code).toBe(1);
    expect(stdout).toBe('');
    for (const fault of FAULTS) expect(stderr).toMatch(fault);
    expect(await listens(port)).toBe(false);
  });

  test('says that the file does not exist', async () => {
    const { code, stdout, stderr } = await runProgram('proxy', '--config', '/does/not/exist.yaml');
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^\/does\/not\/exist\.yaml: can't be read: .+\n$/);
  });

  test('says in one line that the port is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    onTestFinished(() => void other.close());
    const { port } = other.address() as { port: number };
    const { code, stderr } = await runProgram('--config', configFile(VALID), '--port', String(port));
    expect(code).toBe(1);
    expect(stderr).toBe(
      `sluice: port ${port} on 127.0.0.1 is taken: stop the other process or choose one with --port\n`,
    );
  });

  test('refuses an address beyond loopback without a master key', async () => {
    const { code, stderr } = await runProgram(
      '--config',
      configFile(VALID),
      '--host',
      '0.0.0.0',
      '--port',
      '0',
    );
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^sluice: without a master key anyone who reaches 0\.0\.0\.0 .*--insecure-open\.\n$/,
    );
  });
});

describe('check-config', () => {
  test('says what a valid file configures', async () => {
    const file = configFile(VALID);
    const { code, stdout, stderr } = await runProgram('check-config', file);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toBe(`${file} is valid: 1 model on 1 deployment, 0 routes.\n`);
  });

  test('lists every fault of another', async () => {
    const { code, stdout, stderr } = await runProgram('check-config', configFile(FAULTY));
    expect([code, stdout]).toEqual([1, '']);
    for (const fault of FAULTS) expect(stderr).toMatch(fault);
  });
});

describe('a start', () => {
  test('with --insecure-open serves every address without a key, and says so', async () => {
    const program = await startServing({
      args: ['--config', configFile(VALID), '--host', '0.0.0.0', '--insecure-open'],
    });
    const answer = await fetch(`${program.url}/health/readiness`);
    expect(answer.status).toBe(200);
    await program.line(({ level, msg }) => level === 'warn' && String(msg).includes('no master key'));
  });

  test('without a file serves HOSTED_VLLM_API_BASE, and stops when it is told to', async () => {
    const sim = await startVllmSim();
    onTestFinished(() => sim.close());
    const program = await startServing({ args: [], env: { HOSTED_VLLM_API_BASE: sim.url } });
    const answer = await fetch(`${program.url}/vllm/version`);
    expect(await answer.json()).toEqual({ version: expect.stringMatching(/^\d/) });
    const line = await program.line(({ msg }) => msg === 'request');
    expect(line).toMatchObject({ method: 'GET', path: '/vllm/version', status: 200 });
    program.signal('SIGTERM');
    expect(await program.ended).toMatchObject({ code: 0, stderr: '' });
  });

  test('with a master key from the environment listens on every address', async () => {
    const program = startProgram({
      args: ['proxy', '--config', configFile(VALID), '--port', '0'],
      env: { LITELLM_MASTER_KEY: 'sk-1234' },
    });
    const { msg } = await program.line((line) => String(line.msg).includes('RUNNING'));
    const url = /RUNNING on (\S+)/.exec(String(msg))?.[1];
    expect((await fetch(`${url}/v1/models`)).status).toBe(401);
    const headers = { authorization: 'Bearer sk-1234' };
    expect((await fetch(`${url}/v1/models`, { headers })).status).toBe(200);
    expect(program.stdout).not.toContain('sk-1234');
  });
});
