import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parseConfig } from '../../src/base/config/parse.ts';
import { PROVIDERS } from '../../src/upstream/providers.ts';
import { startTestGateway } from '../helpers/gateway.ts';
import { startVllmSim } from '../vllm-sim/index.ts';

const README = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
const PACKAGE = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
const CI = readFileSync(new URL('../../.ci/run', import.meta.url), 'utf8');

function blocks(language: string): string[] {
  return [...README.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'gm'))].map(
    (match) => match[1] as string,
  );
}

describe('the README', () => {
  test('the first curl gets the answer that is printed there, but for its id and time', async () => {
    const sim = await startVllmSim();
    onTestFinished(() => sim.close());
    const quickstart = readFileSync(new URL('../../examples/quickstart.yaml', import.meta.url), 'utf8');
    const { port } = await startTestGateway(quickstart.replace('http://localhost:8090', sim.url));
    const curl = blocks('sh').find((block) => block.startsWith('curl')) ?? '';
    const { stdout } = await promisify(execFile)('sh', ['-c', curl.replace(':4000', `:${port}`).trim()]);
    const answer = JSON.parse(stdout);
    const printed = JSON.parse((blocks('json')[0] ?? '').replace(',…]', ']'));
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
    const [yaml] = blocks('yaml');
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

  test('every npm script that it names exists, and CI runs its commands', () => {
    for (const [, script] of README.matchAll(/npm run ([\w:]+)/g))
      expect(PACKAGE.scripts).toHaveProperty(script ?? '');
    for (const command of ['npm ci', 'npm test', 'npm run check']) expect(CI).toContain(command);
  });

  test('every link leads somewhere', () => {
    for (const [, target] of README.matchAll(/\]\(([^)#]+)\)/g)) {
      expect(() => readFileSync(new URL(`../../${target}`, import.meta.url))).not.toThrow();
    }
  });
});
