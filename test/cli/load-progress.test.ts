import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { LoadStage, ModelState, ModelStatusSchema } from '../../gen/sluice/v1/model_pb.ts';
import { LoadProgress } from '../../src/cli/load-progress.ts';

type Status = MessageInitShape<typeof ModelStatusSchema>;

/** What is written for a load, and what is left of it on the screen. */
function shown(isTTY: boolean, statuses: readonly Status[], columns = 60): readonly string[] {
  const written: string[] = [];
  const write = (text: string | Uint8Array): boolean => written.push(String(text)) > 0;
  const progress = new LoadProgress({ isTTY, columns, write });
  for (const status of statuses) progress.show(create(ModelStatusSchema, status));
  progress.close();
  return written;
}

const { STOPPED, STARTING, FAILED, READY } = ModelState;
const LOAD: readonly Status[] = [
  { state: STARTING },
  { state: STARTING, stage: LoadStage.STARTING_PROCESS },
  { state: STARTING, stage: LoadStage.LOADING_WEIGHTS, percent: 10, elapsed: { seconds: 3n } },
  {
    state: STARTING,
    stage: LoadStage.LOADING_WEIGHTS,
    percent: 50,
    elapsed: { seconds: 41n },
    lastLogLine: 'x',
  },
  { state: READY, stage: LoadStage.READY, percent: 100, elapsed: { seconds: 73n } },
];
const LINES = ['  0 %  0 s  starting process\n', ' 10 %  3 s  loading weights\n', '100 %  73 s  ready\n'];

describe('the progress of a load', () => {
  test('is a line a stage where it goes to a file', () => {
    expect(shown(false, LOAD)).toEqual(LINES);
  });

  test.each([
    ['stopped', { state: STOPPED }],
    ['failed', { state: FAILED, stage: LoadStage.STARTING_SERVER, percent: 97, failure: 'no memory' }],
  ])('says nothing of a model that was %s before', (_, before) => {
    expect(shown(false, [before, ...LOAD])).toEqual(LINES);
  });

  test('is a bar on a terminal, drawn anew, no wider than that, and gone at the end', () => {
    const written = shown(true, LOAD);
    expect(written).toHaveLength(5);
    expect(written[2]).toBe('\r\x1b[K[███████████████░░░░░░░░░░░░░░░]  50 %  41 s  loading weigh');
    expect(written.at(-1)).toBe('\r\x1b[K');
  });

  test('is as wide as usual on a terminal that doesn’t know its size, as in a container at first', () => {
    const [first] = shown(true, [{ state: STARTING, stage: LoadStage.COMPILING, percent: 70 }], 0);
    expect(first).toMatch(/compiling$/);
  });

  test('counts minutes where there are several', () => {
    const status = { state: STARTING, stage: LoadStage.COMPILING, percent: 70, elapsed: { seconds: 725n } };
    expect(shown(false, [status])).toEqual([' 70 %  12 min 5 s  compiling\n']);
  });

  test.each([
    [
      '(EngineCore_DP0 pid=12) INFO 11-20 14:24:43 [gpu_model_runner.py:2653] Starting to load',
      'Starting to load',
    ],
    ['(APIServer pid=1) INFO vLLM API server version 0.32.0', 'vLLM API server version 0.32.0'],
    ['WARNING 11-20 14:24:43 [a.py:1] Unknown', 'Unknown'],
    ['INFO:     Application startup complete.', 'Application startup complete.'],
    ['Loading safetensors shards:  25% | 1/4', 'Loading safetensors shards:  25% | 1/4'],
    ['ValueError: \u001b[31mno\u0007', 'ValueError:  [31mno'],
  ])('shows of the log line %j what it says', (lastLogLine, words) => {
    const status = { state: STARTING, stage: LoadStage.COMPILING, lastLogLine };
    const [first] = shown(true, [status], 200);
    expect(first).toMatch(/compiling {2}/);
    expect(first?.split('compiling  ')[1]?.trimEnd()).toBe(words);
  });
});
