import { describe, expect, onTestFinished, test } from 'vitest';
import { startTestGateway } from '../helpers/gateway.ts';
import { startVllmSim } from '../vllm-sim/index.ts';
import { blocksOf, readPage, runExamples } from './page.ts';
import { examplesOf } from './printed.ts';

const PAGE = readPage('docs/routes.md');

describe('docs/routes.md', () => {
  test('its examples, one after the other, print what stands there', { timeout: 90_000 }, async () => {
    const sim = await startVllmSim({ apiKeys: ['sk-upstream-5678'] });
    onTestFinished(() => sim.close());
    const [config = ''] = blocksOf(PAGE, 'yaml');
    const { url } = await startTestGateway(config, { env: { BRIA_API_TOKEN: 'token' } });
    const examples = examplesOf(PAGE).map(({ script, prints }) => ({
      script,
      prints: prints?.replaceAll('http://localhost:8000', sim.url) ?? null,
    }));
    expect(examples.length).toBeGreaterThan(6);
    expect(await runExamples({ examples, url, replaced: { 'http://localhost:8000': sim.url } })).toEqual([]);
    const relayed = sim.requests.find(({ url }) => url === '/classify');
    expect(relayed?.rawHeaders).toContain('Bearer sk-upstream-5678');
  });
});
