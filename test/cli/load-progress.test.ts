import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { LoadStage, ModelState, ModelStatusSchema } from '../../gen/sluice/v1/model_pb.ts';
import { LoadProgress } from '../../src/cli/load-progress.ts';

type Status = MessageInitShape<typeof ModelStatusSchema>;

/** What is written for a load, and what is left of it on the screen. */
function shown(isTTY: boolean, statuses: readonly Status[]): readonly string[] {
  const written: string[] = [];
  const write = (text: string | Uint8Array): boolean => written.push(String(text)) > 0;
  const progress = new LoadProgress({ isTTY, columns: 60, write });
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
});
