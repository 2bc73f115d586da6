import { describe, expect, onTestFinished, test } from 'vitest';
import { GenerateKeyRequestSchema } from '../../gen/sluice/v1/key_service_pb.ts';
import { startTestGateway } from '../helpers/gateway.ts';
import { startVllmSim } from '../vllm-sim/index.ts';
import { blocksOf, readPage, runExamples } from './page.ts';
import { examplesOf } from './printed.ts';

const PAGE = readPage('docs/keys.md');

describe('docs/keys.md', () => {
  test('its examples, one after the other, print what stands there', { timeout: 90_000 }, async () => {
    const sim = await startVllmSim({ models: ['Qwen/Qwen2.5-7B-Instruct'], chunkIntervalMs: 1 });
    onTestFinished(() => sim.close());
    const [config = ''] = blocksOf(PAGE, 'yaml');
    const { url } = await startTestGateway(config.replace('http://localhost:8000', sim.url));
    const examples = examplesOf(PAGE);
    expect(examples.length).toBeGreaterThan(8);
    expect(await runExamples({ examples, url })).toEqual([]);
    expect(sim.requests.map(({ url }) => url)).toEqual(['/chat/completions']);
  });

  test('its table has every field of a new key', () => {
    const rows = Array.from(PAGE.matchAll(/^\| (`[a-z_`, ]+`) +\|/gm), ([, names = '']) =>
      Array.from(names.matchAll(/`([a-z_]+)`/g), ([, name]) => name),
    ).flat();
    expect(rows.sort()).toEqual(GenerateKeyRequestSchema.fields.map(({ name }) => name).sort());
  });
});
