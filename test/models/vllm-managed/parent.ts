/**
 * Stands in for the gateway, to be killed: loads a model with the command of its arguments, of which the first is
 * `model_kwargs` as JSON, and prints the lines of the log and the `ready` of the load.
 */
import { pino } from 'pino';
import { createVllmManagedDriver } from '../../../src/models/vllm-managed-driver.ts';

const [kwargs = '{}', ...command] = process.argv.slice(2);
const print = (line: unknown) => process.stdout.write(`${line}\n`);

const driver = createVllmManagedDriver({
  command,
  environment: { PATH: process.env.PATH },
  logger: pino(
    { level: 'debug' },
    { write: (line: string) => void print((JSON.parse(line) as { readonly line?: string }).line ?? '') },
  ),
  pollIntervalMs: 10,
  graceMs: 1_000,
});

await driver.load(
  {
    configId: 'c-1',
    modelId: 'my-model',
    modelName: 'org/model',
    modelType: 'vllm',
    modelKwargs: JSON.parse(kwargs),
  },
  { progress() {}, lost() {}, recovered() {}, failed() {} },
  new AbortController().signal,
);
print('ready');
