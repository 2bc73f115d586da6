import { describe, expect, onTestFinished, test } from 'vitest';
import { startTestGateway } from '../helpers/gateway.ts';
import { runProgram } from '../helpers/program.ts';
import { startVllmSim } from '../vllm-sim/index.ts';

describe('sluice models load', () => {
  test('shows the steps of its load alone, not how the model stood before', async () => {
    const sim = await startVllmSim({ models: ['m'], loading: { mode: 'unhealthy' } });
    onTestFinished(() => sim.close());
    const { url } = await startTestGateway('model_list: []\n');
    const setting = `api_base=${sim.url}`;
    const configured = ['models', 'configure', 'm', '--type', 'vllm', '--name', 'm', '--set', setting];
    await runProgram(...configured, '--url', url);
    const loading = runProgram('models', 'load', 'm', '--url', url);
    // By the third question the load has been going on for a while, so that the watch has seen it.
    await sim.waitForRequest(() => sim.requests.filter(({ path }) => path === '/health').length > 2);
    await sim.finishLoading();
    const { code, stdout, stderr } = await loading;
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'Model loaded successfully\n' });
    const steps = stderr.trimEnd().split('\n');
    // The load's answer may be here before the last event.
    expect(steps.map((line) => line.replace(/^ *\d+ % {2}\d+ s {2}/, '')).slice(0, 2)).toEqual(
      ['connecting', 'ready'].slice(0, steps.length),
    );
  });
});
