import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { describe, expect, onTestFinished, test } from 'vitest';
import { startTestGateway } from '../helpers/gateway.ts';
import { rawClient } from '../helpers/raw-client.ts';
import { startVllmSim, type VllmSim } from '../vllm-sim/index.ts';

async function start(
  bodyTimeout: number,
): Promise<{ sim: VllmSim; port: number; outstanding: () => number }> {
  const sim = await startVllmSim();
  onTestFinished(() => sim.close());
  const { gateway, port } = await startTestGateway(`model_list:
  - model_name: m
    litellm_params: { model: hosted_vllm/m, api_base: '${sim.url}' }
general_settings: { body_timeout: ${bodyTimeout} }
`);
  return { sim, port, outstanding: () => gateway.outstanding.get('m#0') ?? -1 };
}

const ENDLESS = '/vllm/sim/bytes?length=inf&chunk=65536';

describe('a client that takes nothing of its answer', () => {
  test('is cut on HTTP/1.1, and its upstream with it', async () => {
    const { sim, port, outstanding } = await start(0.3);
    const client = await rawClient(port);
    client.socket.pause();
    client.send(`GET ${ENDLESS} HTTP/1.1\r\nHost: a\r\n\r\n`);
    await sim.waitForAbort(undefined, { timeoutMs: 10_000 });
    await expect.poll(outstanding).toBe(0);
  });

  test('is cut on HTTP/2, and its upstream with it', async () => {
    const { sim, port, outstanding } = await start(0.3);
    const session = connectHttp2(`http://127.0.0.1:${port}`);
    onTestFinished(() => session.destroy());
    const stream = session.request({ ':path': ENDLESS });
    stream.on('error', () => {});
    await once(stream, 'response'); // and never a read
    await sim.waitForAbort(undefined, { timeoutMs: 10_000 });
    await expect.poll(outstanding).toBe(0);
    expect(stream.rstCode).not.toBe(0);
  });
});

test('a key in the path is refused, and not written down', async () => {
  const sim = await startVllmSim();
  onTestFinished(() => sim.close());
  const gateway = await startTestGateway(`model_list:
  - model_name: m
    litellm_params: { model: hosted_vllm/m, api_base: '${sim.url}' }
general_settings: { master_key: sk-secret-1 }
`);
  const answer = await fetch(`${gateway.url}/vllm/a/sk-secret-1/b`, {
    headers: { authorization: 'Bearer sk-secret-1' },
  });
  expect(answer.status).toBe(400);
  expect(sim.requests).toHaveLength(0);
  const line = await gateway.line(({ msg }) => msg === 'request');
  expect(JSON.stringify(gateway.lines)).not.toContain('sk-secret-1');
  expect(line).toMatchObject({ path: '/vllm/a/…/b', why: 'forbidden_path' });
});
