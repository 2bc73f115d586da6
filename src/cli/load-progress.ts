import { LoadStage, ModelState, type ModelStatus, stageName } from '../sdk/model-states.ts';
import { printable } from './table.ts';

const BAR_WIDTH = 30;

/** What is written to, standard error as a rule. */
export type ProgressStream = Pick<NodeJS.WriteStream, 'write' | 'isTTY' | 'columns'>;

/** Shows how far a load is: a bar that is drawn anew on a terminal, a line a stage elsewhere. */
export class LoadProgress {
  readonly #stream: ProgressStream;
  #lastStage = '';
  #isDrawn = false;

  constructor(stream: ProgressStream) {
    this.#stream = stream;
  }

  /** Passes over how the model stood before: stopped, failed, or with no step that is known yet. */
  show(status: ModelStatus): void {
    const { state } = status;
    if (state !== ModelState.STARTING && state !== ModelState.READY) return;
    if (status.stage === LoadStage.UNSPECIFIED) return;
    const stage = stageName(status.stage);
    const seconds = Number(status.elapsed?.seconds ?? 0n);
    if (this.#stream.isTTY) {
      const line = `${barOf(status.percent)} ${String(status.percent).padStart(3)} %  ${seconds} s  ${stage}  ${printable(status.lastLogLine)}`;
      this.#stream.write(`\r\x1b[K${line.slice(0, Math.max(20, this.#stream.columns - 1))}`);
      this.#isDrawn = true;
    } else if (stage !== this.#lastStage) {
      this.#stream.write(`${String(status.percent).padStart(3)} %  ${seconds} s  ${stage}\n`);
    }
    this.#lastStage = stage;
  }

  /** Leaves the terminal's line to whatever is printed next. */
  close(): void {
    if (this.#isDrawn) this.#stream.write('\r\x1b[K');
    this.#isDrawn = false;
  }
}

function barOf(percent: number): string {
  const full = Math.round((Math.min(100, Math.max(0, percent)) / 100) * BAR_WIDTH);
  return `[${'█'.repeat(full)}${'░'.repeat(BAR_WIDTH - full)}]`;
}
