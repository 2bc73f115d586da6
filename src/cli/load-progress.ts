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
    const time = timeOf(Number(status.elapsed?.seconds ?? 0n));
    if (this.#stream.isTTY) {
      const line = `${barOf(status.percent)} ${String(status.percent).padStart(3)} %  ${time}  ${stage}  ${wordsOf(status.lastLogLine)}`;
      // A terminal that hasn't been told its size yet says 0.
      const columns = this.#stream.columns || 80;
      this.#stream.write(`\r\x1b[K${line.slice(0, Math.max(20, columns - 1)).trimEnd()}`);
      this.#isDrawn = true;
    } else if (stage !== this.#lastStage) {
      this.#stream.write(`${String(status.percent).padStart(3)} %  ${time}  ${stage}\n`);
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

/** A time for people: `73 s`, `12 min 5 s`. */
export function timeOf(seconds: number): string {
  return seconds < 120 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** What a log line says, without what vLLM's logger puts before: `(EngineCore_0 pid=1) INFO 11-20 14:00:00 [a.py:1] `. */
function wordsOf(line: string): string {
  return printable(line).replace(
    /^(?:\([^)]* pid=\d+\) )?(?:(?:DEBUG|INFO|WARNING|ERROR):? +)?(?:\d\d-\d\d \d\d:\d\d:\d\d )?(?:\[[^\]]*\] )?/,
    '',
  );
}
