import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parseConfig } from '../../src/base/config/parse.ts';
import { PROVIDERS } from '../../src/upstream/providers.ts';
import { startTestGateway } from '../helpers/gateway.ts';
import { startVllmSim } from '../vllm-sim/index.ts';
import { blocksOf, readPage, runExamples } from './page.ts';
import { examplesOf } from './printed.ts';

const README = readPage('README.md');
const QUICKSTART = readPage('examples/quickstart.yaml');
const CI = readPage('.ci/run');

describe('the README', () => {
  test('the first curl gets the answer that is printed there, but for its id and time', async () => {
    const sim = await startVllmSim();
    onTestFinished(() => sim.close());
    const { port } = await startTestGateway(QUICKSTART.replace('http://localhost:8090', sim.url));
    const curl = blocksOf(README, 'sh').find((block) => block.startsWith('curl')) ?? '';
    const { stdout } = await promisify(execFile)('sh', ['-c', curl.replace(':4000', `:${port}`).trim()]);
    const answer = JSON.parse(stdout);
    const printed = JSON.parse((blocksOf(README, 'json')[0] ?? '').replace(',…]', ']'));
    const { probs, ...first } = answer.data[0];
    expect(probs).toHaveLength(20);
    expect(first).toEqual({
      index: 0,
      label: printed.data[0].label,
      num_classes: printed.data[0].num_classes,
    });
    expect({ ...answer, id: 0, created: 0, data: 0 }).toEqual({ ...printed, id: 0, created: 0, data: 0 });
  });

  test('its configuration is one', () => {
    const [yaml] = blocksOf(README, 'yaml');
    const config = parseConfig(yaml ?? '', {
      file: 'config.yaml',
      env: { COHERE_API_KEY: 'secret' },
      providers: PROVIDERS,
      baseDir: '.',
    });
    expect(config.deployments).toHaveLength(1);
    expect(config.routes).toHaveLength(1);
    expect(config.warnings).toEqual([]);
  });

  test('its model is loaded and asked as it is printed there', { timeout: 90_000 }, async () => {
    const sim = await startVllmSim();
    onTestFinished(() => sim.close());
    const { url } = await startTestGateway(QUICKSTART.replace('http://localhost:8090', sim.url));
    const examples = examplesOf(README).filter(({ script }) => script.includes('sluice models'));
    expect(examples).toHaveLength(1);
    expect(await runExamples({ examples, url, replaced: { 'http://localhost:8090': sim.url } })).toEqual([]);
  });

  test('CI runs its commands', () => {
    for (const command of ['npm ci', 'npm test', 'npm run check']) expect(CI).toContain(command);
  });
});
