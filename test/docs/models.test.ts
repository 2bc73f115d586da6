import { describe, expect, onTestFinished, test } from 'vitest';
import { startTestGateway } from '../helpers/gateway.ts';
import { SIM_COMMAND, scriptedVllm } from '../models/vllm-managed/fixture.ts';
import { startVllmSim } from '../vllm-sim/index.ts';
import { blocksOf, readPage, runExamples } from './page.ts';
import { examplesOf } from './printed.ts';

const PAGE = readPage('docs/models.md');

/** The simulator in vLLM's place; the model whose load is watched takes a while, so that there is something to see. */
const VLLM = `case "$*" in *qwen-long*) set -- "$@" --sim-loading-ms=2000 ;; esac
exec ${SIM_COMMAND.map((word) => `'${word}'`).join(' ')} "$@"
`;

describe('docs/models.md', () => {
  // A dozen processes, one after the other.
  test('its examples, one after the other, print what stands there', { timeout: 90_000 }, async () => {
    const sim = await startVllmSim({ models: ['Qwen/Qwen2.5-7B-Instruct', 'gpt-4o-mini'] });
    onTestFinished(() => sim.close());
    const [config = ''] = blocksOf(PAGE, 'yaml');
    expect(config).toContain('/opt/vllm/bin/vllm');
    const { url } = await startTestGateway(config.replace('/opt/vllm/bin/vllm', scriptedVllm(VLLM)), {
      env: {
        PATH: process.env.PATH ?? '',
        OPENAI_API_BASE: `${sim.url}/v1`,
        OPENAI_API_KEY: 'sk-of-openai',
      },
    });
    const examples = examplesOf(PAGE);
    expect(examples.length).toBeGreaterThan(9);
    expect(await runExamples({ examples, url, replaced: { 'http://localhost:8000': sim.url } })).toEqual([]);
  });
});
