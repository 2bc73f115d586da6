import { toJson } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { ModelStatusSchema } from '../../gen/sluice/v1/model_pb.ts';
import type { WatchLoadResponse } from '../../gen/sluice/v1/model_service_pb.ts';
import type { Wire } from '../server/rpc-fixture.ts';
import {
  errorIn,
  eventsIn,
  gatedVllm,
  linesIn,
  type ModelsGateway,
  type Status,
  startModels,
} from './models-fixture.ts';

const STAGES = [
  'LOAD_STAGE_STARTING_PROCESS',
  'LOAD_STAGE_INITIALIZING_ENGINE',
  'LOAD_STAGE_LOADING_WEIGHTS',
  'LOAD_STAGE_COMPILING',
  'LOAD_STAGE_ALLOCATING_KV_CACHE',
  'LOAD_STAGE_CAPTURING_GRAPHS',
  'LOAD_STAGE_STARTING_SERVER',
  'LOAD_STAGE_READY',
];

/** A gateway with a load under way, which goes on at the test's word. */
async function loading(flags = ''): Promise<{
  readonly gateway: ModelsGateway;
  readonly configId: string;
  readonly loaded: ReturnType<ModelsGateway['load']>;
  readonly open: () => void;
}> {
  const { command, open } = gatedVllm(flags);
  const gateway = await startModels({ command });
  const configId = await gateway.configure('m');
  const loaded = gateway.load(configId);
  await gateway.untilStatus('m', ({ state }) => state === 'MODEL_STATE_STARTING');
  return { gateway, configId, loaded, open };
}

function expectWholeLoad(statuses: readonly Status[], configId: string): void {
  for (const status of statuses) {
    expect(Object.keys(status)).toEqual([
      'model_id',
      'config_id',
      'state',
      'stage',
      'percent',
      'elapsed',
      'last_log_line',
      'failure',
    ]);
    expect([status.model_id, status.config_id, status.failure]).toEqual(['m', configId, '']);
    expect(status.elapsed).toMatch(/^\d+(\.\d+)?s$/);
  }
  const order = statuses.map(({ stage }) => STAGES.indexOf(stage));
  expect(order).toEqual([...order].sort((a, b) => a - b));
  expect(order).not.toContain(-1);
  // Fast ones may fall together, but not all of them.
  expect(new Set(order).size).toBeGreaterThan(4);
  const percents = statuses.map(({ percent }) => percent);
  expect(percents).toEqual([...percents].sort((a, b) => a - b));
  const seconds = statuses.map(({ elapsed }) => Number.parseFloat(elapsed));
  expect(seconds).toEqual([...seconds].sort((a, b) => a - b));
  expect(statuses.map(({ state }) => state)).toEqual([
    ...Array<string>(statuses.length - 1).fill('MODEL_STATE_STARTING'),
    'MODEL_STATE_READY',
  ]);
  expect(statuses.some(({ last_log_line }) => /safetensors checkpoint shards/.test(last_log_line))).toBe(
    true,
  );
  const last = statuses.at(-1);
  expect(last).toMatchObject({ stage: 'LOAD_STAGE_READY', percent: 100 });
  expect(last?.last_log_line).toMatch(/Application startup complete/);
  expect(Number.parseFloat(last?.elapsed ?? '')).toBeGreaterThan(1);
}

/** As REST has it, to be judged by the same measure. */
function plain({ status }: WatchLoadResponse): Status {
  if (status === undefined) throw new Error('an event without a status');
  return toJson(ModelStatusSchema, status, { useProtoFieldName: true, alwaysEmitImplicit: true }) as never;
}

const WATCHING_WIRES: readonly Wire[] = [
  { protocol: 'grpc', httpVersion: '2' },
  { protocol: 'grpc-web', httpVersion: '1.1' },
  { protocol: 'connect', httpVersion: '1.1' },
];

describe('a load that is watched', () => {
  test('tells its stages in order over SSE, NDJSON, gRPC, gRPC-Web and Connect at the same time', async () => {
    const { gateway, configId, loaded, open } = await loading('--sim-loading-ms 1200');
    const path = `/llm/load_model/${configId}/events`;
    const sse = gateway.rest('GET', path, { headers: { accept: 'text/event-stream' } });
    const ndjson = gateway.rest('GET', path);
    const rpcs = WATCHING_WIRES.map(async (wire) => {
      const statuses: Status[] = [];
      for await (const message of gateway.client(wire).watchLoad({ configId })) statuses.push(plain(message));
      return statuses;
    });
    open();
    const [events, lines] = await Promise.all([sse, ndjson]);
    expect([events.status, events.headers.get('content-type')]).toEqual([200, 'text/event-stream']);
    expect(events.headers.get('cache-control')).toMatch(/no-cache|no-store/);
    expectWholeLoad(eventsIn(events.text), configId);
    expect([lines.status, lines.headers.get('content-type')]).toEqual([200, 'application/x-ndjson']);
    expectWholeLoad(linesIn(lines.text), configId);
    for (const statuses of await Promise.all(rpcs)) expectWholeLoad(statuses, configId);
    expect((await loaded).json).toEqual({ message: 'Model loaded successfully' });
  });

  test('sends each event when it happens, not at the end', async () => {
    const { gateway, configId, open } = await loading();
    const watching = new AbortController();
    const response = await fetch(`${gateway.url}/llm/load_model/${configId}/events/`, {
      headers: { accept: 'text/event-stream' },
      signal: watching.signal,
    });
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    const first = eventsIn((await reader?.read())?.value ?? '');
    // The process waits for the gate: nothing but the beginning can be told.
    expect(first).toMatchObject([
      { state: 'MODEL_STATE_STARTING', stage: 'LOAD_STAGE_STARTING_PROCESS', percent: 0, last_log_line: '' },
    ]);
    const tick = eventsIn((await reader?.read())?.value ?? '')[0];
    expect(tick).toMatchObject({ stage: 'LOAD_STAGE_STARTING_PROCESS', percent: 0 });
    expect(Number.parseFloat(tick?.elapsed ?? '')).toBeGreaterThan(
      Number.parseFloat(first[0]?.elapsed ?? ''),
    );
    watching.abort();
    open();
    // Who watches and leaves stops nothing.
    await gateway.untilStatus('m', ({ state }) => state === 'MODEL_STATE_READY');
  });

  test('is told as one event when it is over, or has not begun', async () => {
    const gateway = await startModels();
    const configId = await gateway.configure('m');
    const path = `/llm/load_model/${configId}/events`;
    const before = await gateway.rest('GET', path, { headers: { accept: 'text/event-stream' } });
    expect(eventsIn(before.text)).toMatchObject([
      { state: 'MODEL_STATE_STOPPED', percent: 0, elapsed: '0s' },
    ]);
    await gateway.load(configId);
    const after = await gateway.rest('GET', path, { headers: { accept: 'text/event-stream' } });
    expect(eventsIn(after.text)).toMatchObject([{ state: 'MODEL_STATE_READY', percent: 100 }]);
    expect(linesIn((await gateway.rest('GET', path)).text)).toEqual(eventsIn(after.text));
  });

  test('must exist', async () => {
    const gateway = await startModels();
    for (const accept of ['text/event-stream', '*/*']) {
      const answer = await gateway.rest('GET', '/llm/load_model/nonesuch/events', { headers: { accept } });
      expect([answer.status, errorIn(answer)]).toEqual([
        404,
        {
          message: 'There is no configuration "nonesuch".',
          type: 'not_found_error',
          param: 'config_id',
          code: 'config_not_found',
        },
      ]);
    }
  });
});
