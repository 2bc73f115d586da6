/** What stands in the place of a secret in a line. */
const HIDDEN = '***';

const MAX_LINE_CHARACTERS = 1_000;
/** A traceback's cause may stand a few hundred lines above its end. */
const KEPT_LINES = 500;
const TOLD_LINES = 20;
const TOLD_ERRORS = 3;

/** `torch.OutOfMemoryError: CUDA out of memory.`, with or without the prefix of a log line in front. */
const ERROR_LINE = /(?:^|[\s\]])[\w.]*(?:Error|Exception): \S/;

/** The end of a process's log, as it may be shown to whoever asked for the process. */
export class LogTail {
  readonly #secrets: readonly string[];
  readonly #lines: string[] = [];

  /** `secrets` are blotted out wherever they stand in a line. */
  constructor(secrets: readonly string[]) {
    this.#secrets = secrets.filter((secret) => secret !== '');
  }

  /** Keeps a line; returns it as it may be shown. */
  add(line: string): string {
    let shown = line;
    for (const secret of this.#secrets) shown = shown.replaceAll(secret, HIDDEN);
    if (shown.length > MAX_LINE_CHARACTERS) shown = `${shown.slice(0, MAX_LINE_CHARACTERS)}…`;
    this.#lines.push(shown);
    if (this.#lines.length > KEPT_LINES) this.#lines.shift();
    return shown;
  }

  some(pattern: RegExp): boolean {
    return this.#lines.some((line) => pattern.test(line));
  }

  /**
   * The last lines, one a line; where errors were told further above, the last of those in front: vLLM's first process
   * ends with "see root cause above".
   */
  text(): string {
    const last = this.#lines.slice(-TOLD_LINES);
    const above = this.#lines.slice(0, -TOLD_LINES).filter((line) => ERROR_LINE.test(line));
    const errors = [...new Set(above)].slice(-TOLD_ERRORS);
    return [...errors, ...(errors.length === 0 ? [] : ['…']), ...last].join('\n');
  }
}
