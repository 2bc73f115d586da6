import { Code } from '@connectrpc/connect';
import { describe, expect, onTestFinished, test } from 'vitest';
import { statusFromCode } from '../../src/bridge/encode-error.ts';
import { startTestGateway } from '../helpers/gateway.ts';
import { startVllmSim } from '../vllm-sim/index.ts';
import { blocksOf, readPage, runExamples } from './page.ts';
import { examplesOf } from './printed.ts';

const PAGE = readPage('docs/control-plane.md');

describe('docs/control-plane.md', () => {
  test('its examples, one after the other, print what stands there', { timeout: 90_000 }, async () => {
    const sim = await startVllmSim({ models: ['Qwen/Qwen2.5-7B-Instruct'] });
    onTestFinished(() => sim.close());
    const [config = ''] = blocksOf(PAGE, 'yaml');
    const { url } = await startTestGateway(config);
    const examples = examplesOf(PAGE);
    expect(examples.length).toBeGreaterThan(5);
    expect(await runExamples({ examples, url, replaced: { 'http://localhost:8000': sim.url } })).toEqual([]);
  });

  test('its table has the status of every code', () => {
    const statuses = Array.from(
      PAGE.matchAll(/^\| (`[A-Z_`, ]+`) +\| (\d{3})\b/gm),
      ([, codes = '', status]) =>
        Array.from(codes.matchAll(/`([A-Z_]+)`/g), ([, code = '']) => [code, Number(status)]),
    ).flat();
    const codes = Object.values(Code).filter((code) => typeof code === 'number');
    const expected = codes.map((code) => [upperSnakeCase(Code[code]), statusFromCode(code)]);
    expect(Object.fromEntries(statuses)).toEqual(Object.fromEntries(expected));
    expect(statuses).toHaveLength(codes.length);
  });
});

function upperSnakeCase(name: string): string {
  return name.replace(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase();
}
